/**
 * What a client may set when it connects. PostgreSQL takes any setting in the startup packet and in its `options`
 * (manual, "Message Formats: StartupMessage"; postinit.c, process_startup_options); here only what is listed passes,
 * and everything else is refused by name, before a token is asked for.
 */
import type { Claimed } from "../../facts/session.ts";
import { parseOptions } from "../../protocol/index.ts";
import type { ApprovalWish } from "../ports.ts";
import { Refusal } from "./refusal.ts";
import { clean, hasControl } from "./text.ts";

interface Setting {
  /** As PostgreSQL spells it, for the client's eyes. */
  readonly name: string;
  /** Who needs it, and why it does no harm. */
  readonly reason: string;
  /** Gives the value to send upstream, null to refuse it. Default: any text; the server checks it. */
  readonly accept?: (value: string) => string | null;
  /** What `accept` takes, for the client's eyes. */
  readonly expected?: string;
}

/**
 * PostgreSQL compares encoding names without case and without anything but letters and digits (encnames.c,
 * clean_encoding_name): asyncpg sends "'utf-8'", r2dbc and Vert.x "utf8". psql on a terminal without a locale (a bare
 * container) sends SQL_ASCII, which asks for no conversion: it gets UTF8, and is told so by ParameterStatus.
 */
function utf8(value: string): string | null {
  const name = value.replaceAll(/[^a-zA-Z0-9]/g, "").toLowerCase();
  return name === "utf8" || name === "unicode" || name === "sqlascii" ? "UTF8" : null;
}

/** Below "notice" the server would tell of itself (debug) or of the login it was reached with (log). */
function quietLevel(value: string): string | null {
  const level = value.toLowerCase();
  return level === "notice" || level === "warning" || level === "error" ? level : null;
}

const list: readonly Setting[] = [
  {
    name: "client_encoding",
    reason:
      "All drivers send it. Only UTF-8: in encodings like SJIS or GBK a byte of a character can read as a quote or backslash to a parser that does not know them.",
    accept: utf8,
    expected: "UTF8",
  },
  { name: "DateStyle", reason: "pgjdbc, lib/pq, sqlx, Vert.x, PGDATESTYLE. Form of dates in text." },
  { name: "IntervalStyle", reason: "pg_regress, some ORMs. Form of intervals in text." },
  { name: "TimeZone", reason: "pgjdbc, Npgsql, sqlx, PGTZ. Form of timestamps, and what now()::date is." },
  { name: "extra_float_digits", reason: "pgjdbc, lib/pq, sqlx, r2dbc. Form of floats in text." },
  { name: "bytea_output", reason: "Drivers that read hex or escape only. Form of bytea in text." },
  {
    name: "search_path",
    reason:
      "pgjdbc currentSchema, Npgsql, Django, Prisma. The gateway's own queries name every schema (CVE-2025-12819 came of not doing so).",
  },
  {
    name: "statement_timeout",
    reason: "Drivers, ORMs and operators. Ends only the client's own statements.",
  },
  { name: "lock_timeout", reason: "Migration tools, r2dbc. Ends only the client's own waits." },
  { name: "idle_in_transaction_session_timeout", reason: "ORMs. Ends only the client's own session." },
  {
    name: "transaction_timeout",
    reason: "ORMs from PostgreSQL 17 on. Ends only the client's own transaction.",
  },
  {
    name: "default_transaction_isolation",
    reason: "ORMs, pg_dump-like tools. A client may say it by BEGIN as well.",
  },
  {
    name: "default_transaction_read_only",
    reason: "Careful agents and reporting tools. No barrier either way: BEGIN says the same.",
  },
  { name: "default_transaction_deferrable", reason: "Reporting tools. Only makes serializable reads wait." },
  { name: "geqo", reason: "libpq sends PGGEQO. A planner switch, of no weight for what is allowed." },
  { name: "jit", reason: "asyncpg, SQLAlchemy and others turn it off. A planner switch as well." },
  {
    name: "client_min_messages",
    reason:
      "ORMs and scripts that want fewer notices. Debug and log levels are refused: they tell of the server and the login.",
    accept: quietLevel,
    expected: "notice, warning or error",
  },
];

/** Settings a client may send, by PostgreSQL's name in lower case; `application_name` and `postern.*` stay here. */
export const allowedSettings: ReadonlyMap<string, Setting> = new Map(
  list.map((setting) => [setting.name.toLowerCase(), setting]),
);

/** Longest value of what a client claims of itself, in UTF-8 bytes. */
const claims: ReadonlyMap<string, { readonly field: keyof Claimed; readonly maxBytes: number }> = new Map([
  ["postern.agent", { field: "agent", maxBytes: 128 }],
  ["postern.model", { field: "model", maxBytes: 128 }],
  ["postern.run", { field: "run", maxBytes: 128 }],
  ["postern.intent", { field: "intent", maxBytes: 2048 }],
  ["postern.unmask", { field: "unmask", maxBytes: 512 }],
  ["postern.traceparent", { field: "traceparent", maxBytes: 256 }],
]);

/** Longest reason for going ahead without approval. */
const maxReasonBytes = 500;

/** What a startup packet says, sorted. */
export interface StartupFacts {
  /** Free text, cleaned: recorded, never trusted. */
  readonly user: string;
  /** As sent; to be compared, and cleaned before it is shown. */
  readonly database: string;
  readonly application: string | null;
  /** To be sent upstream; names in lower case. */
  readonly settings: ReadonlyMap<string, string>;
  readonly claimed: Claimed;
  readonly approvals: ApprovalWish;
  readonly replication: "off" | "physical" | "database";
}

/**
 * Sorts the parameters of a startup packet.
 * @param parameters as decoded, `_pq_.*` included (they are protocol options and are passed over).
 * Throws Refusal: USER_MISSING (28000), PARAMETER_REFUSED (0A000 for a name, 22023 for a value); ProtocolError for `options` that are not settings.
 */
export function readParameters(parameters: ReadonlyMap<string, string>): StartupFacts {
  const user = parameters.get("user") ?? "";
  if (user === "")
    throw new Refusal({
      code: "USER_MISSING",
      cause: "no user in the startup packet",
      answer: { sqlstate: "28000", message: "no PostgreSQL user name specified in startup packet" },
    });
  const settings = new Map<string, string>();
  const claimed: { -readonly [K in keyof Claimed]: Claimed[K] } = {};
  let application: string | null = null;
  let approvals: ApprovalWish = { tickets: false, breakGlass: null };
  for (const [sent, value] of inOrder(parameters)) {
    const name = sent.toLowerCase();
    const claim = claims.get(name);
    const setting = allowedSettings.get(name);
    if (name === "application_name") {
      application = value === "" ? null : clean(value);
    } else if (claim !== undefined) {
      const text = acceptClaim(name, value, claim.maxBytes);
      if (text === "") delete claimed[claim.field];
      else claimed[claim.field] = text;
    } else if (name === "postern.hold") {
      if (value !== "wait" && value !== "ticket") throw valueRefused(name, "wait or ticket");
      approvals = { ...approvals, tickets: value === "ticket" };
    } else if (name === "postern.break_glass") {
      const reason = acceptClaim(name, value, maxReasonBytes);
      approvals = { ...approvals, breakGlass: reason === "" ? null : reason };
    } else if (setting !== undefined) {
      const accepted = setting.accept === undefined ? value : setting.accept(value);
      if (accepted === null) throw valueRefused(setting.name, setting.expected ?? "");
      settings.set(name, accepted);
    } else {
      throw nameRefused(sent);
    }
  }
  return {
    user: clean(user),
    database: parameters.get("database") || user,
    application,
    settings,
    claimed,
    approvals,
    replication: readReplication(parameters.get("replication")),
  };
}

/** Settings in the order PostgreSQL applies them: those in `options` first, then the packet's own, so that these win. */
function* inOrder(parameters: ReadonlyMap<string, string>): Generator<readonly [string, string]> {
  yield* parseOptions(parameters.get("options") ?? "");
  for (const [name, value] of parameters) {
    // As in ProcessStartupPacket, these four are compared with their case.
    if (name === "user" || name === "database" || name === "options" || name === "replication") continue;
    if (name.startsWith("_pq_.")) continue;
    yield [name, value];
  }
}

/** Whether a claim (`postern.agent` …) may be recorded: known, no longer than allowed, and one line. */
export function acceptedClaim(name: string, value: string): boolean {
  const claim = claims.get(name);
  return claim !== undefined && Buffer.byteLength(value) <= claim.maxBytes && !hasControl(value);
}

function acceptClaim(name: string, value: string, maxBytes: number): string {
  if (Buffer.byteLength(value) > maxBytes) throw valueRefused(name, `at most ${maxBytes} bytes`);
  if (hasControl(value)) throw valueRefused(name, "one line without control characters");
  return value;
}

/** `replication` is "database" or what parse_bool() takes: prefixes of true, false, yes, no; on, off, 1, 0; any case. */
function readReplication(value: string | undefined): "off" | "physical" | "database" {
  if (value === undefined) return "off";
  if (value === "database") return "database";
  const text = value.toLowerCase();
  if (text === "1" || text === "on" || isPrefix(text, "true") || isPrefix(text, "yes")) return "physical";
  if (text === "0" || text === "of" || text === "off" || isPrefix(text, "false") || isPrefix(text, "no"))
    return "off";
  throw valueRefused("replication", "false, 0, true, 1 or database");
}

function isPrefix(text: string, word: string): boolean {
  return text !== "" && word.startsWith(text);
}

function nameRefused(sent: string): Refusal {
  const name = clean(sent, 63);
  return new Refusal({
    code: "PARAMETER_REFUSED",
    cause: `startup parameter ${JSON.stringify(name)} is not allowed`,
    answer: {
      sqlstate: "0A000",
      message: `startup parameter "${name}" is not allowed here`,
      detail: `Allowed are: ${[...list.map((s) => s.name), "application_name", ...claims.keys(), "postern.hold", "postern.break_glass"].join(", ")}.`,
      hint: "Remove it from the connection settings (also from options and PGOPTIONS); after connecting, SET may be allowed.",
    },
  });
}

function valueRefused(name: string, expected: string): Refusal {
  return new Refusal({
    code: "PARAMETER_REFUSED",
    cause: `value of startup parameter ${JSON.stringify(name)} is not allowed; expected ${expected}`,
    answer: {
      sqlstate: "22023",
      message: `invalid value for startup parameter "${name}"`,
      detail: `Expected is: ${expected}.`,
    },
  });
}
