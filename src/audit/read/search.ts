/** Searching a log by reading it: every filter of SPEC section 5, statements joined with their outcomes. */
import {
  at,
  type Entry,
  type Json,
  type LogPlace,
  list,
  parseLeaf,
  readLeaves,
  text,
  withBlobs,
} from "./leaves.ts";

export interface SearchFilters {
  readonly subject?: string;
  readonly group?: string;
  readonly database?: string;
  /** "schema.relation" or "relation". Where a statement was not analysed, the word is looked for in its stripped SQL. */
  readonly table?: string;
  /** Milliseconds since the epoch, inclusive. */
  readonly since?: number;
  readonly until?: number;
  readonly verdict?: string;
  readonly status?: string;
  /** Found anywhere in the record as stored (stripped SQL, names, errors), without regard to case. */
  readonly text?: string;
  /** The run the caller claims, its traceparent's trace id, or the session. */
  readonly run?: string;
}

export interface Hit extends Entry {
  /** The outcome of a statement; null when it has none (yet), or the record is no statement. */
  readonly outcome: Json | null;
}

/** The last `limit` records that fit, oldest first. */
export function searchLog(log: LogPlace, filters: SearchFilters, limit: number): Hit[] {
  const search = new Search(log, filters, limit);
  readLeaves(log, search);
  return search.hits();
}

class Search {
  private readonly log: LogPlace;
  private readonly filters: SearchFilters;
  private readonly limit: number;
  private readonly needle: string | null;
  /** Statements that fit so far and wait for their outcome. */
  private readonly waiting = new Map<number, Entry>();
  private found: Hit[] = [];

  constructor(log: LogPlace, filters: SearchFilters, limit: number) {
    this.log = log;
    this.filters = filters;
    this.limit = limit;
    this.needle = filters.text?.toLowerCase() ?? null;
  }

  leaf(buf: Buffer, start: number, end: number, index: number, segment: string, offset: number): boolean {
    const leaf = parseLeaf(buf, start, end);
    if (leaf === null) return true;
    if (leaf.type === "statement.outcome") this.outcome(leaf);
    else if (this.fits(leaf, buf.toString("utf8", start, end))) {
      const entry = { log: this.log.name, dir: this.log.dir, index, segment, offset, leaf };
      if (leaf.type === "statement.intent") this.waiting.set(index, entry);
      else if (this.filters.status === undefined) this.add({ ...entry, outcome: null });
    }
    return true;
  }

  private outcome(leaf: Json): void {
    const index = at(leaf, "intent.index");
    if (typeof index !== "number") return;
    const entry = this.waiting.get(index);
    if (entry === undefined) return;
    this.waiting.delete(index);
    if (this.filters.status === undefined || leaf.status === this.filters.status)
      this.add({ ...entry, outcome: leaf });
  }

  private add(hit: Hit): void {
    this.found.push(hit);
    // Twice the limit before the older half is dropped: cheap on average, bounded always.
    if (this.found.length > this.limit * 2 + 1024) this.found = this.latest();
  }

  private latest(): Hit[] {
    return this.found.sort((a, b) => a.index - b.index).slice(-this.limit);
  }

  hits(): Hit[] {
    if (this.filters.status === undefined)
      for (const entry of this.waiting.values()) this.found.push({ ...entry, outcome: null });
    return this.latest();
  }

  private fits(leaf: Json, stored: string): boolean {
    const f = this.filters;
    if (f.subject !== undefined && text(leaf, "principal.subject") !== f.subject) return false;
    if (f.group !== undefined && !list(leaf, "principal.groups")?.includes(f.group)) return false;
    if (f.database !== undefined && text(leaf, "database.name") !== f.database) return false;
    if (f.verdict !== undefined && text(leaf, "decision.verdict") !== f.verdict) return false;
    if (f.since !== undefined || f.until !== undefined) {
      const time = Date.parse(text(leaf, "time") ?? "");
      if (f.since !== undefined && !(time >= f.since)) return false;
      if (f.until !== undefined && !(time <= f.until)) return false;
    }
    if (f.run !== undefined && !isOfRun(leaf, f.run)) return false;
    if (f.table !== undefined && !touches(this.log.dir, leaf, f.table)) return false;
    return this.needle === null || stored.toLowerCase().includes(this.needle) || this.inBlobs(leaf);
  }

  private inBlobs(leaf: Json): boolean {
    const whole = withBlobs(this.log.dir, leaf);
    return this.needle !== null && JSON.stringify(whole).toLowerCase().includes(this.needle);
  }
}

function isOfRun(leaf: Json, run: string): boolean {
  if (text(leaf, "claimed.run") === run || leaf.session === run) return true;
  const parent = text(leaf, "claimed.traceparent");
  return parent !== null && (parent === run || parent.split("-")[1] === run);
}

/** Whether a statement touches the relation, as far as it was analysed; else whether its text names it. */
function touches(dir: string, leaf: Json, table: string): boolean {
  const whole = withBlobs(dir, leaf.statement);
  const reads = list(whole, "reads");
  const writes = list(whole, "writes");
  if (reads !== null || writes !== null)
    return [...(reads ?? []), ...(writes ?? [])].some((name) => name === table || name.endsWith(`.${table}`));
  const sql = text(whole, "sql");
  if (sql === null) return false;
  const word = table.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![\\w$])${word}(?![\\w$])`, "i").test(sql.replaceAll('"', ""));
}
