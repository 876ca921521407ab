/** Parts of records: each is stored once, by its terms, and everywhere else a number. */
import { hash } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { spanOf } from "./columns.ts";

/** A part that records of this step may have. */
export interface Part {
  readonly id: number;
  /** The span of blocks for which it was posted last. */
  span: number;
}

/** The part without terms. */
const empty: Part = { id: 0, span: -1 };
/** Parts whose numbers are kept at hand. */
const maxKnown = 8192;

/** Numbers parts and notes in which spans they occur. Methods throw what SQLite throws. */
export class PartStore {
  /** By the hash of their terms. */
  private readonly known = new Map<string, Part>();
  private readonly find: StatementSync;
  private readonly insert: StatementSync;
  private readonly index: StatementSync;
  private readonly post: StatementSync;

  constructor(db: DatabaseSync) {
    this.find = db.prepare("SELECT id, terms FROM part WHERE digest = ?");
    this.insert = db.prepare("INSERT INTO part (digest, terms) VALUES (?, ?)");
    this.index = db.prepare("INSERT INTO term (rowid, terms) VALUES (?, ?)");
    this.post = db.prepare("INSERT OR IGNORE INTO posting VALUES (?, ?)");
  }

  /** The part of these terms (between blanks), stored if it is new. */
  of(terms: string): Part {
    if (terms === "") return empty;
    const name = hash("sha256", terms, "hex");
    let part = this.known.get(name);
    if (part !== undefined) return part;
    // Parts of the same 48 bits are told apart by their terms.
    const digest = Number.parseInt(name.slice(0, 12), 16);
    const stored = this.find.all(digest).find((row) => row.terms === terms)?.id;
    part = { id: Number(stored ?? this.insert.run(digest, terms).lastInsertRowid), span: -1 };
    if (stored === undefined) this.index.run(part.id, terms);
    if (this.known.size >= maxKnown) this.known.clear();
    this.known.set(name, part);
    return part;
  }

  /** A record of the block has the part. */
  use(part: Part, block: number): void {
    const span = spanOf(block);
    if (part.span === span || part.id === 0) return;
    this.post.run(part.id, span);
    part.span = span;
  }

  forget(): void {
    this.known.clear();
  }
}
