/** A row of the index against the leaf it speaks of. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { intentOf } from "../read/filters.ts";
import { isObject, type Json, type LeafFiles, parseLeaf, segmentAt } from "../read/leaves.ts";
import { bytes } from "./blocks.ts";
import { type Block, blockOf, blockSize, goneMark, numbersOf, outcomeMark } from "./columns.ts";
import { documentOf, PartCache, readable, rowFacts } from "./document.ts";
import { idTail } from "./ids.ts";
import { linkOf, noStatus, statusCode } from "./status.ts";

/** What a block says of one record (columns.ts). */
export interface Row {
  readonly idx: number;
  readonly offset: number;
  readonly id: number;
  readonly request: number;
  readonly link: number;
  readonly status: number;
  readonly session: number;
  readonly statement: number;
  readonly own: number;
}

/** The row of a record; null: the block has none. */
export function rowOf(block: Block | null, index: number): Row | null {
  const slot = index % blockSize;
  const own = block?.own[slot] ?? goneMark;
  if (block === null || slot >= block.count || own === goneMark) return null;
  return {
    idx: index,
    offset: block.offset[slot] ?? 0,
    id: block.id[slot] ?? 0,
    request: block.request[slot] ?? 0,
    link: block.link[slot] ?? 0,
    status: block.status[slot] ?? 0,
    session: block.session[slot] ?? 0,
    statement: block.statement[slot] ?? 0,
    own,
  };
}

/** Rows one by one: of a block only what is asked for is read out. */
export class RowReader {
  private readonly known = new Map<number, readonly [Uint32Array, Uint32Array, Uint8Array]>();
  private readonly find: readonly [StatementSync, StatementSync, StatementSync];

  constructor(db: DatabaseSync) {
    const get = (table: string) => db.prepare(`SELECT data FROM ${table} WHERE number = ?`);
    this.find = [get("chunk"), get("place"), get("ended")];
  }

  /** null: the index has none of this record. */
  row(index: number): Row | null {
    const number = blockOf(index);
    let block = this.known.get(number);
    if (block === undefined) {
      const [chunk, place, ended] = this.find.map((find) => bytes(find.get(number)?.data));
      block = [numbersOf(chunk ?? none), numbersOf(place ?? none), ended ?? none];
      if (this.known.size >= maxBlocks) this.known.clear();
      this.known.set(number, block);
    }
    const [parts, places, ended] = block;
    const slot = index % blockSize;
    const count = parts.length / 3;
    // Columns of different lengths are no block: then each row of it lacks something.
    if (slot >= count || places.length !== count * 3 || ended.length !== count * 5) return null;
    const own = parts[count * 2 + slot] ?? goneMark;
    if (own === goneMark) return null;
    const link = slot * 4;
    return {
      idx: index,
      offset: places[slot] ?? 0,
      id: places[count + slot] ?? 0,
      request: places[count * 2 + slot] ?? 0,
      link: new Uint32Array(ended.slice(link, link + 4).buffer)[0] ?? 0,
      status: ended[count * 4 + slot] ?? 0,
      session: parts[slot] ?? 0,
      statement: parts[count + slot] ?? 0,
      own,
    };
  }
}

export interface CheckedRow {
  readonly leaf: Json;
  /** The leaf with its blobs put back. */
  readonly record: Json;
  /** Whether one of the row's parts has the term. */
  has(term: string): boolean;
}

export type RowCheck =
  | ({ readonly ok: true } & CheckedRow)
  | { readonly ok: false; readonly problem: string };

/** Blocks that are kept at hand. */
const maxBlocks = 64;
const none = new Uint8Array();
/** Parts whose terms are kept at hand. */
const maxTexts = 4096;

/** The terms of parts. */
class PartTexts {
  private readonly known = new Map<number, { readonly text: string; set: ReadonlySet<string> | null }>();
  private readonly find: StatementSync;

  constructor(db: DatabaseSync) {
    this.find = db.prepare("SELECT terms FROM part WHERE id = ?");
  }

  private of(part: number) {
    let found = this.known.get(part);
    if (found === undefined) {
      const stored = part === 0 ? "" : this.find.get(part)?.terms;
      found = { text: typeof stored === "string" ? stored : "\u0000", set: null };
      if (this.known.size >= maxTexts) this.known.clear();
      this.known.set(part, found);
    }
    return found;
  }

  text(part: number): string {
    return this.of(part).text;
  }

  has(part: number, term: string): boolean {
    const found = this.of(part);
    found.set ??= new Set(found.text.split(" "));
    return found.set.has(term);
  }
}

export class RowChecker {
  private readonly dir: string;
  private readonly files: LeafFiles;
  private readonly segments: readonly number[];
  private readonly texts: PartTexts;
  private readonly parts = new PartCache();

  /** `segments`: as segmentsOf() gives them. */
  constructor(dir: string, files: LeafFiles, segments: readonly number[], db: DatabaseSync) {
    this.dir = dir;
    this.files = files;
    this.segments = segments;
    this.texts = new PartTexts(db);
  }

  /** Whether the row says of the leaf what the leaf says. Never throws for what stands in either. */
  check(row: Row): RowCheck {
    const stored = this.files.at(segmentAt(this.segments, row.idx), row.offset);
    if (stored === null) return bad("there is no record at the place it names");
    const listed = this.files.listedHash(row.idx);
    if (listed !== null && !stored.hash.equals(listed))
      return bad("the log's list of leaf hashes has another hash");
    const bytes = Buffer.from(stored.text, "utf8");
    return this.compare(row, parseLeaf(bytes, 0, bytes.length) ?? {});
  }

  /** Whether the row says of this leaf, which stands at its place, what the leaf says. */
  compare(row: Row, leaf: Json): RowCheck {
    const record = readable(this.dir, leaf);
    const { id, request, intent } = rowFacts(leaf);
    if (row.id !== idTail(id)) return bad("its id is not the record's");
    if (row.request !== idTail(request)) return bad("its request is not the record's");
    const { session, statement, own } = row;
    if (leaf.type === "statement.outcome") {
      if (session !== outcomeMark || statement !== outcomeMark || own !== outcomeMark)
        return bad("it has terms, which an outcome has not");
      if (row.link !== linkOf(row.idx, intent)) return bad("its intent is not the record's");
      if (row.status !== noStatus) return bad("it has a status, which only a statement has");
      return { ok: true, leaf, record, has: () => false };
    }
    const expected = documentOf(record, this.parts);
    const { texts } = this;
    const same =
      texts.text(session) === expected.session &&
      texts.text(statement) === expected.statement &&
      texts.text(own) === expected.own;
    // A blob that retention took leaves terms that cannot be made again.
    if (!same && !lacksBlob(record)) return bad("its terms are not the record's");
    const has = (term: string) =>
      texts.has(session, term) || texts.has(statement, term) || texts.has(own, term);
    return { ok: true, leaf, record, has };
  }

  /** Whether `outcome`, the row that `intent` names, is its outcome and says what the row says. */
  checkOutcome(intent: Row, outcome: Row): RowCheck {
    const checked = this.check(outcome);
    if (!checked.ok) return checked;
    if (intentOf(checked.leaf) !== intent.idx)
      return bad("the outcome it names belongs to another statement");
    return statusCode(checked.leaf.status) === intent.status
      ? checked
      : bad("its status is not that of its outcome");
  }
}

function bad(problem: string): RowCheck {
  return { ok: false, problem };
}

function lacksBlob(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(lacksBlob);
  if (!isObject(value)) return false;
  if (typeof value.blob === "string" && typeof value.bytes === "number" && Object.keys(value).length === 2)
    return true;
  return Object.values(value).some(lacksBlob);
}
