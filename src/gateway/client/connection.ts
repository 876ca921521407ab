/** The life of a connection from accept to an authenticated client, or to its end. */
import type { Socket } from "node:net";
import { certificateFacts } from "../../identity/certificate.ts";
import type { Protection } from "../../identity/protection.ts";
import { hideTokens } from "../../identity/tokens/format.ts";
import { encodeNegotiate, ProtocolError } from "../../protocol/index.ts";
import type { AuthenticatedClient, AuthFailure } from "../ports.ts";
import type { Limits, ListenerSettings } from "../settings.ts";
import { type Authenticator, authenticate, lockedOut, type Offer } from "./authentication.ts";
import { Line } from "./line.ts";
import { type Opening, open } from "./negotiation.ts";
import { readParameters } from "./parameters.ts";
import { Over, protocolRefusal, Refusal } from "./refusal.ts";
import type { TlsFront } from "./secure.ts";
import { clean } from "./text.ts";

export interface ConnectionRules {
  readonly settings: ListenerSettings;
  /** How a client with this startup `user` may show its token. */
  offer(user: string): Offer;
  readonly identity: Authenticator;
  readonly protection: Protection;
  readonly limits: Limits;
  readonly databases: ReadonlySet<string>;
  /** Asked at every handshake: a certificate may be loaded later. */
  front(): TlsFront | null;
  onClient(client: AuthenticatedClient): void;
  onCancel(request: { pid: number; key: Buffer; ip: string }): Promise<void>;
  onFailure(failure: AuthFailure): void;
  admit(ip: string): boolean;
}

/** A connection that is not a session yet. */
export interface Greeting {
  /** Fulfilled, always: true when the connection was handed over, false when it was hung up. */
  readonly done: Promise<boolean>;
  /** Ends it with last words, where they can still be said. */
  abort(over: Over): void;
}

/** Takes an accepted socket through start-up. Nothing thrown in here escapes; a fault ends this connection only. */
export function greet(raw: Socket, unix: boolean, rules: ConnectionRules): Greeting {
  const line = new Line(raw, unix, rules.onFailure);
  let packetRead = false;
  const deadline = setTimeout(() => {
    line.fail(timeOut(packetRead));
  }, rules.limits.startupSeconds * 1000);
  const converse = async (): Promise<boolean> => {
    try {
      const opening = await open(line, rules.front);
      packetRead = true;
      if (opening.kind === "startup") {
        await enter(line, opening, rules);
        return true;
      }
      await cancel(line, opening, rules);
    } catch (error) {
      end(line, error);
    } finally {
      clearTimeout(deadline);
    }
    return false;
  };
  return { done: converse(), abort: (over) => line.fail(over) };
}

/** CancelRequest is never answered. The client waits for our close, and must see it only when the cancel took effect. */
async function cancel(
  line: Line,
  request: Extract<Opening, { kind: "cancel" }>,
  rules: ConnectionRules,
): Promise<void> {
  const { pid, key } = request;
  try {
    await line.until(rules.onCancel({ pid, key: Buffer.from(key), ip: line.ip }));
  } catch {
    // Whether it worked, failed, took too long, or the client left: it learns nothing.
  }
  line.hangUp(null);
}

async function enter(
  line: Line,
  startup: Extract<Opening, { kind: "startup" }>,
  rules: ConnectionRules,
): Promise<void> {
  // Whoever types a token where the user belongs shall not find it in the log.
  line.user = clean(hideTokens(startup.parameters.get("user") ?? "")) || null;
  line.database = startup.parameters.get("database") || line.user;
  line.application = clean(startup.parameters.get("application_name") ?? "") || null;
  // Before anything that makes the client send its token.
  if (line.tls === null && (rules.settings.tls === "required" || !line.local)) throw tlsRequired();
  const facts = readParameters(startup.parameters);
  line.database = facts.database;
  line.application = facts.application;
  if (!rules.admit(line.ip)) throw notAdmitted();
  const gate = rules.protection.admit(line.ip);
  if (!gate.open) throw mustWait(gate);
  const { minor, greeting } = negotiate(startup);
  const principal = await authenticate(line, rules.offer(facts.user), rules, greeting);
  if (!rules.databases.has(facts.database)) throw unknownDatabase(facts.database, principal.token.sha256);
  if (line.inbox.ended || line.raw.destroyed) throw new Over();
  const rest = line.handOver();
  // A second 'p' is nothing a session knows; refused here, no part behind us can take it for data and a token never gets further.
  if (rest[0] === 0x70) throw protocolRefusal("a message of authentication after the last one");
  rules.onClient({
    socket: line.socket,
    rest,
    ip: line.ip,
    port: line.port,
    tls: line.tls,
    via: "wire",
    minor,
    principal,
    user: hideTokens(facts.user),
    database: facts.database,
    application: facts.application,
    parameters: facts.settings,
    claimed: facts.claimed,
    approvals: facts.approvals,
    replication: facts.replication,
    certificateExpires: certificateEnd(line),
  });
}

/** Whatever the token says: a session over a connection whose certificate was verified ends with that. */
function certificateEnd({ certificate }: Line): number | null {
  return certificate === null || certificate.fault !== null ? null : certificateFacts(certificate).expires;
}

/**
 * The minor version and, when the client asked for a newer one or for any protocol option (`_pq_.*`), the one
 * NegotiateProtocolVersion it must get. 3.1 was never released: PostgreSQL serves it as 3.0 and says nothing.
 */
function negotiate(startup: Extract<Opening, { kind: "startup" }>): { minor: 0 | 2; greeting: Buffer } {
  const minor = startup.minor >= 2 ? 2 : 0;
  const options = [...startup.parameters.keys()].filter((name) => name.startsWith("_pq_."));
  const silent = startup.minor <= 2 && options.length === 0;
  return { minor, greeting: silent ? Buffer.alloc(0) : encodeNegotiate(minor, options) };
}

function end(line: Line, error: unknown): void {
  if (error instanceof Over) {
    line.hangUp(error.answer);
    return;
  }
  const refusal = asRefusal(error);
  line.report(refusal.code, refusal.cause, refusal.tokenSha256);
  line.hangUp(refusal.answer);
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof ProtocolError)
    return new Refusal({
      code: "PROTOCOL",
      cause: error.message,
      answer: { sqlstate: error.code, message: error.message },
    });
  // A fault of ours. Its text is not made for the record; its name and place are.
  const name = error instanceof Error ? error.name : typeof error;
  return new Refusal({
    code: "INTERNAL",
    cause: `unexpected ${name} during start-up`,
    answer: { sqlstate: "XX000", message: "internal error of the gateway during start-up" },
  });
}

function timeOut(packetRead: boolean): Refusal {
  return new Refusal({
    code: "STARTUP_TIMEOUT",
    cause: packetRead ? "time-out during authentication" : "time-out before the startup packet was complete",
    answer: packetRead
      ? { sqlstate: "57014", message: "canceling authentication due to timeout" }
      : {
          sqlstate: "08P01",
          message: "startup time-out: no complete startup packet within the time allowed",
        },
  });
}

function tlsRequired(): Refusal {
  return new Refusal({
    code: "TLS_REQUIRED",
    cause: "the client did not use TLS",
    answer: {
      sqlstate: "28000",
      message: "this connection must be encrypted: no token is taken without TLS",
      hint: "Connect with TLS, for example with sslmode=verify-full.",
    },
  });
}

function notAdmitted(): Refusal {
  return new Refusal({
    code: "NOT_ADMITTED",
    cause: "the gateway does not admit this address at present",
    answer: { sqlstate: "53300", message: "too many connections", hint: "Try again later." },
  });
}

/** On the record once for each wait. */
function mustWait(gate: { readonly tell: boolean; readonly retryAfterSeconds: number }): Refusal | Over {
  const answer = {
    sqlstate: "53300",
    message: "too many failed logins from this address",
    hint: `Try again in ${gate.retryAfterSeconds} seconds.`,
  };
  if (!gate.tell) return new Over(answer);
  return new Refusal({ code: "LOCKED_OUT", cause: lockedOut("", gate.retryAfterSeconds), answer });
}

function unknownDatabase(database: string, tokenSha256: string): Refusal {
  const name = clean(database, 63);
  return new Refusal({
    code: "UNKNOWN_DATABASE",
    cause: `database ${JSON.stringify(name)} is not known`,
    answer: { sqlstate: "3D000", message: `database "${name}" is not known here` },
    tokenSha256,
  });
}
