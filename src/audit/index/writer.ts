/** Building the index: step by step from where it stopped, each step one transaction over whole batches of the log. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  type Json,
  LeafFiles,
  type LogPlace,
  type LogPosition,
  parseLeaf,
  readBatches,
  segmentsOf,
} from "../read/leaves.ts";
import { leafHash } from "../verify/tree.ts";
import { blockSize, makeAnew, meta, openOrReplace, setMeta } from "./database.ts";
import {
  type Document,
  documentOf,
  PartCache,
  type RowFacts,
  readable,
  rowFacts,
  statusTag,
  tag,
} from "./document.ts";
import { forgetDestroyedDays, prune } from "./prune.ts";
import { SealedValues } from "./sealed.ts";
import { Tally } from "./tally.ts";

export interface IndexWriterOptions {
  /** Folder of the keys, to index known values (keyed); null: the index holds none. */
  readonly keys: string | null;
  /** SQLite's page cache; left out: 64 MiB, for whoever builds a whole index. */
  readonly cacheKiB?: number;
}

/** An intent or other record of this step, not yet in the full-text table. Small: the parts of its document are shared, its JSON is let go. */
interface Pending {
  readonly document: Document;
  readonly facts: RowFacts;
  /** What it is counted under; null: it is no intent. */
  readonly key: string | null;
  readonly first: number;
  readonly offset: number;
  readonly hash: Buffer;
  outcome: number | null;
  status: string | null;
  statusName: string | null;
}

/** Characters of the terms that are kept at hand of statements stored without outcome: most outcomes come soon after. */
const maxOpenChars = 2 * 1024 * 1024;
/** Characters of parts whose numbers are kept at hand. */
const maxPartChars = 2 * 1024 * 1024;

/** An intent that is stored without outcome. */
interface OpenIntent {
  /** What it is counted under; null: its record is gone. */
  readonly key: string | null;
  readonly terms: string;
}

const intentTag = tag("type", "statement.intent");

export class IndexWriter {
  private readonly log: LogPlace;
  private readonly db: DatabaseSync;
  private readonly files: LeafFiles;
  private readonly parts = new PartCache();
  private readonly partIds = new Map<string, number>();
  /** Steps are small and many: each reads into the same bytes. */
  private readonly buffer = Buffer.allocUnsafeSlow(512 * 1024);
  private generation = "";
  private readonly sealed: SealedValues | null;
  private sealedReady = false;
  private readonly tally = new Tally();
  /** Intents stored in an earlier step of this writer that had no outcome then. */
  private readonly open = new Map<number, OpenIntent>();
  private openChars = 0;
  private partChars = 0;
  private readonly insert: Readonly<
    Record<"record" | "part" | "term" | "block" | "frame" | "value" | "drop" | "ended", StatementSync>
  >;

  /** Throws what SQLite throws, and AuditOpenError when there is a keys folder without a readable master key. */
  constructor(log: LogPlace, options: IndexWriterOptions) {
    this.log = log;
    this.sealed = options.keys === null ? null : new SealedValues(log, options.keys);
    this.db = openOrReplace(log.dir, options.cacheKiB);
    this.files = new LeafFiles(log);
    const { db } = this;
    this.insert = {
      record: db.prepare("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      part: db.prepare("INSERT INTO part (terms) VALUES (?)"),
      term: db.prepare("INSERT INTO term (rowid, terms) VALUES (?, ?)"),
      block: db.prepare(
        "INSERT INTO block VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET least = min(least, excluded.least), most = max(most, excluded.most)",
      ),
      frame: db.prepare("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?)"),
      value: db.prepare("INSERT OR IGNORE INTO value VALUES (?, ?, ?)"),
      drop: db.prepare("INSERT INTO term (term, rowid, terms) VALUES ('delete', ?, ?)"),
      ended: db.prepare("UPDATE record SET outcome = ?, status = ? WHERE idx = ?"),
    };
    if (!this.continues()) makeAnew(db);
    this.tend();
  }

  /** Lets go of what retention or an erasure took from the log. */
  tend(): void {
    prune(this.db, segmentsOf(this.log.dir)[0] ?? 0);
    forgetDestroyedDays(this.db, this.log.dir);
  }

  /** Records in the index: the index of the next one. */
  get size(): number {
    return this.position()?.index ?? 0;
  }

  private position(): LogPosition | null {
    const stored = meta(this.db, "position");
    return typeof stored === "string" ? (JSON.parse(stored) as LogPosition) : null;
  }

  /** Whether the log still has, at its place, the last record that the index took. */
  private continues(): boolean {
    const origin = meta(this.db, "keyed");
    if (origin !== null && origin !== (this.sealed === null ? 0 : 1)) return false;
    const last = this.db.prepare("SELECT first, offset, hash FROM record ORDER BY idx DESC LIMIT 1").get();
    if (last === undefined) return this.position() === null;
    const stored = this.files.at(Number(last.first), Number(last.offset));
    return stored?.hash.equals(last.hash as Uint8Array) ?? false;
  }

  /** Takes at most about `most` records. Gives how many; 0: nothing new. Throws what SQLite and the file system throw; then nothing of the step is kept. */
  step(most: number): number {
    this.db.exec("BEGIN IMMEDIATE");
    try {
      const count = this.take(most);
      this.db.exec("COMMIT");
      return count;
    } catch (error) {
      this.db.exec("ROLLBACK");
      this.forget();
      this.sealedReady = false;
      this.tally.rows("tally").clear();
      this.tally.rows("touched").clear();
      throw error;
    }
  }

  private forget(): void {
    this.partIds.clear();
    this.partChars = 0;
    this.open.clear();
    this.openChars = 0;
  }

  private take(most: number): number {
    const { db, sealed } = this;
    const generation = String(meta(db, "generation"));
    if (generation !== this.generation) {
      // The content is another one than the last time: parts have other numbers, and open frames begin elsewhere.
      this.forget();
      this.generation = generation;
      this.sealedReady = false;
    }
    const from = this.position();
    if (!this.sealedReady) this.resumeFrame(from);
    const pending = new Map<number, Pending>();
    const blocks = new Map<number, { least: number; most: number }>();
    let batchStart = from;
    let count = 0;
    const end = readBatches(
      this.log,
      from,
      {
        leaf: (buf, start, stop, index, first, offset) => {
          count++;
          const hash = leafHash(buf.subarray(start, stop));
          const leaf = readable(this.log.dir, parseLeaf(buf, start, stop));
          const facts = rowFacts(leaf);
          const { time } = facts;
          if (time !== null) {
            const number = Math.floor(index / blockSize);
            const block = blocks.get(number);
            if (block === undefined) blocks.set(number, { least: time, most: time });
            else {
              block.least = Math.min(block.least, time);
              block.most = Math.max(block.most, time);
            }
          }
          if (leaf.type === "statement.outcome")
            this.outcome(leaf, facts, index, first, offset, hash, pending);
          else {
            const isIntent = leaf.type === "statement.intent";
            const document = documentOf(leaf, this.parts);
            const key = isIntent ? this.tally.keyOf(leaf) : null;
            const none = { outcome: null, status: null, statusName: null };
            pending.set(index, { document, facts, key, first, offset, hash, ...none });
            if (!isIntent) return;
            this.tally.relations(leaf);
            sealed?.intent(leaf, index);
          }
        },
        frame: (frame, day, piece) => {
          const { first, offset, index } = batchStart ?? {
            first: segmentsOf(this.log.dir)[0] ?? 0,
            offset: 0,
            index: 0,
          };
          if (sealed === null || sealed.open !== frame)
            this.insert.frame.run(frame, first, offset, index, day);
          sealed?.frame(frame, day, piece);
        },
        frameEnd: (text) => sealed?.end(text),
        batch: (next) => {
          batchStart = next;
          return count < most;
        },
      },
      this.buffer,
    );
    for (const [index, entry] of pending) this.store(index, entry);
    for (const [number, { least, most: latest }] of blocks) this.insert.block.run(number, least, latest);
    for (const { day, mac, index } of sealed?.takeFound() ?? []) this.insert.value.run(day, mac, index);
    this.tally.write(db);
    if (end !== null) setMeta(db, "position", JSON.stringify(end));
    setMeta(db, "keyed", sealed === null ? 0 : 1);
    setMeta(db, "open_frame", sealed?.open ?? -1);
    return count;
  }

  private store(index: number, entry: Pending): void {
    const { document, facts, key, first, offset, hash, outcome, status } = entry;
    const { time, id, request } = facts;
    const { session, statement, own } = document;
    this.insert.record.run(
      index,
      first,
      offset,
      hash,
      time,
      id,
      request,
      null,
      this.part(session),
      this.part(statement),
      this.part(own),
      outcome,
      status,
    );
    const terms = `${session} ${statement} ${own}`;
    this.insert.term.run(index, status === null ? terms : `${terms} ${status}`);
    if (key === null) return;
    this.tally.keyed(key, entry.statusName);
    if (status === null && terms.length <= 65_536) this.keepOpen(index, { key, terms });
  }

  private keepOpen(index: number, intent: OpenIntent): void {
    this.open.set(index, intent);
    this.openChars += intent.terms.length;
    for (const oldest of this.open.keys()) {
      if (this.openChars <= maxOpenChars) break;
      this.takeOpen(oldest);
    }
  }

  private takeOpen(index: number): OpenIntent | null {
    const known = this.open.get(index);
    if (known === undefined) return null;
    this.open.delete(index);
    this.openChars -= known.terms.length;
    return known;
  }

  private part(terms: string): number {
    if (terms === "") return 0;
    let id = this.partIds.get(terms);
    if (id === undefined) {
      id = Number(this.insert.part.run(terms).lastInsertRowid);
      if (terms.length >= 65_536) return id;
      this.partChars += terms.length;
      if (this.partChars > maxPartChars) {
        this.partIds.clear();
        this.partChars = terms.length;
      }
      this.partIds.set(terms, id);
    }
    return id;
  }

  private outcome(
    leaf: Json,
    { time, id, request, intent }: RowFacts,
    index: number,
    first: number,
    offset: number,
    hash: Buffer,
    pending: Map<number, Pending>,
  ): void {
    this.insert.record.run(
      index,
      first,
      offset,
      hash,
      time,
      id,
      request,
      intent,
      null,
      null,
      null,
      null,
      null,
    );
    if (intent === null) return;
    const status = statusTag(leaf);
    const name = String(leaf.status);
    const entry = pending.get(intent);
    if (entry !== undefined) {
      if (entry.outcome !== null || entry.key === null) return;
      entry.outcome = index;
      entry.status = status;
      entry.statusName = name;
    } else this.lateOutcome(intent, index, status, name);
  }

  /** The intent was taken in an earlier step: its document is replaced. */
  private lateOutcome(intent: number, outcome: number, status: string, name: string): void {
    const known = this.takeOpen(intent) ?? this.stored(intent);
    if (known === null) return;
    const { key, terms } = known;
    this.insert.drop.run(intent, terms);
    this.insert.ended.run(outcome, status, intent);
    this.insert.term.run(intent, `${terms} ${status}`);
    if (key === null) return;
    this.tally.keyed(key, null, -1);
    this.tally.keyed(key, name, 1);
  }

  /** An intent without outcome as the index and the log have it; null: the index has no such. */
  private stored(intent: number): OpenIntent | null {
    const row = this.db
      .prepare(
        "SELECT d.terms, r.first, r.offset FROM record r JOIN document d ON d.idx = r.idx WHERE r.idx = ? AND r.outcome IS NULL",
      )
      .get(intent);
    if (typeof row?.terms !== "string" || !row.terms.split(" ").includes(intentTag)) return null;
    const stored = this.files.at(Number(row.first), Number(row.offset));
    const leaf = stored === null ? null : asJson(stored.text);
    const key = leaf === null ? null : this.tally.keyOf(readable(this.log.dir, leaf));
    return { key, terms: row.terms };
  }

  /** Reads the pieces of the frame that was open at `until` anew. */
  private resumeFrame(until: LogPosition | null): void {
    const { db, sealed } = this;
    this.sealedReady = true;
    sealed?.reset();
    const open = meta(db, "open_frame");
    if (sealed === null || until === null || typeof open !== "number" || open < 0) return;
    const row = db.prepare("SELECT first, offset, idx FROM frame WHERE number = ?").get(open);
    if (row === undefined) return;
    const from = { first: Number(row.first), offset: Number(row.offset), index: Number(row.idx) };
    const within = (p: LogPosition) =>
      p.first < until.first || (p.first === until.first && p.offset < until.offset);
    if (!within(from)) return;
    readBatches(this.log, from, {
      leaf: (buf, start, end, index) => {
        const leaf = parseLeaf(buf, start, end);
        if (leaf?.type === "statement.intent") sealed.intent(leaf, index);
      },
      frame: (frame, day, piece) => sealed.frame(frame, day, piece),
      frameEnd: (text) => sealed.end(text),
      batch: within,
    });
  }

  /** Throws the whole index away; the next steps make it anew. */
  reset(): void {
    makeAnew(this.db);
  }

  close(): void {
    this.files.close();
    this.db.close();
  }
}

function asJson(stored: string): Json | null {
  const bytes = Buffer.from(stored, "utf8");
  return parseLeaf(bytes, 0, bytes.length);
}
