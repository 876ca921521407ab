/** Counts of a period for plots: over time by verdict, and what there is most of. From the index's tallies, or from the records themselves. */
import { hourMs, Tally } from "../index/tally.ts";
import { type LogPlace, text } from "./leaves.ts";
import { searchLog } from "./search.ts";
import { readTallies } from "./stats.ts";

export interface OverviewFilters {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  /** Below an hour the records themselves are read. */
  readonly bucketMs: number;
  readonly subject?: string;
  readonly database?: string;
}

export interface Bucket {
  allow: number;
  deny: number;
  approve: number;
  /** Of those allowed: with masked columns. */
  masked: number;
}

export interface Count {
  count: number;
  denied: number;
}

export interface Overview {
  readonly statements: number;
  /** By the bucket's beginning. */
  readonly buckets: readonly (readonly [number, Bucket])[];
  readonly agents: readonly (readonly [string, Count])[];
  readonly people: readonly (readonly [string, Count])[];
  readonly tables: readonly (readonly [string, Count])[];
  readonly rules: readonly (readonly [string, Count])[];
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds from request to decision of approvals decided in the period, ascending. */
  readonly held: readonly number[];
  readonly notices: readonly string[];
}

const mostRecords = 200_000;
const mostNamed = 20;

/** Throws what the file system throws. */
export function overview(logs: readonly LogPlace[], filters: OverviewFilters): Overview {
  const sums = new Sums(filters);
  const notices: string[] = [];
  for (const log of logs) {
    if (filters.bucketMs < hourMs) fine(log, filters, sums, notices);
    else {
      const { tally, touched, notice } = readTallies(log);
      if (notice !== null) notices.push(`${log.name}: ${notice}`);
      sums.take(tally, touched);
    }
    held(log, filters, sums);
  }
  return sums.result(notices);
}

/** Each minute as an hour of its own, so that both ways count alike. */
function fine(log: LogPlace, filters: OverviewFilters, sums: Sums, notices: string[]): void {
  const { since, until, subject, database, bucketMs } = filters;
  const found = searchLog(
    log,
    {
      type: "statement.intent",
      since,
      until,
      ...(subject === undefined ? {} : { subject }),
      ...(database === undefined ? {} : { database }),
    },
    mostRecords,
  );
  if (found.notice !== null) notices.push(`${log.name}: ${found.notice}`);
  if (found.hits.length === mostRecords)
    notices.push(`${log.name}: only the latest ${mostRecords} statements count`);
  const tally = new Tally(bucketMs);
  for (const { leaf, outcome } of found.hits) {
    tally.statement(leaf, outcome === null ? null : String(outcome.status));
    tally.relations(leaf);
  }
  sums.take(tally.rows("tally"), tally.rows("touched"), bucketMs);
}

/** How long people took. */
function held(log: LogPlace, { since, until }: OverviewFilters, sums: Sums): void {
  // Asked some time before it was decided: a day covers every wait.
  const asked = new Map<string, number>();
  for (const { leaf } of searchLog(
    log,
    { type: "approval.requested", since: since - 86_400_000, until },
    10_000,
  ).hits) {
    const id = text(leaf, "approval");
    if (id !== null) asked.set(id, Date.parse(text(leaf, "time") ?? ""));
  }
  if (asked.size === 0) return;
  for (const { leaf } of searchLog(log, { type: "approval.decided", since, until }, 10_000).hits) {
    const id = text(leaf, "approval");
    const from = id === null ? undefined : asked.get(id);
    const state = text(leaf, "state");
    if (from === undefined || state === "pending" || text(leaf, "void") !== null) continue;
    sums.held.push(Math.max(0, Date.parse(text(leaf, "time") ?? "") - from));
    asked.delete(id ?? "");
  }
}

class Sums {
  readonly held: number[] = [];
  private readonly filters: OverviewFilters;
  private statements = 0;
  private readonly buckets = new Map<number, Bucket>();
  private readonly agents = new Map<string, Count>();
  private readonly people = new Map<string, Count>();
  private readonly tables = new Map<string, Count>();
  private readonly rules = new Map<string, Count>();
  private readonly statuses = new Map<string, number>();

  constructor(filters: OverviewFilters) {
    this.filters = filters;
  }

  /** `unit`: milliseconds that the rows' first member counts in. */
  take(tally: Iterable<[string, number]>, touched: Iterable<[string, number]>, unit = hourMs): void {
    for (const [key, n] of tally) {
      const [hour = "", subject = "", db = "", verdict = "", rule = "", status = ""] = key.split("\u0000");
      if (n === 0 || !this.fits(Number(hour) * unit, unit, subject, db)) continue;
      this.statements += n;
      const bucket = this.bucket(Number(hour) * unit);
      if (verdict === "allow" || verdict === "deny" || verdict === "approve") bucket[verdict] += n;
      // Labels, the default or the gateway itself decided: no rule is to be blamed, and none can be looked for.
      if (rule !== "") add(this.rules, rule, n, verdict);
      const ended = status === "" ? "none" : status;
      this.statuses.set(ended, (this.statuses.get(ended) ?? 0) + n);
    }
    for (const [key, n] of touched) {
      const [hour = "", subject = "", db = "", verdict = "", name = "", how = ""] = key.split("\u0000");
      if (n === 0 || !this.fits(Number(hour) * unit, unit, subject, db)) continue;
      if (how === "masked") {
        if (verdict !== "deny") this.bucket(Number(hour) * unit).masked += n;
      } else if (how === "kind") add(name === "agent" ? this.agents : this.people, subject, n, verdict);
      else add(this.tables, name, n, verdict);
    }
  }

  private fits(at: number, unit: number, subject: string, db: string): boolean {
    const { since, until, subject: who, database } = this.filters;
    return at + unit > since && at <= until && (who ?? subject) === subject && (database ?? db) === db;
  }

  private bucket(at: number): Bucket {
    const { bucketMs } = this.filters;
    const start = Math.floor(at / bucketMs) * bucketMs;
    const known = this.buckets.get(start) ?? { allow: 0, deny: 0, approve: 0, masked: 0 };
    this.buckets.set(start, known);
    return known;
  }

  result(notices: readonly string[]): Overview {
    return {
      statements: this.statements,
      buckets: [...this.buckets].sort(([a], [b]) => a - b),
      agents: most(this.agents),
      people: most(this.people),
      tables: most(this.tables),
      rules: most(this.rules),
      statuses: Object.fromEntries(this.statuses),
      held: this.held.sort((a, b) => a - b),
      notices,
    };
  }
}

function add(to: Map<string, Count>, name: string, n: number, verdict: string): void {
  const known = to.get(name) ?? { count: 0, denied: 0 };
  known.count += n;
  if (verdict === "deny") known.denied += n;
  to.set(name, known);
}

function most(counts: ReadonlyMap<string, Count>): [string, Count][] {
  return [...counts]
    .filter(([, { count }]) => count > 0)
    .sort(([a, m], [b, n]) => n.count - m.count || (a < b ? -1 : 1))
    .slice(0, mostNamed);
}
