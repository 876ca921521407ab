/** Building the index: step by step from where it stopped, each step one transaction over whole batches of the log. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  type Json,
  LeafFiles,
  type LogPlace,
  type LogPosition,
  parseLeaf,
  readBatches,
  segmentAt,
  segmentsOf,
} from "../read/leaves.ts";
import { place } from "../read/unseal.ts";
import { BlockStore } from "./blocks.ts";
import { type Block, blockOf, blockSize, outcomeMark } from "./columns.ts";
import { Counts } from "./counts.ts";
import { makeAnew, meta, openOrReplace, setMeta } from "./database.ts";
import {
  documentOf,
  ownTerms,
  PartCache,
  readable,
  rowFacts,
  sessionTerms,
  statementTerms,
  tag,
} from "./document.ts";
import { idKey } from "./ids.ts";
import { type Part, PartStore } from "./parts.ts";
import { forgetDestroyedDays, prune, sweep } from "./prune.ts";
import { Recogniser } from "./recognise.ts";
import { SealedValues } from "./sealed.ts";
import { linkOf, noStatus, statusCode } from "./status.ts";
import { countedOf, isCounted, Tally, TallyTables } from "./tally.ts";
import { ValueStore } from "./valuestore.ts";

export interface IndexWriterOptions {
  /** Folder of the keys, to index known values (keyed); null: the index holds none. */
  readonly keys: string | null;
  /** SQLite's page cache; left out: 4 MiB. */
  readonly cacheKiB?: number;
}

interface SessionFacts {
  readonly part: Part;
  readonly who: number;
}

interface StatementFacts {
  readonly part: Part;
  readonly own: Part;
  readonly what: number;
}

/** Statements without outcome that are kept at hand: most outcomes come soon after. */
const maxOpen = 20_000;
/** Characters of documents that are kept of records that are read whole: there are few, and fewer alike. */
const maxDocuments = 256 * 1024;

/** Bytes of the log that are read at once. */
const roomBytes = 256 * 1024;

const intentTag = tag("type", "statement.intent");

export class IndexWriter {
  private readonly log: LogPlace;
  private readonly db: DatabaseSync;
  private readonly files: LeafFiles;
  private readonly blocks: BlockStore;
  private readonly parts: PartStore;
  private readonly documents = new PartCache(maxDocuments);
  private readonly records: Recogniser<SessionFacts, StatementFacts>;
  private readonly counts = new Counts();
  private readonly tally = new Tally();
  private readonly tables: TallyTables;
  private readonly values: ValueStore;
  private readonly sealed: SealedValues | null;
  /** Intents without outcome, with the key by which they were counted. */
  private readonly open = new Map<number, number>();
  private readonly addFrame: StatementSync;
  private readonly room = Buffer.allocUnsafeSlow(roomBytes);
  /** The state in which this writer left the index; null: all it remembers may be wrong. */
  private left: string | null = null;

  /** Throws what SQLite throws, and AuditOpenError when there is a keys folder without a readable master key. */
  constructor(log: LogPlace, options: IndexWriterOptions) {
    this.log = log;
    this.sealed =
      options.keys === null
        ? null
        : new SealedValues(log, options.keys, (day, high, low, index) =>
            this.values.add(day, high, low, index),
          );
    this.db = openOrReplace(log.dir, options.cacheKiB);
    this.files = new LeafFiles(log);
    const { db } = this;
    this.blocks = new BlockStore(db);
    this.parts = new PartStore(db);
    this.values = new ValueStore(db);
    this.tables = new TallyTables(db);
    this.addFrame = db.prepare("INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?)");
    this.records = new Recogniser({
      session: (members) => {
        const leaf = readable(log.dir, members);
        return { part: this.parts.of(sessionTerms(leaf)), who: this.counts.whoOf(leaf) };
      },
      statement: (members) => {
        const leaf = readable(log.dir, members);
        return {
          part: this.parts.of(statementTerms(leaf)),
          own: this.parts.of(ownTerms(leaf)),
          what: this.counts.whatOf(leaf),
        };
      },
    });
    if (!this.continues()) makeAnew(db);
    this.tend();
  }

  /** Lets go of what retention or an erasure took from the log. */
  tend(): void {
    prune(this.db, this.log, segmentsOf(this.log.dir)[0] ?? 0);
    forgetDestroyedDays(this.db, this.log.dir);
    sweep(this.db);
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
    const last = meta(this.db, "last");
    if (typeof last !== "string") return this.position() === null;
    const [first, offset, hash] = last.split(" ");
    return this.files.at(Number(first), Number(offset))?.hash.toString("hex") === hash;
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
      throw error;
    }
  }

  /** Forgets all that is remembered of the index's content. */
  private forget(): void {
    this.left = null;
    this.records.forget();
    this.parts.forget();
    this.blocks.forget();
    this.values.forget();
    this.counts.forget();
    this.open.clear();
    this.tally.clear();
  }

  private take(most: number): number {
    const { db, sealed } = this;
    const from = this.position();
    // Parts have other numbers when the index was made anew or pruned, and another writer may have gone on from where this one stopped.
    if (this.left !== `${meta(db, "generation")} ${JSON.stringify(from)}` || this.counts.full) {
      this.forget();
      this.resumeFrame(from);
    }
    let batchStart = from;
    let count = 0;
    let lastFirst = -1;
    let lastOffset = -1;
    const end = readBatches(
      this.log,
      from,
      {
        leaf: (buf, start, stop, index, first, offset) => {
          count++;
          lastFirst = first;
          lastOffset = offset;
          this.leaf(buf, start, stop, index, offset);
        },
        frame: (frame, day, piece) => {
          const { first, offset, index } = batchStart ?? {
            first: segmentsOf(this.log.dir)[0] ?? 0,
            offset: 0,
            index: 0,
          };
          if (sealed === null || sealed.open !== frame) this.addFrame.run(frame, first, offset, index, day);
          sealed?.frame(frame, day, piece);
        },
        frameEnd: (text) => sealed?.end(text),
        batch: (next) => {
          batchStart = next;
          return count < most;
        },
      },
      this.room,
    );
    const position = JSON.stringify(end);
    if (count > 0 || position !== JSON.stringify(from)) {
      this.blocks.flush();
      this.values.flush();
      this.counts.flush(this.tally);
      this.tables.write(this.tally);
      if (end !== null) setMeta(db, "position", position);
      setMeta(db, "keyed", sealed === null ? 0 : 1);
      setMeta(db, "open_frame", sealed?.open ?? -1);
      const last = count === 0 ? null : this.files.at(lastFirst, lastOffset);
      if (last !== null) setMeta(db, "last", `${lastFirst} ${lastOffset} ${last.hash.toString("hex")}`);
    }
    this.left = `${meta(db, "generation")} ${position}`;
    return count;
  }

  private leaf(buf: Buffer, start: number, stop: number, index: number, offset: number): void {
    const number = blockOf(index);
    const block = this.blocks.growing(number);
    const { records } = this;
    const kind = records.read(buf, start, stop);
    if (kind === null) {
      this.whole(readable(this.log.dir, parseLeaf(buf, start, stop)), block, index, offset);
      return;
    }
    const slot = block.add(index, offset);
    block.atTime(records.time);
    block.hasId(slot, records.id.at, records.id.tail);
    block.hasRequest(slot, records.request.at, records.request.tail);
    if (kind === "outcome") {
      this.outcome(block, slot, index, records.intent, records.status, "");
      return;
    }
    const { session, statement } = records;
    if (session === null || statement === null) return;
    this.setParts(block, slot, session.part, statement.part, statement.own);
    this.intent(index, this.counts.begun(records.time, session.who, statement.what));
    this.sealed?.intentAt(records.frame, records.line, index, buf, records.digestAt);
  }

  /** A record that was not recognised, parsed. */
  private whole(leaf: Json, block: Block, index: number, offset: number): void {
    const slot = block.add(index, offset);
    const { time, id, request, intent } = rowFacts(leaf);
    if (time !== null) block.atTime(time);
    const own = id === null ? null : idKey(id);
    if (own !== null) block.hasId(slot, own.at, own.tail);
    const of = request === null ? null : idKey(request);
    if (of !== null) block.hasRequest(slot, of.at, of.tail);
    if (leaf.type === "statement.outcome") {
      this.outcome(block, slot, index, intent ?? -1, statusCode(leaf.status), String(leaf.status));
      return;
    }
    const document = documentOf(leaf, this.documents);
    this.setParts(
      block,
      slot,
      this.parts.of(document.session),
      this.parts.of(document.statement),
      this.parts.of(document.own),
    );
    if (leaf.type !== "statement.intent") return;
    this.intent(index, this.counts.begun(time, this.counts.whoOf(leaf), this.counts.whatOf(leaf)));
    this.sealed?.intent(leaf, index);
  }

  private setParts(block: Block, slot: number, session: Part, statement: Part, own: Part): void {
    const { number } = block;
    block.session[slot] = session.id;
    block.statement[slot] = statement.id;
    block.own[slot] = own.id;
    this.parts.use(session, number);
    this.parts.use(statement, number);
    this.parts.use(own, number);
  }

  private intent(index: number, key: number): void {
    const oldest = this.open.size < maxOpen ? undefined : this.open.keys().next().value;
    if (oldest !== undefined) this.open.delete(oldest);
    this.open.set(index, key);
  }

  /** `name`: the status, where its code does not say it. */
  private outcome(
    block: Block,
    slot: number,
    index: number,
    intent: number,
    status: number,
    name: string,
  ): void {
    block.session[slot] = outcomeMark;
    block.statement[slot] = outcomeMark;
    block.own[slot] = outcomeMark;
    const link = linkOf(index, intent);
    block.link[slot] = link;
    if (link === 0) return;
    const of = blockOf(intent) === block.number ? block : this.blocks.get(blockOf(intent));
    if (of === null) return;
    const key = this.open.get(intent);
    if (key === undefined && !this.lateOutcome(of, intent, status, name)) return;
    if (key !== undefined) {
      this.open.delete(intent);
      this.counts.ended(key, status, name);
    }
    of.link[intent % blockSize] = link;
    of.status[intent % blockSize] = status;
    this.blocks.ended(of);
  }

  /** The outcome of an intent that is not at hand; false when the index has no such intent, or with an outcome. */
  private lateOutcome(block: Block, intent: number, status: number, name: string): boolean {
    const slot = intent % blockSize;
    if (slot >= block.count || block.link[slot] !== 0 || block.status[slot] !== noStatus) return false;
    const own = this.db.prepare("SELECT terms FROM part WHERE id = ?").get(block.own[slot] ?? 0)?.terms;
    if (typeof own !== "string" || !own.split(" ").includes(intentTag)) return false;
    const first = segmentAt(segmentsOf(this.log.dir), intent);
    const stored = this.files.at(first, block.offset[slot] ?? 0);
    if (stored === null) return true;
    const bytes = Buffer.from(stored.text, "utf8");
    const leaf = readable(this.log.dir, parseLeaf(bytes, 0, bytes.length));
    const { time } = rowFacts(leaf);
    if (!isCounted(countedOf(this.db), intent, time)) return true;
    const hour = [time, this.counts.whoOf(leaf), this.counts.whatOf(leaf)] as const;
    this.counts.ended(this.counts.keyOf(...hour), status, name);
    return true;
  }

  /** Reads the pieces of the frame that was open at `until` anew. */
  private resumeFrame(until: LogPosition | null): void {
    const { db, sealed } = this;
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
        // What lies elsewhere was taken when its record was.
        const where = leaf?.type === "statement.intent" ? place(leaf) : null;
        if (leaf !== null && where?.frame === open) sealed.intent(leaf, index);
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
