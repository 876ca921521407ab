/**
 * Group commit. Everything appended in one turn of the event loop is one batch and one write; whoever needs it on disk
 * waits for one fdatasync that all share. One fdatasync runs at a time, the next batch gathers meanwhile. A signed checkpoint
 * covers all of them that came within some milliseconds: a signature costs more than the records of a small batch. Any failure
 * is final until the log is opened again (AUDIT.md, "Fail closed").
 */
import type { KeyObject } from "node:crypto";
import { unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Durability } from "../facts/audit.ts";
import { Batch } from "./batch.ts";
import { BlobStore } from "./blobs.ts";
import { checkpointLine, type Signer } from "./checkpoint.ts";
import { AuditUnavailable } from "./errors.ts";
import { errorCode, WriteFailed } from "./failure.ts";
import type { AuditIo } from "./files.ts";
import { Keeper } from "./keeper.ts";
import { dayKey, type LogKeys } from "./keys.ts";
import type { CommitLimits } from "./limits.ts";
import { Company, Patience } from "./patience.ts";
import { grow } from "./record/bytes.ts";
import type { Resume } from "./resume.ts";
import { SegmentFile } from "./segmentfile.ts";
import type { SafeWaiter } from "./types.ts";
import { chainStart, type SegmentStart } from "./verify/segment.ts";
import { CompactRange } from "./verify/tree.ts";
import { failLater, release } from "./waiters.ts";

/** Where the log stands when it is opened. */
export interface CommitState {
  readonly dir: string;
  readonly keys: LogKeys;
  readonly tree: CompactRange;
  /** First leaf of the segment to go on in, and its last chain point. */
  readonly first: number;
  readonly point: SegmentStart;
  readonly frame: number;
}

/** Records that are to be made into leaves when their batch is written. */
export interface Unbuilt {
  readonly count: number;
  /** Bytes that they will take, roughly. */
  readonly bytes: number;
  build(): void;
}
/** Whoever follows the log as it grows. Neither call may throw. */
export interface CommitWatcher {
  /** `count` leaves from index `first` on, and other lines; the bytes are valid now only. */
  written(bytes: Buffer, first: number, count: number): void;
  durable(checkpoint: { readonly size: number; readonly note: Buffer }): void;
}

/** A checkpoint whose fdatasync is under way. */
interface Signed {
  readonly point: { readonly size: number; readonly note: Buffer };
  /** To be saved once it is durable; null: not this time. */
  readonly resume: Resume | null;
}

const nothing: Unbuilt = { count: 0, bytes: 0, build() {} };

export class GroupCommit {
  readonly batch: Batch;
  readonly blobs: BlobStore;
  failure: AuditUnavailable | null = null;
  /** Built after what stands in the batch, before anything else may be put there; set by the owner of the record formats. */
  unbuilt: Unbuilt = nothing;
  /** Intents that have no outcome yet, oldest first: the salt of what was sealed with each. */
  readonly open = new Map<number, string>();
  /** The newest checkpoint that is durable. */
  durable: { readonly size: number; readonly note: Buffer } | null = null;
  /** Appends the leaf that says why the log ended; set by the owner of the record formats. */
  sayClosed: ((reason: string) => void) | null = null;

  /** Is told of what was written, and of what has become durable. */
  watcher: CommitWatcher | null = null;

  private readonly state: CommitState;
  private readonly signer: Signer;
  private readonly segment: SegmentFile;
  private readonly limits: CommitLimits;
  /** The tree at the last checkpoint, and the hashes of the leaves written since. */
  private readonly tree: CompactRange;
  private readonly before = new CompactRange();
  private fresh: Buffer = Buffer.allocUnsafeSlow(32 * 1024);
  private freshBytes = 0;
  /** Leaves written. */
  private written: number;
  private readonly keeper: Keeper;
  private key: { readonly day: string; readonly key: KeyObject } | null = null;

  private armed = false;
  private readonly patience = new Patience();
  private readonly company = new Company(() => {
    if (!this.armed) this.arm();
  });
  private syncing = false;
  /** This and all times here are of the clock that nobody sets (performance.now): after a step back of the other nothing may stop for as long. */
  private syncStarted = 0;
  /** Leaves were written or gathered since the last fdatasync began. */
  private dirty = false;
  /** The last fdatasync was that of a batch without a checkpoint. */
  private unsigned = false;
  /** Somebody waits for a checkpoint, not for the disk alone. */
  private wanted = false;
  /** The segment is full: nothing is written until the checkpoint under way is durable and the next segment begins. */
  private hold = false;
  private ended = false;
  /** Of the same clock, as every time in here: one that is set back would end checkpoints for as long. */
  private lastCheckpoint = performance.now();
  private processWaiters: SafeWaiter[] = [];
  private diskWaiters: SafeWaiter[] = [];
  private inflight: SafeWaiter[] = [];
  private syncTimer: NodeJS.Timeout | null = null;
  private readonly watch: NodeJS.Timeout;

  constructor(state: CommitState, signer: Signer, io: AuditIo, limits: CommitLimits) {
    this.state = state;
    this.signer = signer;
    this.limits = limits;
    this.tree = state.tree;
    this.before.assign(state.tree);
    this.written = state.tree.size;
    this.batch = new Batch(signer.origin, state.keys.tail, state.frame);
    this.batch.follow(state.point);
    this.blobs = new BlobStore(state.dir);
    this.keeper = new Keeper(state.dir, state.keys.tail);
    this.segment = new SegmentFile(state.dir, io, state.first, state.point.offset);
    this.watch = setInterval(() => this.tend(), 1000);
    this.watch.unref();
  }

  /** Index of the next leaf. */
  get size(): number {
    return this.written + this.batch.leaves + this.unbuilt.count;
  }

  private get waiting(): number {
    return this.batch.leaves + this.unbuilt.count;
  }

  private get bytes(): number {
    return this.batch.bytes + this.unbuilt.bytes;
  }

  /** Throws AuditUnavailable when no record can be taken. */
  admit(): void {
    if (this.failure !== null) throw this.failure;
    if (this.bytes > this.limits.queueBytes)
      throw new AuditUnavailable("the audit log does not keep up: too much waits to be written");
  }

  /**
   * To be called after each append: the batch is written when the turn ends, or at once when it has grown large.
   * A record that nobody waits for (`urgent` false: an outcome) goes with the next batch, or with the next fdatasync.
   */
  appended(urgent: boolean): void {
    this.dirty = true;
    if (!urgent) this.armSync();
    else if (!this.armed) this.arm();
    if (this.bytes > this.limits.batchBytes && !this.hold) this.guarded(() => this.write(false));
  }

  whenSafe(level: Durability, waiter: SafeWaiter): void {
    if (this.failure !== null) {
      failLater([waiter], this.failure);
      return;
    }
    if (level === "process") this.processWaiters.push(waiter);
    else if (this.syncing && !this.dirty) {
      this.inflight.push(waiter);
      return;
    } else this.diskWaiters.push(waiter);
    if (!this.armed) this.arm();
  }

  /** Calls back when all that was appended is on disk and under a signed checkpoint. */
  whenSigned(waiter: SafeWaiter): void {
    if (this.failure !== null) {
      failLater([waiter], this.failure);
      return;
    }
    this.wanted = true;
    this.diskWaiters.push(waiter);
    if (!this.armed) this.arm();
  }

  private readonly tick = (): void => {
    this.armed = false;
    if (this.failure !== null || this.ended || this.hold) return;
    if (this.processWaiters.length > 0 && this.patience.wait(this.waiting)) this.arm();
    else this.guarded(() => this.turn());
  };

  private arm(): void {
    this.armed = true;
    setImmediate(this.tick);
  }

  private turn(): void {
    const disk = this.syncing ? 0 : this.diskWaiters.length;
    const signing = this.wanted && this.unsigned;
    if (disk > 0 && !this.dirty && !signing) {
      this.wanted = false;
      release(this.diskWaiters.splice(0));
    } else if (disk > 0 && (this.wanted || this.company.complete(disk))) this.sync(this.wanted);
    else if (this.waiting > 0 && (this.processWaiters.length > 0 || (disk === 0 && !this.syncing))) {
      this.write(false);
      this.armSync();
    }
    if (this.processWaiters.length > 0 && this.waiting === 0) {
      const waiters = this.processWaiters;
      this.processWaiters = [];
      release(waiters);
    }
  }

  private armSync(): void {
    if (this.syncTimer !== null || this.syncing || !(this.dirty || this.unsigned)) return;
    this.syncTimer = setTimeout(() => {
      this.syncTimer = null;
      if (this.failure === null && !this.syncing && !this.ended && (this.dirty || this.unsigned))
        this.guarded(() => this.sync(true));
    }, this.limits.syncMs);
  }

  /** Writes the batch with its last line: a MAC, or a signed checkpoint (then gives the note). Throws on any shortfall. */
  private write(checkpoint: boolean): Buffer | null {
    const { batch } = this;
    this.unbuilt.build();
    batch.sealPiece(this.sealingKey);
    if (checkpoint) batch.closeFrame();
    const chain = batch.chain();
    const hashes = batch.hashes();
    const note = checkpoint ? this.note(hashes, chain) : null;
    const line = note === null ? batch.macLine(chain) : checkpointLine(note);
    const length = batch.finish(line);
    this.segment.append(batch.buf, 0, length);
    this.watcher?.written(batch.buf.subarray(0, length), this.written, batch.leaves);
    this.written += batch.leaves;
    this.keeper.add(hashes);
    if (note === null) this.remember(hashes);
    else {
      this.freshBytes = 0;
      this.before.assign(this.tree);
    }
    batch.clear(chain, line);
    return note;
  }

  /** Brings the tree up to date, this batch's leaves included, and signs it. */
  private note(hashes: Buffer, chain: Buffer): Buffer {
    const { tree, fresh, freshBytes } = this;
    for (let at = 0; at < freshBytes; at += 32) tree.push(fresh, at);
    for (let at = 0; at < hashes.length; at += 32) tree.push(hashes, at);
    return this.signer.note(tree.size, tree.root(), chain);
  }

  private remember(hashes: Buffer): void {
    const end = this.freshBytes + hashes.length;
    if (end > this.fresh.length) this.fresh = grow(this.fresh, this.freshBytes, end);
    hashes.copy(this.fresh, this.freshBytes);
    this.freshBytes = end;
  }

  private readonly sealingKey = (day: string): KeyObject => this.dayKey(day);

  private dayKey(day: string): KeyObject {
    if (this.key?.day !== day) {
      const { dir, keys } = this.state;
      this.key = { day, key: dayKey(dir, this.signer.origin, keys.wrap, day) };
    }
    return this.key.key;
  }

  /** Writes what has gathered and starts its fdatasync; under a checkpoint when that is due, or `sign` asks for it. */
  private sync(sign: boolean): void {
    const now = performance.now();
    const full = this.full(now, this.bytes);
    const signs = sign || full || now - this.lastCheckpoint >= this.limits.signMs;
    // What was written without waiting has its line already; one without leaves must be a checkpoint.
    const note = signs || this.waiting > 0 ? this.write(signs) : null;
    this.company.end();
    if (this.syncTimer !== null) clearTimeout(this.syncTimer);
    this.syncTimer = null;
    this.dirty = false;
    this.unsigned = note === null;
    this.syncing = true;
    this.syncStarted = now;
    this.inflight = this.diskWaiters;
    this.diskWaiters = [];
    let signed: Signed | null = null;
    if (note !== null) {
      this.wanted = false;
      this.lastCheckpoint = now;
      this.hold = this.full(now, 0);
      const due = this.hold || now - this.keeper.savedMs >= 1000;
      signed = { point: { size: this.tree.size, note }, resume: due ? this.resume(note) : null };
    }
    let open = 1;
    const done = (error: Error | null): void => {
      open--;
      if (error !== null) this.fail("fdatasync failed", error);
      else if (open === 0 && this.failure === null) this.guarded(() => this.synced(signed));
    };
    if (this.blobs.unsynced > 0) {
      open++;
      this.blobs.sync(done);
    }
    this.segment.sync(done);
  }

  /** Whether the segment is to end with the next checkpoint, `more` bytes further on. */
  private full(now: number, more: number): boolean {
    const { segment, limits } = this;
    return (
      this.written + (more > 0 ? this.waiting : 0) > segment.first &&
      (segment.bytes + more >= limits.segmentBytes || now - segment.createdMs >= limits.segmentMs)
    );
  }

  private synced(signed: Signed | null): void {
    this.syncing = false;
    if (signed !== null) this.durable = signed.point;
    const waiters = this.inflight;
    this.inflight = [];
    this.company.served(waiters.length, this.diskWaiters.length, performance.now() - this.syncStarted);
    release(waiters);
    if (signed !== null) {
      this.watcher?.durable(signed.point);
      if (signed.resume !== null) this.keeper.save(signed.point.note, signed.resume);
      if (this.hold) this.rotate();
    }
    const waiting = this.waiting > 0 || this.diskWaiters.length > 0 || this.processWaiters.length > 0;
    if (waiting && !this.armed) this.arm();
    else this.armSync();
  }

  private resume(note: Buffer): Resume {
    const oldest = this.open.keys().next().value;
    return {
      note: note.toString("base64"),
      segment: this.segment.first,
      offset: this.segment.bytes,
      nodes: this.tree.save(),
      frame: this.batch.frame,
      open: oldest !== undefined && oldest < this.tree.size ? oldest : null,
      closed: this.ended,
    };
  }

  private rotate(): void {
    // The batch gathered meanwhile follows the new segment's start; the old one ends with the checkpoint just synced.
    const final = this.batch.final();
    this.keeper.sync();
    const first = this.written;
    this.segment.rotate(first);
    this.batch.follow({ chain: chainStart(this.signer.origin, first, final), tail: Buffer.alloc(0) });
    this.hold = false;
  }

  /** Once a second: the heartbeat checkpoint, the watch over a hanging disk, leaf hashes of a busy log. */
  private tend(): void {
    if (this.failure !== null || this.ended) return;
    const now = performance.now();
    if (this.syncing) {
      const tookMs = Math.round(now - this.syncStarted);
      if (tookMs > this.limits.stallMs) this.fail("fdatasync does not return", new Error(`${tookMs} ms`));
    } else if (now - this.lastCheckpoint >= this.limits.idleMs) {
      this.guarded(() => this.sync(true));
    } else if (this.keeper.waiting && !this.dirty && now - this.keeper.savedMs >= 1000) {
      this.guarded(() => this.saveEnd());
    }
  }

  /** Saves the place to resume at when the segment ends with the durable checkpoint. */
  private saveEnd(): void {
    if (this.durable?.size === this.written && this.segment.bytes > 0)
      this.keeper.save(this.durable.note, this.resume(this.durable.note));
  }

  /** Ends the log for a failure outside of the commit (a blob that cannot be stored); gives the failure to throw. */
  broken(error: unknown): AuditUnavailable {
    this.fail("the audit log cannot be written", error);
    return this.failure ?? new AuditUnavailable("the audit log cannot be written");
  }

  private guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail("the audit log cannot be written", error);
    }
  }

  /** Ends the log's life: nothing is taken any more, everyone who waits is told. */
  private fail(what: string, cause: unknown): void {
    if (this.failure !== null) return;
    const write = cause instanceof WriteFailed;
    const code = errorCode(write ? cause.cause : cause);
    this.failure = new AuditUnavailable(`${what} (${code})`, { cause });
    clearInterval(this.watch);
    this.company.end();
    if (this.syncTimer !== null) clearTimeout(this.syncTimer);
    failLater([...this.processWaiters, ...this.diskWaiters, ...this.inflight], this.failure);
    this.processWaiters = [];
    this.diskWaiters = [];
    this.inflight = [];
    if (write) this.lastWords(`audit log failed: ${code}`);
  }

  /**
   * After a failed write, and only then (a failed fdatasync is never tried again): cut off the torn batch, which nobody was
   * told is safe, free the ballast and say in the log why it ends.
   */
  private lastWords(reason: string): void {
    try {
      this.segment.cutBack();
      unlinkSync(join(this.state.dir, "ballast"));
      this.tree.assign(this.before);
      this.batch.discard();
      this.sayClosed?.(reason);
      this.write(true);
      this.segment.syncNow();
    } catch {
      // Nothing more can be said; the next open repairs the end of the segment.
    }
  }

  /** Stops taking part: the last checkpoint is saved, files are closed. Call when everything has settled. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.watch);
    this.company.end();
    if (this.syncTimer !== null) clearTimeout(this.syncTimer);
    try {
      if (this.failure === null && !this.dirty && !this.syncing) {
        this.saveEnd();
        this.keeper.sync();
      }
    } finally {
      this.failure ??= new AuditUnavailable("the audit log is closed");
      this.blobs.close();
      this.segment.close();
      this.keeper.close();
    }
  }
}
