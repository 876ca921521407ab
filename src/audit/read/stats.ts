/** Counts of a log: how many statements, by verdict, principal, relation, rule, outcome and hour. */
import type { IndexReader } from "../index/reader.ts";
import { countedOf, hourMs, isCounted, Tally } from "../index/tally.ts";
import { intentOf, timeOf } from "./filters.ts";
import {
  isObject,
  type Json,
  type LogPlace,
  type LogPosition,
  parseLeaf,
  readBatches,
  withBlobs,
} from "./leaves.ts";
import { isSqlite, openIndex } from "./search.ts";

export interface StatsFilters {
  readonly subject?: string;
  readonly database?: string;
  readonly verdict?: string;
  /** Milliseconds since the epoch. Counts are kept by the hour: the hours in which these lie count whole. */
  readonly since?: number;
  readonly until?: number;
}

export type Counts = Readonly<Record<string, number>>;

export interface Stats {
  readonly statements: number;
  readonly verdict: Counts;
  readonly principal: Counts;
  readonly database: Counts;
  readonly rule: Counts;
  /** "none": no outcome yet. */
  readonly status: Counts;
  /** Statements that read or wrote a relation, as far as they were analysed. */
  readonly reads: Counts;
  readonly writes: Counts;
  /** By the hour's beginning, e.g. "2026-11-22T10:00Z". */
  readonly hour: Counts;
}

export interface StatsResult {
  readonly stats: Stats;
  readonly from: "index" | "segments";
  readonly notice: string | null;
}

/** Throws what the file system throws. */
export function logStats(log: LogPlace, filters: StatsFilters, scan = false): StatsResult {
  const { tally, touched, from, notice } = readTallies(log, scan);
  return { stats: addUp(tally, touched, filters), from, notice };
}

/** The rows of both tallies (tally.ts), the records behind the index's end among them. Throws what the file system throws. */
export function readTallies(
  log: LogPlace,
  scan = false,
): {
  readonly tally: Iterable<[string, number]>;
  readonly touched: Iterable<[string, number]>;
  readonly from: "index" | "segments";
  readonly notice: string | null;
} {
  let notice: string | null = null;
  if (!scan) {
    const { reader, problem } = openIndex(log);
    notice = problem;
    if (reader !== null) {
      try {
        const tally = new Tally();
        count(log, tally, reader.position, reader);
        return {
          tally: [...indexed(reader, "tally"), ...tally.rows("tally")],
          touched: [...indexed(reader, "touched"), ...tally.rows("touched")],
          from: "index",
          notice: null,
        };
      } catch (error) {
        if (!isSqlite(error)) throw error;
        notice = `the index does not answer (${error.message}): all of the log was read instead`;
      } finally {
        reader.close();
      }
    }
  }
  const tally = new Tally();
  count(log, tally, null, null);
  return { tally: tally.rows("tally"), touched: tally.rows("touched"), from: "segments", notice };
}

function indexed(reader: IndexReader, which: "tally" | "touched"): [string, number][] {
  return reader.database
    .prepare(`SELECT * FROM ${which}`)
    .all()
    .map(({ count: n, ...key }) => [Object.values(key).join("\u0000"), Number(n)]);
}

/** Counts the records from `from` on; `index` knows the statements before. */
function count(log: LogPlace, tally: Tally, from: LogPosition | null, index: IndexReader | null): void {
  const open = new Map<number, Json>();
  const counted = index === null ? { hour: 0, index: 0 } : countedOf(index.database);
  readBatches(log, from, {
    leaf(buf, start, end, at) {
      const leaf = parseLeaf(buf, start, end);
      if (leaf === null) return;
      if (leaf.type === "statement.intent") {
        const whole = withBlobs(log.dir, leaf);
        const intent = isObject(whole) ? whole : leaf;
        tally.statement(intent, null);
        tally.relations(intent);
        open.set(at, intent);
        return;
      }
      const of = intentOf(leaf);
      if (of === null) return;
      const earlier = from !== null && of < from.index ? (index?.record(of) ?? null) : null;
      const intent = open.get(of) ?? (earlier?.outcome === null ? earlier.record : undefined);
      open.delete(of);
      if (intent === undefined) return;
      if (index !== null && earlier !== null && !isCounted(counted, of, timeOf(intent))) return;
      tally.statement(intent, null, -1);
      tally.statement(intent, String(leaf.status));
    },
    batch: () => true,
  });
}

function addUp(
  rows: Iterable<[string, number]>,
  touched: Iterable<[string, number]>,
  filters: StatsFilters,
): Stats {
  const since = filters.since === undefined ? Number.NEGATIVE_INFINITY : Math.floor(filters.since / hourMs);
  const until = filters.until === undefined ? Number.POSITIVE_INFINITY : Math.floor(filters.until / hourMs);
  const verdict = new Map<string, number>();
  const principal = new Map<string, number>();
  const database = new Map<string, number>();
  const rule = new Map<string, number>();
  const status = new Map<string, number>();
  const hours = new Map<string, number>();
  const access = { reads: new Map<string, number>(), writes: new Map<string, number>() };
  let statements = 0;
  const fits = (hour: number, subject: string, db: string, decided: string) =>
    hour >= since &&
    hour <= until &&
    (filters.subject === undefined || subject === filters.subject) &&
    (filters.database === undefined || db === filters.database) &&
    (filters.verdict === undefined || decided === filters.verdict);
  for (const [key, n] of rows) {
    const [hour = "", subject = "", db = "", decided = "", by = "", ended = ""] = key.split("\u0000");
    if (n === 0 || !fits(Number(hour), subject, db, decided)) continue;
    statements += n;
    add(verdict, decided, n);
    add(principal, subject, n);
    add(database, db, n);
    add(rule, by === "" ? "none" : by, n);
    add(status, ended === "" ? "none" : ended, n);
    add(hours, `${new Date(Number(hour) * hourMs).toISOString().slice(0, 16)}Z`, n);
  }
  for (const [key, n] of touched) {
    const [hour = "", subject = "", db = "", decided = "", relation = "", how = ""] = key.split("\u0000");
    if ((how === "reads" || how === "writes") && fits(Number(hour), subject, db, decided))
      add(how === "writes" ? access.writes : access.reads, relation, n);
  }
  return {
    statements,
    verdict: sorted(verdict),
    principal: sorted(principal),
    database: sorted(database),
    rule: sorted(rule),
    status: sorted(status),
    reads: sorted(access.reads),
    writes: sorted(access.writes),
    hour: Object.fromEntries([...hours].filter(([, n]) => n !== 0).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function add(to: Map<string, number>, name: string, n: number): void {
  to.set(name, (to.get(name) ?? 0) + n);
}

/** Largest first. Names are the caller's: `__proto__` must stay a name. */
function sorted(counts: ReadonlyMap<string, number>): Counts {
  const entries = [...counts].filter(([, n]) => n !== 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return Object.fromEntries(entries);
}

/** The counts of several logs together. */
export function addStats(all: readonly Stats[]): Stats {
  const join = (name: Exclude<keyof Stats, "statements">): Counts => {
    const sum = new Map<string, number>();
    for (const stats of all) for (const [key, n] of Object.entries(stats[name])) add(sum, key, n);
    if (name !== "hour") return sorted(sum);
    return Object.fromEntries([...sum].sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  return {
    statements: all.reduce((sum, s) => sum + s.statements, 0),
    verdict: join("verdict"),
    principal: join("principal"),
    database: join("database"),
    rule: join("rule"),
    status: join("status"),
    reads: join("reads"),
    writes: join("writes"),
    hour: join("hour"),
  };
}
