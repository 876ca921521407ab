/** The gateway as a client: proves a login to a server, and says no more than the connection is private enough for. */
import {
  type AuthenticationFields,
  type ChannelBinding,
  certificateHash,
  decodeAuthentication,
  decodeErrorFields,
  encodeFrontend,
  md5Password,
  ProtocolError,
  type ScramClient,
  scramClient,
} from "../../protocol/index.ts";
import type { LoginSettings } from "../settings.ts";
import type { Attempt } from "./attempt.ts";
import { type Conversation, decoded } from "./conversation.ts";
import type { Line } from "./dial.ts";
import type { Failures } from "./errors.ts";

interface Means {
  readonly login: LoginSettings;
  readonly line: Line;
  readonly talk: Conversation;
  readonly attempt: Attempt;
  readonly errors: Failures;
  readonly settings: ReadonlyMap<string, string>;
}

/**
 * Answers the server's authentication requests up to AuthenticationOk (PostgreSQL manual, "Message Flow", Start-up).
 * Trust, cleartext, MD5, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS; all other methods are refused.
 * Throws UpstreamError.
 */
export async function authenticate(means: Means): Promise<void> {
  const { login, line, errors } = means;
  const first = await nextRequest(means);
  switch (first.kind) {
    case "ok":
      // A server that cannot be told from an impostor has to show that it knows the password: only SCRAM does that.
      if (login.password !== null && !isTrustworthy(line)) throw unproven(errors);
      return;
    case "cleartext":
      await simplePassword(means, (password) => password);
      return;
    case "md5": {
      const salt = Buffer.from(first.salt);
      await simplePassword(means, (password) => md5Password(login.user, password, salt));
      return;
    }
    case "sasl":
      await scram(means, first.mechanisms);
      return;
    case "kerberosV5":
    case "scmCredential":
    case "gss":
    case "gssContinue":
    case "sspi":
      throw errors.setup(`the server asks for a login method that is not supported (${first.kind})`);
    case "saslContinue":
    case "saslFinal":
      throw errors.protocol("authentication message out of order");
    default:
      return first satisfies never;
  }
}

/** Whether a password (or its MD5 hash, which is as good as one) may be shown, and an AuthenticationOk be believed. */
export function isTrustworthy(line: Pick<Line, "privacy">): boolean {
  return line.privacy === "local" || line.privacy === "verified";
}

async function simplePassword(means: Means, answer: (password: string) => string): Promise<void> {
  const { line, talk, errors } = means;
  if (!isTrustworthy(line)) throw unproven(errors);
  const password = await readPassword(means);
  talk.send(decoded(errors, () => encodeFrontend({ type: "password", password: answer(password) })));
  const reply = await nextRequest(means);
  if (reply.kind !== "ok") throw errors.protocol("authentication message out of order");
}

function unproven(errors: Failures): Error {
  return errors.setup(
    "the server asks for less than SCRAM over a connection that does not prove who it is; use SCRAM, or TLS mode verify-full",
  );
}

async function scram(means: Means, mechanisms: readonly string[]): Promise<void> {
  const { line, talk, attempt, errors } = means;
  const client = startScram(line, mechanisms, await readPassword(means), errors);
  talk.send(
    encodeFrontend({ type: "saslInitialResponse", mechanism: client.mechanism, data: client.first() }),
  );
  const challenge = await nextRequest(means);
  if (challenge.kind !== "saslContinue") throw errors.protocol("SCRAM: message out of order");
  const final = await attempt.wait(refusable(errors, () => client.final(Buffer.from(challenge.data))));
  talk.send(encodeFrontend({ type: "saslResponse", data: final }));
  const proof = await nextRequest(means);
  if (proof.kind !== "saslFinal")
    throw errors.protocol("SCRAM: the server did not prove that it knows the password");
  await refusable(errors, async () => client.verify(proof.data));
  const end = await nextRequest(means);
  if (end.kind !== "ok") throw errors.protocol("SCRAM: message out of order");
}

function startScram(
  line: Line,
  mechanisms: readonly string[],
  password: string,
  errors: Failures,
): ScramClient {
  const plus = mechanisms.includes("SCRAM-SHA-256-PLUS");
  if (plus && line.certificate === null) throw errors.protocol("SCRAM-SHA-256-PLUS offered without TLS");
  const hash = line.certificate === null ? null : certificateHash(line.certificate);
  let channelBinding: ChannelBinding;
  if (plus && hash !== null) channelBinding = { type: "tls-server-end-point", data: hash };
  else if (!mechanisms.includes("SCRAM-SHA-256")) {
    throw errors.setup("the server offers no SASL mechanism that is supported");
  }
  // "y" says that we could have bound; where the certificate's algorithm defines no hash we could not (RFC 5929).
  else channelBinding = hash === null ? "none" : "tls-without-plus";
  return scramClient({ password, channelBinding });
}

async function refusable<T>(errors: Failures, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw error instanceof ProtocolError ? errors.protocol(error.message) : error;
  }
}

async function readPassword({ login, attempt, errors }: Means): Promise<string> {
  if (login.password === null) throw errors.setup("the server asks for a password and none is configured");
  const { label } = login.password;
  const password = await attempt.wait(
    login.password.read().catch(() => {
      throw errors.setup(`the password cannot be read from ${label}`);
    }),
  );
  if (password === "" || password.includes("\0"))
    throw errors.setup(`the password from ${label} is not usable`);
  return password;
}

async function nextRequest({ talk, errors, settings }: Means): Promise<AuthenticationFields> {
  const { type, body } = await talk.next();
  if (type === 0x52) return decoded(errors, () => decodeAuthentication(body));
  if (type === 0x45)
    throw errors.server(
      decoded(errors, () => decodeErrorFields(body)),
      settings,
    );
  // PostgreSQL sends nothing else before AuthenticationOk when asked for protocol 3.0 without options.
  throw errors.protocol("unexpected message before the end of authentication");
}
