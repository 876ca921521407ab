/** A row of the index against the leaf it speaks of. */
import { intentOf } from "../read/filters.ts";
import { isObject, type Json, type LeafFiles, parseLeaf } from "../read/leaves.ts";
import { documentOf, PartCache, readable, rowFacts, statusTag } from "./document.ts";

/** A row of `record`, with its terms joined. */
export interface Row {
  readonly idx: number;
  readonly first: number;
  readonly offset: number;
  readonly hash: Uint8Array;
  readonly time: number | null;
  readonly id: string | null;
  readonly request: string | null;
  readonly intent: number | null;
  readonly outcome: number | null;
  readonly status: string | null;
  /** null: an outcome, which has none of its own. */
  readonly terms: string | null;
}

/** The columns of Row, from `record r`. */
export const rowColumns = `r.idx, r.first, r.offset, r.hash, r.time, r.id, r.request, r.intent, r.outcome, r.status,
  (SELECT d.terms FROM document d WHERE d.idx = r.idx) AS terms`;

export interface CheckedRow {
  readonly leaf: Json;
  /** The leaf with its blobs put back. */
  readonly record: Json;
  readonly terms: ReadonlySet<string>;
}

export type RowCheck =
  | ({ readonly ok: true } & CheckedRow)
  | { readonly ok: false; readonly problem: string };

export class RowChecker {
  private readonly dir: string;
  private readonly files: LeafFiles;
  private readonly parts = new PartCache();

  constructor(dir: string, files: LeafFiles) {
    this.dir = dir;
    this.files = files;
  }

  /** Whether the row says of the leaf what the leaf says. Never throws for what stands in either. */
  check(row: Row): RowCheck {
    const stored = this.files.at(row.first, row.offset);
    if (stored === null) return bad("there is no record at the place it names");
    if (!stored.hash.equals(row.hash)) return bad("the record at its place has another hash");
    const listed = this.files.listedHash(row.idx);
    if (listed !== null && !stored.hash.equals(listed))
      return bad("the log's list of leaf hashes has another hash");
    const bytes = Buffer.from(stored.text, "utf8");
    return this.compare(row, parseLeaf(bytes, 0, bytes.length) ?? {});
  }

  /** Whether the row says of this leaf, which stands at its place, what the leaf says. */
  compare(row: Row, leaf: Json): RowCheck {
    const record = readable(this.dir, leaf);
    const facts = rowFacts(leaf);
    for (const name of ["time", "id", "request", "intent"] as const)
      if (row[name] !== facts[name]) return bad(`its ${name} is not the record's`);
    if (leaf.type === "statement.outcome")
      return row.terms === null && row.outcome === null
        ? { ok: true, leaf, record, terms: new Set() }
        : bad("it has terms, which an outcome has not");
    const { session, statement, own } = documentOf(record, this.parts);
    const expected = `${session} ${statement} ${own}${row.status === null ? "" : ` ${row.status}`}`;
    // A blob that retention took leaves terms that cannot be made again.
    if (row.terms !== expected && !lacksBlob(record)) return bad("its terms are not the record's");
    return { ok: true, leaf, record, terms: new Set((row.terms ?? "").split(" ")) };
  }

  /** Whether `outcome`, the row that `intent` names, is its outcome and says what the row says. */
  checkOutcome(intent: Row, outcome: Row): RowCheck {
    const checked = this.check(outcome);
    if (!checked.ok) return checked;
    if (intentOf(checked.leaf) !== intent.idx)
      return bad("the outcome it names belongs to another statement");
    return statusTag(checked.leaf) === intent.status ? checked : bad("its status is not that of its outcome");
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
