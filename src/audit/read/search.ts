/** Searching a log: through its index where there is one, the segments behind where the index ends, and else by reading it all. */
import type { KeyObject } from "node:crypto";
import { IndexReader, type TamperedRow } from "../index/reader.ts";
import { segmentName } from "../verify/segment.ts";
import { intentOf, RecordFilter, type SearchFilters } from "./filters.ts";
import {
  type Entry,
  isObject,
  type Json,
  type LogPlace,
  type LogPosition,
  originOf,
  parseLeaf,
  readBatches,
  withBlobs,
} from "./leaves.ts";
import { QuickFilter, quickOutcome } from "./quick.ts";
import { Opener } from "./unseal.ts";

export type { SearchFilters } from "./filters.ts";

export interface Hit extends Entry {
  /** The outcome of a statement; null when it has none (yet), or the record is no statement. */
  readonly outcome: Json | null;
}

export interface SearchOptions {
  /** Reads the segments although there is an index. */
  readonly scan?: boolean;
  /** Folder of the keys: for `value`. */
  readonly keys?: string | null;
}

export interface SearchResult {
  /** Oldest first. */
  readonly hits: readonly Hit[];
  readonly from: "index" | "segments";
  /** Rows of the index that do not say what their records say: they are not among the hits. */
  readonly tampered: readonly TamperedRow[];
  /** What the reader should know of how it was searched; null: nothing. */
  readonly notice: string | null;
}

/** The last `limit` records that fit. Throws what the file system throws, and AuditOpenError when keys are needed and missing. */
export function searchLog(
  log: LogPlace,
  filters: SearchFilters,
  limit: number,
  options: SearchOptions = {},
): SearchResult {
  const filter = new RecordFilter(filters);
  let notice: string | null = null;
  if (options.scan !== true) {
    const opened = openIndex(log);
    if (opened.reader !== null) {
      try {
        return searchIndex(log, opened.reader, filter, limit, options);
      } catch (error) {
        if (!isSqlite(error)) throw error;
        notice = `the index does not answer (${error.message}): "postern audit reindex" makes it anew; all of the log was read instead`;
      } finally {
        opened.reader.close();
      }
    } else notice = opened.problem;
  }
  if (filters.value !== undefined)
    return {
      hits: [],
      from: "segments",
      tampered: [],
      notice: `a known value can only be searched in the index${notice === null ? "" : `; ${notice}`}`,
    };
  const scan = new Scan(log, filter, limit);
  scan.read(null);
  return { hits: scan.latest(), from: "segments", tampered: [], notice };
}

/** The index of a log, or why there is none. */
export function openIndex(
  log: LogPlace,
):
  | { readonly reader: IndexReader; readonly problem: null }
  | { readonly reader: null; readonly problem: string } {
  try {
    const reader = IndexReader.open(log);
    if (reader !== null) return { reader, problem: null };
    return {
      reader: null,
      problem: 'there is no index ("postern audit reindex" makes one): all of the log was read instead',
    };
  } catch (error) {
    if (!isSqlite(error)) throw error;
    return {
      reader: null,
      problem: `the index cannot be opened (${error.message}): all of the log was read instead`,
    };
  }
}

export function isSqlite(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}

function searchIndex(
  log: LogPlace,
  index: IndexReader,
  filter: RecordFilter,
  limit: number,
  options: SearchOptions,
): SearchResult {
  const { filters } = filter;
  const dayKey = filters.value === undefined ? null : dayKeys(log, options.keys ?? null);
  const tail = new Scan(log, filter, limit);
  // A known value is known of what the index has read: the little behind it will be found in a second.
  if (filters.value === undefined) tail.read(index.position);
  else tail.outcomesOnly(index.position);
  const found: Hit[] = [];
  // Intents the index has without an outcome that have one in the tail.
  for (const [intent, outcome] of tail.orphans) {
    if (filters.status === undefined || outcome.status !== filters.status || filters.value !== undefined)
      continue;
    const hit = index.record(intent);
    if (hit !== null && filter.fits(hit.record, intent)) found.push(asHit(log, hit, outcome));
  }
  const wanted = Math.max(0, limit - tail.latest().length);
  let taken = 0;
  if (wanted > 0)
    for (const hit of index.search(filter, dayKey)) {
      const outcome = hit.outcome ?? tail.orphans.get(hit.index) ?? null;
      if (filters.status !== undefined && outcome?.status !== filters.status) continue;
      if (found.some((f) => f.index === hit.index)) continue;
      found.push(asHit(log, hit, outcome));
      if (++taken >= wanted) break;
    }
  const hits = [...found, ...tail.latest()].sort((a, b) => a.index - b.index).slice(-limit);
  let notice: string | null = null;
  if (filters.value !== undefined && !index.keyed)
    notice = "the index holds no known values: it was made without the keys";
  if (tail.count > 100_000) notice = `the index is ${tail.count} records behind: these were read one by one`;
  return { hits, from: "index", tampered: index.tampered, notice };
}

function asHit(
  log: LogPlace,
  hit: { index: number; first: number; offset: number; leaf: Json },
  outcome: Json | null,
): Hit {
  const { index, first, offset, leaf } = hit;
  return { log: log.name, dir: log.dir, index, segment: segmentName(first), offset, leaf, outcome };
}

function dayKeys(log: LogPlace, keys: string | null): ((day: string) => KeyObject | null) | null {
  if (keys === null) return null;
  const opener = new Opener(log.dir, originOf(log) ?? "", keys);
  return (day) => opener.day(day);
}

/** Reads records one by one and keeps the latest that fit, statements joined with their outcomes. */
class Scan {
  /** Records read. */
  count = 0;
  /** Outcomes of statements that stand before the place where reading began. */
  readonly orphans = new Map<number, Json>();
  private readonly log: LogPlace;
  private readonly filter: RecordFilter;
  private readonly quick: QuickFilter;
  private readonly limit: number;
  /** Statements that fit so far and wait for their outcome. */
  private readonly waiting = new Map<number, Entry>();
  private found: Hit[] = [];
  private ready: Hit[] | null = null;

  constructor(log: LogPlace, filter: RecordFilter, limit: number) {
    this.log = log;
    this.filter = filter;
    this.quick = new QuickFilter(filter.filters);
    this.limit = limit;
  }

  read(from: LogPosition | null): void {
    const begin = from?.index ?? 0;
    readBatches(this.log, from, {
      leaf: (buf, start, end, index, first, offset) => {
        this.count++;
        const intent = quickOutcome(buf, start, end);
        if (intent === null ? !this.quick.mayFit(buf, start, end) : !this.wants(intent, begin)) return;
        const leaf = parseLeaf(buf, start, end);
        if (leaf === null) return;
        if (leaf.type === "statement.outcome") this.outcome(leaf, begin);
        else if (this.filter.fits(this.whole(leaf), index)) {
          const entry = {
            log: this.log.name,
            dir: this.log.dir,
            index,
            segment: segmentName(first),
            offset,
            leaf,
          };
          if (leaf.type === "statement.intent") this.waiting.set(index, entry);
          else if (this.filter.filters.status === undefined) this.add({ ...entry, outcome: null });
        }
      },
      batch: () => true,
    });
  }

  /** Whether the outcome of this intent says anything to this search. */
  private wants(intent: number, begin: number): boolean {
    return intent < begin ? !this.orphans.has(intent) : this.waiting.has(intent);
  }

  /** Reads for outcomes of earlier statements alone. */
  outcomesOnly(from: LogPosition): void {
    readBatches(this.log, from, {
      leaf: (buf, start, end) => {
        const intent = quickOutcome(buf, start, end);
        if (intent !== null && !this.wants(intent, from.index)) return;
        const leaf = parseLeaf(buf, start, end);
        if (leaf !== null) this.outcome(leaf, from.index);
      },
      batch: () => true,
    });
  }

  private whole(leaf: Json): Json {
    const whole = withBlobs(this.log.dir, leaf);
    return isObject(whole) ? whole : leaf;
  }

  private outcome(leaf: Json, begin: number): void {
    const index = intentOf(leaf);
    if (index === null) return;
    if (index < begin) {
      if (!this.orphans.has(index)) this.orphans.set(index, leaf);
      return;
    }
    const entry = this.waiting.get(index);
    if (entry === undefined) return;
    this.waiting.delete(index);
    const { status } = this.filter.filters;
    if (status === undefined || leaf.status === status) this.add({ ...entry, outcome: leaf });
  }

  private add(hit: Hit): void {
    this.found.push(hit);
    // Twice the limit before the older half is dropped: cheap on average, bounded always.
    if (this.found.length > this.limit * 2 + 1024) this.found = newest(this.found, this.limit);
  }

  latest(): readonly Hit[] {
    if (this.ready !== null) return this.ready;
    if (this.filter.filters.status === undefined)
      for (const entry of this.waiting.values()) this.found.push({ ...entry, outcome: null });
    this.ready = newest(this.found, this.limit);
    return this.ready;
  }
}

function newest(hits: Hit[], limit: number): Hit[] {
  return hits.sort((a, b) => a.index - b.index).slice(-limit);
}
