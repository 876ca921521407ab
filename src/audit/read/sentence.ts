/** Records as a person reads them. */
import { adminSentence } from "./adminsentence.ts";
import { approvalSentence } from "./approvalsentence.ts";
import { at, type Json, list, number, text } from "./leaves.ts";
import { logSentence } from "./logsentence.ts";
import type { Undone } from "./undone.ts";

/** Text of a record on a terminal: control characters could move the cursor or recolour what is shown. */
export function printable(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  return value.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    if (c === "\n" || c === "\t") return " ";
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function short(value: string, limit = 160): string {
  const line = printable(value).replace(/ {2,}/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}

export function person(leaf: Json): string {
  const subject = text(leaf, "principal.subject");
  if (subject === null) return "somebody";
  const kind = text(leaf, "principal.kind");
  const actors = at(leaf, "principal.actor");
  const actor = Array.isArray(actors) && actors.length > 0 ? text(actors[0], "subject") : null;
  const agent = text(leaf, "claimed.agent");
  const through = actor === null ? "" : ` through ${actor}`;
  const says = agent === null ? "" : `, says it is ${agent}`;
  return printable(`${subject}${through} (${kind ?? "?"}${says})`);
}

/** The SQL of an intent with its literals stripped. */
export function sqlOf(intent: Json | null): string {
  const statement = intent?.statement;
  const sql = text(statement, "sql");
  if (sql !== null && sql !== "") return short(sql);
  const blob = at(statement, "sql.bytes");
  if (typeof blob === "number") return `a statement of ${blob} bytes`;
  return at(statement, "protocol") === "function" ? "a function call" : "a statement whose text is sealed";
}

export function duration(us: number | null): string {
  if (us === null) return "";
  if (us < 1000) return ` in ${us} µs`;
  return us < 1_000_000 ? ` in ${(us / 1000).toFixed(1)} ms` : ` in ${(us / 1_000_000).toFixed(2)} s`;
}

function plural(count: number | null, word: string): string {
  return `${count ?? "?"} ${word}${count === 1 ? "" : "s"}`;
}

function hiddenCells(outcome: Json): string {
  const counts = at(outcome, "result.masked_cells");
  if (!Array.isArray(counts)) return "";
  const sum = counts.reduce((all: number, one: unknown) => all + (typeof one === "number" ? one : 0), 0);
  return `, ${plural(sum, "cell")} masked`;
}

/** What an outcome says: "gave 3 rows (512 bytes) in 1.2 ms". */
export function became(outcome: Json): string {
  const took = duration(number(outcome, "duration_us"));
  const tag = text(outcome, "tag");
  const rows = number(outcome, "result.rows");
  const state = text(outcome, "sqlstate");
  const given = `${plural(rows, "row")} (${plural(number(outcome, "result.bytes"), "byte")})`;
  switch (text(outcome, "status")) {
    case "ok":
      if (at(outcome, "result.columns") === null || at(outcome, "result") === null)
        return `done${tag === null ? "" : `: ${printable(tag)}`}${took}`;
      return `gave ${given}${hiddenCells(outcome)}${at(outcome, "result.complete") === false ? ", not all" : ""}${took}`;
    case "error":
      return `failed with ${state ?? "an error"}${took}${outcome.skipped === true ? " (never run)" : ""}`;
    case "denied":
      return `was refused${state === null ? "" : ` with ${state}`}`;
    case "cancelled":
      return `was cancelled after ${given}${took}`;
    case "cut":
      return `was cut off after ${given}${took}`;
    default:
      return "has an unknown outcome: the gateway ended before it could see it";
  }
}

const causes: Readonly<Record<string, string>> = {
  rollback: "by ROLLBACK",
  savepoint: "by ROLLBACK TO SAVEPOINT",
  error: "because of an error in its transaction",
  commit_failed: "because the commit failed",
  session_ended: "because its session ended",
  gateway_killed: "because the gateway was killed in its transaction",
};

/** Why statements were undone: "because the commit failed (23503)". */
export function whyUndone(cause: string | null, sqlstate: string | null): string {
  return `${causes[cause ?? ""] ?? printable(cause ?? "")}${sqlstate === null ? "" : ` (${printable(sqlstate)})`}`;
}

/** What is to be said behind an outcome: " — then UNDONE by ROLLBACK". */
export function undoneText(undone: Undone | null): string {
  if (undone === null) return "";
  const why = whyUndone(undone.cause, undone.sqlstate);
  return undone.fate === "rolled_back"
    ? `, then UNDONE ${why}`
    : ", and nobody saw whether its transaction committed";
}

/** One line, one sentence. `intent`: the statement an outcome belongs to, if known; `outcome`: that of a statement, if known. */
export function sentence(
  leaf: Json,
  intent: Json | null = null,
  outcome: Json | null = null,
  undone: Undone | null = null,
): string {
  const time = printable(text(leaf, "time") ?? "");
  return `${time.slice(0, 10)} ${time.slice(11, 23)}  ${say(leaf, intent, outcome)}${undoneText(undone)}`;
}

function say(leaf: Json, intent: Json | null, outcome: Json | null): string {
  const database = printable(text(leaf, "database.name") ?? "?");
  switch (text(leaf, "type")) {
    case "statement.intent": {
      const rule = text(leaf, "decision.rule");
      const by = rule === null ? "" : ` by ${printable(rule)}`;
      const verdict = text(leaf, "decision.verdict");
      const sql = sqlOf(leaf);
      if (verdict === "deny") {
        const code = text(leaf, "decision.code");
        const why = rule !== null || code === null ? by : ` (${printable(code)})`;
        return `${person(leaf)} was denied${why} on ${database}: ${sql}`;
      }
      const held = verdict === "approve" ? `, which needs approval${by}` : "";
      const end = outcome === null ? "" : ` — ${became(outcome)}`;
      return `${person(leaf)} asked ${database}${held}: ${sql}${end}`;
    }
    case "statement.outcome":
      return intent === null
        ? `a statement of session ${text(leaf, "session") ?? "?"} ${became(leaf)}`
        : `${person(intent)}: ${short(sqlOf(intent), 60)} — ${became(leaf)}`;
    case "session.start": {
      const tls = text(leaf, "client.tls") ?? "no TLS";
      return `${person(leaf)} opened a session on ${database} as ${printable(text(leaf, "database.login") ?? "?")} from ${text(leaf, "client.ip") ?? "?"}:${number(leaf, "client.port") ?? "?"} (${tls})`;
    }
    case "session.end":
      return `${person(leaf)} left ${database}: ${short(text(leaf, "reason") ?? "")}; ${plural(number(leaf, "statements"), "statement")}`;
    case "transaction.rolled_back":
    case "transaction.unknown": {
      const what = plural(number(leaf, "intents.count"), "statement");
      const why = whyUndone(text(leaf, "cause"), text(leaf, "sqlstate"));
      return leaf.type === "transaction.rolled_back"
        ? `${what} of ${person(leaf)} on ${database} were undone ${why}`
        : `nobody saw whether ${what} of ${person(leaf)} on ${database} were undone`;
    }
    case "auth.failed":
      return `a connection from ${text(leaf, "client.ip") ?? "?"} to ${database} was refused: ${text(leaf, "code") ?? ""} ${short(text(leaf, "cause") ?? "")}`;
    case "log.opened":
      return `the log was opened by Postern ${printable(text(leaf, "version") ?? "?")}`;
    case "log.recovered": {
      const aside = number(leaf, "quarantined.bytes");
      const files = list(leaf, "quarantined.files")?.map(printable).join(", ");
      const set = aside === null ? "" : `, ${plural(aside, "byte")} set aside in ${files}`;
      return `the log was repaired: ${plural(number(leaf, "adopted"), "record")} adopted${set}, ${plural(number(leaf, "unresolved"), "statement")} of unknown outcome`;
    }
    case "log.closed":
      return `the log was closed: ${short(text(leaf, "reason") ?? "")}`;
    case "approval.requested":
    case "approval.decided":
    case "approval.expired":
    case "approval.used":
    case "admin.action":
      return printable(
        approvalSentence(leaf, person(leaf), database) ?? adminSentence(leaf, person(leaf)) ?? other(leaf),
      );
    case "config.changed":
    case "policy.changed":
      return printable(adminSentence(leaf, person(leaf)) ?? other(leaf));
    default: {
      const one = logSentence(leaf, person(leaf));
      return one === null ? other(leaf) : short(one, 400);
    }
  }
}

function other(leaf: Json): string {
  return `${printable(text(leaf, "type") ?? "record")} ${short(JSON.stringify(rest(leaf)))}`;
}

function rest(leaf: Json): Json {
  const { v: _v, id: _id, type: _type, time: _time, node: _node, ...fields } = leaf;
  return fields;
}
