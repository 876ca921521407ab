/** Which of a search's terms the parts of records have: a bit for each term, found by the full-text table. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Clause, matchOf, type TermQuery } from "./query.ts";

/** So many parts of a term are taken at once, the newest; of older ones each is looked at when a record has it. */
const maxParts = 50_000;
/** A term that more parts have narrows nothing: the spans of its parts are not gathered. */
const maxRare = 2000;
/** Beside the bits of terms: the part's text was looked at. */
const looked = 0x4000_0000;

/** Made for one search. Methods throw what SQLite throws. */
export class PartMasks {
  /** No record can fit. */
  readonly nothing: boolean;
  private readonly query: TermQuery;
  /** Bits by part; those of parts below `floor` may lack some until of() was asked. */
  readonly bits: Int32Array;
  floor = 0;
  /** Bits of terms that parts below the floor may have unseen. */
  private unseen = 0;
  private readonly terms: StatementSync;
  /** The parts of each term; null: too many to narrow anything. */
  private readonly lists: (readonly number[] | null)[] = [];
  /** Clauses of one group are one test. */
  readonly all: number;
  private readonly others: readonly (readonly number[])[];

  constructor(db: DatabaseSync, query: TermQuery) {
    this.query = query;
    this.terms = db.prepare("SELECT terms FROM part WHERE id = ?");
    this.bits = new Int32Array(Number(db.prepare("SELECT max(id) AS id FROM part").get()?.id ?? 0) + 1);
    const bitsOf = (group: readonly number[]) => group.reduce((sum, term) => sum | (1 << term), 0);
    const clauses = query.clauses.map((clause) => clause.map(bitsOf));
    const find = db.prepare(
      "SELECT json_group_array(rowid) AS parts FROM (SELECT rowid FROM term WHERE term MATCH ? ORDER BY rowid DESC LIMIT ?)",
    );
    let found = 0;
    for (const [number, term] of query.terms.entries()) {
      const parts = JSON.parse(String(find.get(matchOf(term), maxParts)?.parts ?? "[]")) as number[];
      if (parts.length > 0) found |= 1 << number;
      for (const part of parts) this.add(part, 1 << number);
      this.lists.push(parts.length > maxRare ? null : parts);
      if (parts.length < maxParts) continue;
      this.floor = Math.max(this.floor, parts.at(-1) ?? 0);
      this.unseen |= 1 << number;
    }
    this.nothing = !clauses.every((groups) => groups.some((bits) => (found & bits) === bits));
    this.all = clauses.reduce((sum, groups) => (groups.length === 1 ? sum | (groups[0] ?? 0) : sum), 0);
    this.others = clauses.filter((groups) => groups.length !== 1);
  }

  private add(part: number, bits: number): void {
    this.bits[part] = (this.bits[part] ?? 0) | bits;
  }

  /** The bits of the terms that a part has; a part that does not exist has none. */
  of(part: number): number {
    const bits = this.bits[part] ?? 0;
    return part >= this.floor || part === 0 || (bits & looked) !== 0 ? bits : this.look(part);
  }

  private look(part: number): number {
    const text = this.terms.get(part)?.terms;
    const words = typeof text === "string" ? text.split(" ") : [];
    const set = new Set(words);
    let bits = looked;
    for (const [number, term] of this.query.terms.entries()) {
      if ((this.unseen & (1 << number)) === 0) continue;
      if (term.prefix ? words.some((word) => word.startsWith(term.text)) : set.has(term.text))
        bits |= 1 << number;
    }
    this.add(part, bits);
    return this.bits[part] ?? 0;
  }

  /** Whether a record whose parts have these bits together may fit. */
  fit(bits: number): boolean {
    const { all, others } = this;
    if ((bits & all) !== all) return false;
    for (const groups of others) if (!groups.some((group) => (bits & group) === group)) return false;
    return true;
  }

  /** The spans of blocks in which there may be records that fit; null: there is no telling. */
  spans(db: DatabaseSync): ReadonlySet<number> | null {
    let spans: number[] | null = null;
    const find = db.prepare(
      "SELECT DISTINCT span FROM posting WHERE part IN (SELECT value FROM json_each(?))",
    );
    for (const clause of this.query.clauses) {
      const parts = this.rare(clause);
      if (parts === null) continue;
      const found = new Set(find.all(JSON.stringify(parts)).map(({ span }) => Number(span)));
      spans = (spans ?? [...found]).filter((span) => found.has(span));
    }
    return spans === null ? null : new Set(spans);
  }

  /** Parts one of which a record must have to satisfy the clause: of each group those of its rarest term. null: too many. */
  private rare(clause: Clause): number[] | null {
    const found: number[] = [];
    for (const group of clause) {
      let least: readonly number[] | null = null;
      for (const term of group) {
        const parts = this.lists[term] ?? null;
        if (parts !== null && (least === null || parts.length < least.length)) least = parts;
      }
      if (least === null || found.length + least.length > maxRare) return null;
      for (const part of least) found.push(part);
    }
    return found;
  }
}
