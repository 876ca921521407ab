/** Asking a client for its token and having it checked (PostgreSQL manual, "Start-up"; PROTOCOL.md B1, B4, B5). */
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import type { Principal } from "../../facts/principal.ts";
import { type ClientCertificate, certificateFacts } from "../../identity/certificate.ts";
import type { CallContext } from "../../identity/context.ts";
import { IdentityError } from "../../identity/errors.ts";
import { blameless, nameOf, type Protection } from "../../identity/protection.ts";
import type { ScramLogin } from "../../identity/tokens/guard.ts";
import {
  certificateHash,
  decodeOauthBearer,
  decodePassword,
  decodeSaslInitialResponse,
  encodeAuthenticationCleartext,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeOauthFailure,
  isOauthFailureReply,
  scramMechanisms,
  scramServer,
} from "../../protocol/index.ts";
import type { Line } from "./line.ts";
import { type Answer, Over, protocolRefusal, Refusal } from "./refusal.ts";

/** What this part needs of the identity room. */
export interface Authenticator {
  /** Rejects with an IdentityError: `code` from a closed list, `cause` for the audit log. */
  authenticate(token: string, context?: CallContext): Promise<Principal>;
  /** For logins by SCRAM, with the user of the startup packet; null or absent: there are no tokens that can do it. */
  readonly scram?: ((user: string, context: CallContext) => Promise<ScramLogin>) | null;
  /** Absent: no client certificates. Rejects as `authenticate`. */
  authenticateCertificate?(certificate: ClientCertificate): Promise<Principal>;
  /** Where a client learns how to get a token. */
  readonly discovery: { readonly configurationUrl: string; readonly scope: string } | null;
}

/** The ways of carrying a token that can be asked for; each connection is asked for one (see `offered`). */
export type Ask = "password" | "oauthbearer" | "scram";

/** What a listener takes: a certificate, a token, or a certificate from who shows one and a token from the others. */
export interface Offer {
  readonly certificate: boolean;
  readonly ask: Ask | null;
}

export interface Judges {
  readonly identity: Authenticator;
  readonly protection: Protection;
}

/** Largest authentication message, its length field included (auth.c, PG_MAX_AUTH_TOKEN_LENGTH). */
const maxMessage = 65_535;
/** The same for SCRAM (auth-scram.c, PG_MAX_SASL_MESSAGE_LENGTH), with the mechanism's name and lengths. */
const maxScramMessage = 1024 + 64;
/**
 * A refusal is answered only at a multiple of this time after the token came, so that a forged token, an unknown issuer
 * and an expired token cannot be told apart by the clock.
 */
const refusalStepMs = 250;
const passwordType = 0x70;
const terminateType = 0x58;
const oauthBearer = "OAUTHBEARER";

/** One text for every cause: which of them it was is for the audit log. */
function notAccepted(ask: Ask): Answer {
  return {
    sqlstate: ask === "oauthbearer" ? "28000" : "28P01",
    message:
      "authentication failed: the token was not accepted; get a fresh token and try again; details are in the gateway's audit log",
  };
}

/**
 * Asks for a token and checks it.
 * @param greeting bytes to send in front of the request, in one write with it (NegotiateProtocolVersion).
 * @returns the principal; nothing has been sent behind the last authentication request.
 * Throws Refusal, ProtocolError, or Over when the refusal is on the record already or the client left.
 */
export async function authenticate(
  line: Line,
  offer: Offer,
  judges: Judges,
  greeting: Buffer,
): Promise<Principal> {
  if (offer.certificate && (line.certificate !== null || offer.ask === null)) {
    if (greeting.length > 0) line.write(greeting);
    return byCertificate(line, judges);
  }
  switch (offer.ask) {
    case "password":
      line.write(Buffer.concat([greeting, encodeAuthenticationCleartext()]));
      return byPassword(line, judges);
    case "oauthbearer":
      line.write(Buffer.concat([greeting, encodeAuthenticationSasl([oauthBearer])]));
      return byOauthBearer(line, judges);
    case "scram":
      return byScram(line, judges, greeting);
    case null:
      throw certificateRefusal("CERTIFICATE_MISSING", "the client showed no certificate");
  }
}

/** The certificate of the handshake, which the listener's `client_ca` must have verified (PostgreSQL manual, "Certificate Authentication"). */
async function byCertificate(line: Line, { identity, protection }: Judges): Promise<Principal> {
  const { certificate } = line;
  if (certificate === null)
    throw certificateRefusal("CERTIFICATE_MISSING", "the client showed no certificate");
  const refuse = (cause: string): Refusal => {
    protection.failed(line.ip, null);
    return certificateRefusal("CERTIFICATE_REFUSED", cause);
  };
  if (certificate.fault !== null)
    throw refuse(`the client certificate was not verified: ${certificate.fault}`);
  if (identity.authenticateCertificate === undefined) throw refuse("client certificates are not configured");
  try {
    return await line.until(identity.authenticateCertificate({ der: certificate.der }));
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const cause = `${error.code}: ${error.cause}`;
    throw blameless.has(error.code) ? certificateRefusal("CERTIFICATE_REFUSED", cause) : refuse(cause);
  }
}

function certificateRefusal(code: "CERTIFICATE_MISSING" | "CERTIFICATE_REFUSED", cause: string): Refusal {
  return new Refusal({
    code,
    cause,
    answer: {
      sqlstate: "28000",
      message: "authentication failed: the client certificate was not accepted",
      hint: "Connect with sslcert and sslkey of a certificate that the gateway's owner accepts.",
    },
  });
}

/** AuthenticationCleartextPassword: the token is the password. */
async function byPassword(line: Line, judges: Judges): Promise<Principal> {
  const { password: token } = decodePassword(await message(line));
  const principal = await check(line, judges, token);
  if (principal === null) throw new Over(notAccepted("password"));
  return principal;
}

/**
 * SASL OAUTHBEARER (RFC 7628; PostgreSQL 18, auth-oauth.c). A client without a token sends an empty `auth` to learn where
 * to get one (RFC 7628 section 4.3): that is no failed login. On success AuthenticationOk follows at once, no SASLFinal.
 */
async function byOauthBearer(line: Line, judges: Judges): Promise<Principal> {
  const initial = decodeSaslInitialResponse(await message(line));
  if (initial.mechanism !== oauthBearer)
    throw protocolRefusal("client selected an invalid SASL authentication mechanism");
  let data = initial.data;
  if (data === null) {
    line.write(encodeAuthenticationSaslContinue(Buffer.alloc(0)));
    data = await message(line);
  }
  const { token } = decodeOauthBearer(data);
  const principal = token === null ? null : await check(line, judges, token);
  if (principal !== null) return principal;
  const { discovery } = judges.identity;
  if (discovery !== null) {
    line.write(
      encodeAuthenticationSaslContinue(encodeOauthFailure(discovery.configurationUrl, discovery.scope)),
    );
    if (!isOauthFailureReply(await message(line)))
      throw protocolRefusal("malformed OAUTHBEARER message: expected the reply to a failure");
  }
  throw new Over(notAccepted("oauthbearer"));
}

/**
 * SASL SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL, auth-scram.c): the user names a Postern token, its text is the password, and
 * never crosses the wire. A user that names none gets a salt made up for it, and the same refusal at the end.
 */
async function byScram(line: Line, { identity, protection }: Judges, greeting: Buffer): Promise<Principal> {
  const context = contextOf(line);
  const binding = bindingData(line);
  line.write(Buffer.concat([greeting, encodeAuthenticationSasl(scramMechanisms(binding))]));
  const initial = decodeSaslInitialResponse(await message(line, maxScramMessage));
  const started = performance.now();
  let login: ScramLogin;
  try {
    if (identity.scram === undefined || identity.scram === null)
      throw new IdentityError("TOKEN_UNKNOWN", "Postern tokens are not issued here");
    login = await line.until(identity.scram(line.user ?? "", context));
  } catch (error) {
    if (error instanceof Over || error instanceof Refusal) throw error;
    const verdict = await judge(() => Promise.reject(error));
    if (!verdict.accepted) await refuse(line, verdict, null, started);
    throw new Over(notAccepted("scram"));
  }
  const { secret } = login;
  const exchange = scramServer(
    initial.mechanism,
    {
      salt: Buffer.from(secret.salt, "base64"),
      iterations: secret.iterations,
      storedKey: Buffer.from(secret.storedKey, "base64"),
      serverKey: Buffer.from(secret.serverKey, "base64"),
    },
    binding,
  );
  let first = initial.data;
  if (first === null) {
    line.write(encodeAuthenticationSaslContinue(Buffer.alloc(0)));
    first = await message(line, maxScramMessage);
  }
  line.write(encodeAuthenticationSaslContinue(exchange.first(first)));
  const proof = await message(line, maxScramMessage);
  const asked = performance.now();
  const final = exchange.final(proof);
  const verdict: Verdict =
    final === null
      ? { accepted: false, code: "TOKEN_PROOF", cause: "the SCRAM proof is wrong, or there is no such token" }
      : await line.until(judge(() => login.principal()));
  if (!verdict.accepted || final === null) {
    if (!verdict.accepted) {
      if (!blameless.has(verdict.code)) protection.failed(line.ip, null);
      await refuse(line, verdict, null, asked);
    }
    throw new Over(notAccepted("scram"));
  }
  protection.succeeded(line.ip, null);
  line.write(encodeAuthenticationSaslFinal(final));
  return verdict.principal;
}

/** tls-server-end-point data of the certificate that this connection's handshake showed (RFC 5929 section 4.1). */
function bindingData({ socket }: Line): Buffer | null {
  if (!(socket instanceof TLSSocket)) return null;
  const certificate = socket.getCertificate();
  return certificate !== null && "raw" in certificate && Buffer.isBuffer(certificate.raw)
    ? certificateHash(certificate.raw)
    : null;
}

/** The body of the next message, which must be one of authentication ('p'). Throws Over when the client leaves instead. */
async function message(line: Line, limit = maxMessage): Promise<Buffer> {
  const header = await line.take(5);
  if (header === null || header[0] === terminateType) throw new Over();
  if (header[0] !== passwordType)
    throw protocolRefusal(`expected password response, got message type ${header[0]}`);
  const length = header.readInt32BE(1);
  if (length < 4) throw protocolRefusal("invalid message length");
  if (length > limit)
    throw protocolRefusal(
      `a message of authentication may have at most ${limit} bytes; the token is too long`,
    );
  const body = await line.take(length - 4);
  if (body === null) throw protocolRefusal("the connection was closed in the middle of a message");
  return body;
}

/** Checks a token. A refusal is put on the record before it is answered with null, after a while. */
async function check(line: Line, judges: Judges, token: string): Promise<Principal | null> {
  const { identity, protection } = judges;
  const started = performance.now();
  const name = nameOf(token);
  const gate = name === null ? null : protection.admitName(line.ip, name);
  const verdict: Verdict =
    gate === null || gate.open
      ? await line.until(
          token === ""
            ? Promise.resolve(tokenMissing)
            : judge(() => identity.authenticate(token, contextOf(line))),
        )
      : { accepted: false, code: "LOCKED_OUT", cause: lockedOut("in this name", gate.retryAfterSeconds) };
  if (verdict.accepted) {
    protection.succeeded(line.ip, name);
    return verdict.principal;
  }
  if (!blameless.has(verdict.code)) protection.failed(line.ip, name);
  const sha256 = token === "" ? null : createHash("sha256").update(token).digest("hex");
  // One record for each wait: a flood of attempts must not become a flood of records.
  await refuse(line, verdict, sha256, started, gate === null || gate.open || gate.tell);
  return null;
}

/** Puts a refusal on the record (unless it was told already), and waits until it may be answered. */
async function refuse(
  line: Line,
  verdict: Extract<Verdict, { accepted: false }>,
  sha256: string | null,
  started: number,
  tell = true,
): Promise<void> {
  if (tell) line.report(verdict.code, verdict.cause, sha256);
  const spent = performance.now() - started;
  await line.until(
    pause(refusalStepMs * (Math.floor(spent / refusalStepMs) + 1) - spent, undefined, { ref: false }),
  );
}

/** For the record: why somebody has to wait. */
export function lockedOut(what: string, seconds: number): string {
  return `too many failed logins ${what} from this address; refused for ${seconds} s without looking at any token`;
}

/** A certificate that was verified may be what a token is bound to; any other is nothing. */
function contextOf({ certificate, ip, database }: Line): CallContext {
  const context: CallContext = { ip, via: "wire", audience: "wire", database };
  if (certificate === null || certificate.fault !== null) return context;
  const { thumbprint, expires } = certificateFacts({ der: certificate.der });
  return { ...context, certificate: thumbprint, certificateExpires: expires };
}

type Verdict =
  | { readonly accepted: true; readonly principal: Principal }
  | { readonly accepted: false; readonly code: string; readonly cause: string };

const tokenMissing: Verdict = { accepted: false, code: "TOKEN_MISSING", cause: "the password was empty" };

/** Never rejects. */
async function judge(work: () => Promise<Principal>): Promise<Verdict> {
  try {
    return { accepted: true, principal: await work() };
  } catch (error) {
    if (error instanceof IdentityError) return { accepted: false, code: error.code, cause: error.cause };
    // Not an error made for the record: its text could hold anything, the token included.
    const name = error instanceof Error ? error.name : typeof error;
    return { accepted: false, code: "INTERNAL", cause: `the check of the token failed (${name})` };
  }
}
