/** The story of one agent run, told from its records: pure, for the CLI and the API alike. */

import { compareShapes, type Evolution, type Shape } from "./evolution.ts";
import { runNames } from "./filters.ts";
import { at, isObject, type Json, list, number, text } from "./leaves.ts";
import { type Undone, UndoneSpans } from "./undone.ts";

/** A record of the run; `record` with blobs put back. */
export interface RunRecord {
  readonly log: string;
  readonly index: number;
  readonly record: Json;
  /** The outcome of a statement; null when there is none (yet). */
  readonly outcome: Json | null;
  /** What became of it with its transaction, where that was looked up (readUndone); else the records given here tell. */
  readonly undone?: Undone | null;
  /** What its seal held, where it was opened. */
  readonly opened: Json | null;
}

export interface RunStatement {
  /** From 1, in order of time. */
  readonly step: number;
  /** Which pass of the run (from 1): see `RunStory.passes`. */
  readonly pass: number;
  readonly log: string;
  readonly index: number;
  readonly time: string;
  readonly request: string | null;
  readonly database: string | null;
  /** Literals stripped; null where the text is sealed whole. */
  readonly sql: string | null;
  /** As it was sent, where the seal was opened. */
  readonly exact: string | null;
  readonly parameters: unknown;
  readonly fingerprint: string | null;
  /** The statement's shape is new in this run. */
  readonly fresh: boolean;
  readonly verdict: string | null;
  readonly rule: string | null;
  readonly code: string | null;
  /** null: no outcome on the record (yet). */
  readonly status: string | null;
  /** It was done, and its transaction took it back, or nobody saw whether it did; null: neither. */
  readonly undone: Undone | null;
  readonly sqlstate: string | null;
  readonly rows: number | null;
  readonly affected: number | null;
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly labels: readonly string[] | null;
  readonly masked: readonly string[];
}

/** One go of the agent: a session, or one trace of it; claims are what the caller said of itself then. */
export interface RunPass {
  readonly pass: number;
  readonly session: string;
  readonly subject: string | null;
  readonly kind: string | null;
  readonly claimed: Readonly<Record<string, string>>;
  /** The claimed prompt where its seal was opened, "(sealed)" where not; null: none was claimed. */
  readonly prompt: string | null;
  readonly first: string;
  readonly last: string;
  readonly statements: number;
}

export interface RunStory {
  readonly run: string;
  readonly first: string | null;
  readonly last: string | null;
  readonly passes: readonly RunPass[];
  readonly statements: readonly RunStatement[];
  /** Relations with the steps that read or changed them. */
  readonly read: Readonly<Record<string, readonly number[]>>;
  readonly changed: Readonly<Record<string, { readonly steps: readonly number[]; readonly rows: number }>>;
  /** Columns that were delivered masked. */
  readonly masked: readonly string[];
  /** Steps that were denied, cancelled or cut off, and those that failed. */
  readonly refused: readonly number[];
  readonly failed: readonly number[];
  /** Steps that were done and then undone by their transaction. */
  readonly undone: readonly number[];
  /** Steps whose relations are unknown: they were not analysed. */
  readonly unread: readonly number[];
  readonly evolution: Evolution;
  /** Other records of the run: sessions, approvals, in order. */
  readonly events: readonly {
    readonly time: string;
    readonly type: string;
    readonly log: string;
    readonly index: number;
  }[];
}

/** Tells the story of `run` from its records, in any order; those of other runs are left out. */
export function runStory(run: string, records: readonly RunRecord[]): RunStory {
  const own = records
    .filter((r) => runNames(r.record).includes(run))
    .sort(
      (a, b) => compare(timeText(a.record), timeText(b.record)) || compare(a.log, b.log) || a.index - b.index,
    );
  const passes: { key: string; pass: RunPass }[] = [];
  const prompts = new Map<string, string>();
  for (const { record, opened } of own) {
    const said = text(opened, "claimed.intent");
    if (said !== null) prompts.set(passKey(record), said);
  }
  const statements: RunStatement[] = [];
  const shapes: Shape[] = [];
  const seen = new Set<string>();
  const spans = new Map<string, UndoneSpans>();
  for (const { log, record, index } of own) {
    const known = spans.get(log) ?? new UndoneSpans();
    known.add(record, index);
    spans.set(log, known);
  }
  const events: { time: string; type: string; log: string; index: number }[] = [];
  for (const entry of own) {
    const { record } = entry;
    if (record.type !== "statement.intent") {
      events.push({
        time: timeText(record),
        type: text(record, "type") ?? "?",
        log: entry.log,
        index: entry.index,
      });
      continue;
    }
    const pass = passOf(passes, record, prompts);
    const statement = describe(entry, statements.length + 1, pass, seen, spans.get(entry.log));
    statements.push(statement);
    shapes.push({
      key: shapeKey(statement),
      step: statement.step,
      pass,
      sql: statement.sql,
      command: text(record, "statement.command"),
      relations: [...(statement.reads ?? []), ...(statement.writes ?? [])],
    });
  }
  return {
    run,
    first: own[0] === undefined ? null : timeText(own[0].record),
    last: own.length === 0 ? null : timeText(own.at(-1)?.record ?? {}),
    passes: passes.map(({ pass }) => pass),
    statements,
    read: relations(statements),
    changed: changes(statements),
    masked: [...new Set(statements.flatMap((s) => s.masked))].sort(),
    refused: steps(
      statements,
      (s) => s.verdict === "deny" || ["denied", "cancelled", "cut"].includes(s.status ?? ""),
    ),
    undone: steps(statements, (s) => s.undone?.fate === "rolled_back"),
    failed: steps(statements, (s) => s.status === "error" || s.status === "unknown"),
    unread: steps(statements, (s) => s.reads === null && s.writes === null),
    evolution: compareShapes(shapes, passes.length),
    events,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function timeText(record: Json): string {
  return text(record, "time") ?? "";
}

function passKey(record: Json): string {
  return `${text(record, "session") ?? ""} ${text(record, "claimed.traceparent") ?? ""}`;
}

/** The number of the pass a statement belongs to; begins a new one for a new session or trace. */
function passOf(
  passes: { key: string; pass: RunPass }[],
  record: Json,
  prompts: ReadonlyMap<string, string>,
): number {
  const key = passKey(record);
  const time = timeText(record);
  const place = passes.findIndex((p) => p.key === key);
  const known = passes[place];
  if (known !== undefined) {
    known.pass = { ...known.pass, last: time, statements: known.pass.statements + 1 };
    return known.pass.pass;
  }
  const claims = isObject(record.claimed) ? record.claimed : {};
  const claimed: Record<string, string> = {};
  for (const [name, value] of Object.entries(claims))
    if (typeof value === "string" && name !== "intent") claimed[name] = value;
  const pass: RunPass = {
    pass: passes.length + 1,
    session: text(record, "session") ?? "",
    subject: text(record, "principal.subject"),
    kind: text(record, "principal.kind"),
    claimed,
    prompt: prompts.get(key) ?? text(claims, "intent"),
    first: time,
    last: time,
    statements: 1,
  };
  passes.push({ key, pass });
  return pass.pass;
}

function describe(
  entry: RunRecord,
  step: number,
  pass: number,
  seen: Set<string>,
  spans: UndoneSpans | undefined,
): RunStatement {
  const { record, outcome, opened, log, index } = entry;
  const statement = {
    step,
    pass,
    log,
    index,
    time: timeText(record),
    request: text(record, "request"),
    database: text(record, "database.name"),
    sql: text(record, "statement.sql"),
    exact: text(opened, "sql"),
    parameters: at(opened, "parameters") ?? null,
    fingerprint: text(record, "statement.fingerprint"),
    verdict: text(record, "decision.verdict"),
    rule: text(record, "decision.rule"),
    code: text(record, "decision.code"),
    status: text(outcome, "status"),
    undone: entry.undone ?? spans?.of(record, index, outcome) ?? null,
    sqlstate: text(outcome, "sqlstate"),
    rows: number(outcome, "result.rows"),
    affected: number(outcome, "rows_affected"),
    reads: list(record, "statement.reads"),
    writes: list(record, "statement.writes"),
    labels: list(record, "statement.labels"),
    masked: list(record, "decision.masked") ?? [],
  };
  const key = shapeKey(statement);
  const fresh = !seen.has(key);
  seen.add(key);
  return { ...statement, fresh };
}

/** Statements without a fingerprint are told apart by their text; sealed ones by nothing, so each is its own. */
function shapeKey(s: {
  readonly fingerprint: string | null;
  readonly sql: string | null;
  readonly step: number;
}): string {
  return s.fingerprint ?? (s.sql === null ? `sealed ${s.step}` : `sql ${s.sql}`);
}

function relations(statements: readonly RunStatement[]): Record<string, number[]> {
  const found = new Map<string, number[]>();
  for (const s of statements) {
    if (s.verdict === "deny" || s.status === "denied") continue;
    for (const name of s.reads ?? []) found.set(name, [...(found.get(name) ?? []), s.step]);
  }
  return Object.fromEntries([...found].sort(([a], [b]) => compare(a, b)));
}

function changes(statements: readonly RunStatement[]): Record<string, { steps: number[]; rows: number }> {
  const found = new Map<string, { steps: number[]; rows: number }>();
  for (const s of statements) {
    // What failed, was refused or undone has changed nothing; what ended unseen may have.
    if (s.status !== "ok" && s.status !== "unknown" && s.status !== "cut") continue;
    if (s.undone?.fate === "rolled_back") continue;
    for (const name of s.writes ?? []) {
      const known = found.get(name) ?? { steps: [], rows: 0 };
      known.steps.push(s.step);
      known.rows += s.affected ?? 0;
      found.set(name, known);
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => compare(a, b)));
}

function steps(statements: readonly RunStatement[], which: (s: RunStatement) => boolean): number[] {
  return statements.filter(which).map((s) => s.step);
}
