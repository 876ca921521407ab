/**
 * Objects of one database that sessions change through this gateway. A statement that waits, for a lock or behind others of its
 * session, is read by the server when it runs: by then its names may stand for something else than when it was judged.
 */
import type { Judgement } from "./judgement.ts";
import type { Shape } from "./names.ts";
import type { Reason } from "./state.ts";

/** Of one database, shared by all logins. */
export interface Changes {
  /** Sessions with changes that the server has not said to be committed or taken back, and what these are confined to. */
  readonly open: Map<object, Reach>;
  /** Those of them whose commit, or only statement, is on its way. */
  readonly ending: Set<object>;
  /** How many sessions' changes have come to an end. */
  settled: number;
}

/** Names of the relations that a change is confined to; null: other names may stand for something else behind it. */
export type Reach = ReadonlySet<string> | null;

/** One session's share. */
export interface OwnChanges {
  readonly shared: Changes;
  /** How many of `settled` were its own. */
  settled: number;
}

export function noChanges(): Changes {
  return { open: new Map(), ending: new Set(), settled: 0 };
}

/**
 * They change nothing that an analysed name stands for. A new table may stand before another of its name, but what it holds came
 * there without a label.
 */
const meaningless: ReadonlySet<string> = new Set([
  "ANALYZE",
  "CHECKPOINT",
  "CLUSTER",
  "COMMENT",
  "CREATE INDEX",
  "CREATE SEQUENCE",
  "CREATE STATISTICS",
  "CREATE TABLE",
  "CREATE TABLE AS",
  "REFRESH MATERIALIZED VIEW",
  "REINDEX",
  "SELECT",
  "VACUUM",
]);

/** A statement is on its way to the server. */
export function noteChange(own: OwnChanges, { after, facts, inTransaction }: Judgement): void {
  const { open, ending } = own.shared;
  const changes =
    after.objects &&
    !meaningless.has(facts.command) &&
    facts.effects.some((effect) => effect === "ddl" || effect === "admin" || effect === "execute");
  if (changes) open.set(own, together(open.get(own), after.within));
  if (open.has(own) && ((changes && !inTransaction) || after.commits)) ending.add(own);
}

function together(before: Reach | undefined, more: Reach): Reach {
  if (before === undefined) return more;
  return before === null || more === null ? null : new Set([...before, ...more]);
}

/**
 * What a definition is confined to: what it says of one table, however long it waits for that or rewrites it, changes nothing for
 * statements about others.
 */
export function reachOf({ command, facts: { relations, definition } }: Shape): Reach {
  if (command !== "ALTER TABLE" || relations.length === 0 || definition?.moved != null) return null;
  return new Set(relations.map(({ name }) => name));
}

/** Whether what a change is confined to is touched by a statement. */
function reaches(reach: Reach | undefined, { facts, view }: Judgement): boolean {
  if (reach == null || view === null || facts.effects.includes("execute")) return true;
  const named = (text: string) => {
    if (!plainName.test(text)) return true;
    const dot = text.indexOf(".");
    const name = text.slice(dot + 1);
    if (reach.has(name)) return true;
    // What is said of a table is said of those that inherit from it.
    const relation = view.catalog.relationNamed(text.slice(0, dot), name);
    return relation === undefined || relation.parents.length > 0;
  };
  return facts.reads.some(named) || facts.writes.some(named);
}

const plainName = /^[^."]+\.[^."]+$/;

/** The session is outside of a transaction, or over: everybody sees what it changed, or nobody does. */
export function noteSettled(own: OwnChanges): void {
  own.shared.ending.delete(own);
  if (!own.shared.open.delete(own)) return;
  own.shared.settled++;
  own.settled++;
}

/** Another session is changing objects: what was found out before need not hold when a statement runs. */
export function othersChange(own: OwnChanges): boolean {
  const { open } = own.shared;
  return open.size > (open.has(own) ? 1 : 0);
}

/** The state of the others' changes, to be compared later. */
export function changesNow(own: OwnChanges): number {
  return own.shared.settled - own.settled;
}

/** Whether others' changes may have come into force since then that a statement depends on. */
export function changedSince(own: OwnChanges, then: number, judgement: Judgement): boolean {
  if (changesNow(own) !== then) return true;
  const { open, ending } = own.shared;
  if (ending.size > 0)
    for (const other of ending) if (other !== own && reaches(open.get(other), judgement)) return true;
  return false;
}

export const changedMeanwhile: Reason = {
  sqlstate: "40001",
  code: "CATALOG_CHANGED",
  message: "policy: another session changed objects of the database while the statement waited",
  hint: "Send it again.",
  retryable: true,
};
