/** Records of the audit trail → statements that can be decided again. */
import { at, type Entry, isObject, type Json, list, text, withBlobs } from "../../audit/read/leaves.ts";
import type { Effect } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Claimed } from "../../facts/session.ts";
import { effectNames, principalKinds, vias } from "../../policy/condition/facts.ts";
import type { RecordedStatement } from "../../policy/lab/replay.ts";

const isEffect = (word: string): word is Effect => (effectNames as readonly string[]).includes(word);
const verdicts = ["allow", "deny", "approve"] as const;

/** A statement.intent with its outcome (null: none is known); null when the record is not one that can be read. */
export function recordedStatement(entry: Entry, outcome: Json | null): RecordedStatement | null {
  const whole = withBlobs(entry.dir, entry.leaf);
  if (!isObject(whole) || whole.type !== "statement.intent") return null;
  const kind = principalKinds.find((one) => one === text(whole, "principal.kind"));
  const verdict = verdicts.find((one) => one === text(whole, "decision.verdict"));
  const time = new Date(text(whole, "time") ?? "");
  const subject = text(whole, "principal.subject");
  const issuer = text(whole, "principal.issuer");
  const database = text(whole, "database.name");
  if (kind === undefined || verdict === undefined || subject === null || issuer === null || database === null)
    return null;
  if (Number.isNaN(time.getTime())) return null;
  const claimed = claimedOf(whole);
  return {
    request: text(whole, "request") ?? "",
    time,
    principal: {
      subject,
      issuer,
      kind,
      groups: list(whole, "principal.groups") ?? [],
      actor: actorsOf(whole),
      provider: text(whole, "principal.provider") ?? "",
      token: { jti: null, sha256: "", issued: null, expires: 0 },
    },
    session: {
      database,
      role: text(whole, "database.login") ?? "",
      application: text(whole, "client.application"),
      clientIp: text(whole, "client.ip") ?? "",
      via: vias.find((one) => one === text(whole, "client.via")) ?? "wire",
      tls: text(whole, "client.tls") !== null,
      claimed,
    },
    // The claimed prompt is sealed; where nothing was claimed there is nothing to seal.
    sealedIntent: claimed.intent !== undefined,
    sql: text(whole, "statement.sql"),
    facts: factsOf(whole),
    ...formOf(whole),
    wouldCode: text(whole, "decision.would.code"),
    syntaxError: isSyntaxError(whole, outcome),
    verdict,
    rule: text(whole, "decision.rule"),
    code: text(whole, "decision.code"),
    masked: list(whole, "decision.masked") ?? [],
    outputs: outcome === null ? null : outputsOf(entry.dir, outcome),
  };
}

function factsOf(whole: Json): RecordedStatement["facts"] {
  const facts: { -readonly [Name in keyof RecordedStatement["facts"]]: RecordedStatement["facts"][Name] } =
    {};
  const kind = text(whole, "statement.kind");
  if (kind !== null) facts.kind = kind;
  const command = text(whole, "statement.command");
  if (command !== null) facts.command = command;
  const given = list(whole, "statement.effects");
  // An effect that this version does not know is as good as none recorded.
  if (given?.every(isEffect)) {
    facts.effects = given;
    // What writes nothing is no unbounded write; of what writes, the record does not say.
    if (!given.includes("write")) facts.unboundedWrite = false;
    // It has no query in it: conditions saw that it touches nothing.
    if (list(whole, "statement.columns") === null)
      Object.assign(facts, { reads: [], writes: [], columns: [], functions: [] });
  }
  const clauses = list(whole, "statement.clauses");
  if (clauses !== null) {
    facts.unboundedWrite = clauses.includes("unbounded_write");
    facts.hasWhere = clauses.includes("where");
    facts.hasLimit = clauses.includes("limit");
    const count = at(whole, "statement.statements");
    facts.statements = typeof count === "number" ? count : 1;
  }
  for (const name of ["reads", "writes", "columns", "functions"] as const) {
    const names = list(whole, `statement.${name}`);
    if (names !== null) facts[name] = names;
  }
  facts.fingerprint = text(whole, "statement.fingerprint");
  const state = text(whole, "statement.transaction.state");
  if (state !== null) facts.inTransaction = state !== "I";
  return facts;
}

/** The classes are those of PostgreSQL's own grammar and scanner (scan.l, gram.y). */
function isSyntaxError(whole: Json, outcome: Json | null): boolean {
  if (text(whole, "statement.kind") !== "unknown" || outcome === null) return false;
  return text(outcome, "status") === "error" && /^(?:22|42|0A|54)/.test(text(outcome, "sqlstate") ?? "");
}

/** Records of earlier versions do not say it. */
function formOf(whole: Json): Pick<RecordedStatement, "uses" | "severalWrites"> {
  const clauses = list(whole, "statement.clauses");
  if (clauses === null) return { uses: null, severalWrites: null };
  const uses: { -readonly [Place in keyof NonNullable<RecordedStatement["uses"]>]: readonly string[] } = {};
  for (const place of ["arbiter", "assigned", "derived", "equality", "predicate"] as const) {
    const columns = list(whole, `statement.uses.${place}`);
    if (columns !== null) uses[place] = columns;
  }
  return { uses, severalWrites: clauses.includes("several_writes") };
}

function actorsOf(whole: Json): Principal["actor"] {
  const principal = whole.principal;
  const actors = isObject(principal) ? principal.actor : null;
  if (!Array.isArray(actors)) return [];
  return actors.flatMap((one: unknown) => {
    const subject = text(one, "subject");
    return subject === null ? [] : [{ subject, issuer: text(one, "issuer") }];
  });
}

function claimedOf(whole: Json): Claimed {
  const claimed: { -readonly [Name in keyof Claimed]: Claimed[Name] } = {};
  for (const name of ["agent", "model", "run", "intent", "traceparent", "unmask"] as const) {
    const value = text(whole, `claimed.${name}`);
    if (value !== null) claimed[name] = value;
  }
  return claimed;
}

/** Origins of the result's columns; null when no result is recorded. */
function outputsOf(dir: string, outcome: Json): (string | null)[] | null {
  const whole = withBlobs(dir, outcome);
  const result = isObject(whole) ? whole.result : null;
  const columns = isObject(result) ? result.columns : null;
  return Array.isArray(columns) ? columns.map((column: unknown) => text(column, "origin")) : null;
}
