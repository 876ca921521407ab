/**
 * What can go wrong towards a database, in two languages: one for the client, who must not learn the server's address,
 * login or database name (PROTOCOL.md C3), and one for the operator and the audit log.
 */
import { randomBytes } from "node:crypto";

/** A connection to a database could not be made. The message is the cause: neither text holds a secret or an address. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  /** What the client gets, see {@link failures}. */
  readonly sqlstate: string;
  /** Neutral, safe for the client; names the reference where the operator can find out more. */
  readonly clientMessage: string;
  /** For the audit log and the operator: the database as postern.yaml names it, a class of failure, the server's SQLSTATE. */
  override readonly cause: string;
  /** Eight hex digits that stand in both texts. */
  readonly reference: string;

  constructor(sqlstate: string, clientText: string, database: string, cause: string) {
    const reference = randomBytes(4).toString("hex");
    const text = `database ${JSON.stringify(database)}: ${cause} (reference ${reference})`;
    super(text);
    this.sqlstate = sqlstate;
    this.clientMessage = clientText.replaceAll("<ref>", reference);
    this.cause = text;
    this.reference = reference;
  }
}

const where = "the operator finds the cause in the gateway's log under <ref>";

/** Codes of Node's and OpenSSL's errors are constants; anything else may hold a name or an address. */
function safeCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{0,79}$/.test(code) ? code : "no code";
}

/** SQLSTATE is five digits or upper-case letters (PostgreSQL manual, appendix A); a hostile server may send anything. */
function safeState(state: string | undefined): string | null {
  return state !== undefined && /^[0-9A-Z]{5}$/.test(state) ? state : null;
}

export type Failures = ReturnType<typeof failures>;

/** Makers of the errors of one database. SQLSTATE 08001: no connection; 08006: it broke; 58000: set-up at fault. */
export function failures(database: string) {
  function make(sqlstate: string, clientText: string, cause: string): UpstreamError {
    return new UpstreamError(sqlstate, clientText, database, cause);
  }
  return {
    code: safeCode,
    /** The server cannot be reached: refused, unknown name, no such socket. */
    unreachable: (error: unknown) =>
      make("08001", `the database cannot be reached; ${where}`, `no connection: ${safeCode(error)}`),
    /** TLS is not offered, or the handshake or a certificate failed. */
    tls: (what: string, error?: unknown) =>
      make(
        "08001",
        `no secure connection to the database could be made; ${where}`,
        error === undefined ? `TLS: ${what}` : `TLS: ${what}: ${safeCode(error)}`,
      ),
    timeout: () =>
      make("08006", `the database did not answer in time; ${where}`, "time-out while connecting"),
    aborted: () =>
      make(
        "08006",
        "the connection attempt was given up",
        "given up, the client is gone or the gateway ends",
      ),
    lost: (error?: unknown) =>
      make(
        "08006",
        `the connection to the database was lost; ${where}`,
        error === undefined ? "the server closed the connection" : `the connection broke: ${safeCode(error)}`,
      ),
    /** The server does not keep to the protocol. `what` must not quote it. */
    protocol: (what: string) =>
      make("08006", `the database gave no valid answer; ${where}`, `protocol violation: ${what}`),
    /** The gateway's own settings for this database do not work. */
    setup: (what: string) => make("58000", `the gateway could not log in to the database; ${where}`, what),
    /** The start-up settings the client asked for cannot be sent. */
    startup: (what: string) => make("08P01", `the startup settings are not acceptable; ${where}`, what),
    tooLarge: () =>
      make("54000", "the startup settings are too large", "start-up packet of more than 10000 bytes"),
    /** No free connection in the gateway's pool within the time limit. */
    exhausted: () =>
      make("53300", "too many connections to this database; try again later", "the pool's limit is reached"),
    shuttingDown: () => make("57P01", "the gateway is shutting down", "the pool is closed"),
    /** The server's ErrorResponse during start-up. `settings` are the names the client's packet gave. */
    server: (fields: ReadonlyMap<string, string>, settings: ReadonlyMap<string, string>) => {
      const state = safeState(fields.get("C"));
      if (state === null)
        return make("08006", `the database gave no valid answer; ${where}`, "an error without SQLSTATE");
      const cause = `the server refused with SQLSTATE ${state}`;
      const setting = namedSetting(fields.get("M"), settings);
      if (setting !== null) {
        return make(
          state,
          `the database refused the startup setting "${setting}"`,
          `${cause}, setting ${setting}`,
        );
      }
      // Clients retry on these, so they keep their code (PROTOCOL.md C5).
      if (state === "53300")
        return make(state, "too many connections to the database; try again later", cause);
      if (state === "57P03")
        return make(state, "the database cannot accept connections now; try again later", cause);
      if (state === "57P01" || state === "57P02")
        return make(state, "the database is shutting down; try again later", cause);
      if (state.startsWith("53"))
        return make(state, `the database lacks resources for a connection; ${where}`, cause);
      if (state.startsWith("22") || state === "42704" || state === "55P02") {
        return make(state, `the database refused a startup setting; ${where}`, cause);
      }
      return make("58000", `the database refused the gateway's login; ${where}`, cause);
    },
  };
}

/** PostgreSQL names the setting it refuses in quotes; it is told to the client only if the client's own packet named it. */
function namedSetting(message: string | undefined, settings: ReadonlyMap<string, string>): string | null {
  const name = /(?:parameter|setting) "([^"]{1,100})"/.exec(message ?? "")?.[1]?.toLowerCase();
  if (name === undefined) return null;
  for (const known of settings.keys()) if (known.toLowerCase() === name) return known;
  return null;
}
