/**
 * Where a log stands after whatever ended its last writer. Everything up to the last chain point that proves itself (a
 * signed checkpoint, or a batch under the tail key's MAC) is the log; bytes behind it were acknowledged to nobody.
 */
import { createHmac, hash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { KeptNote } from "./anchors/compare.ts";
import { blobPath } from "./blobs.ts";
import { writeAnew } from "./files.ts";
import type { LogKeys } from "./keys.ts";
import { type Quarantined, setAside } from "./quarantine.ts";
import { corrupt, newerBeside, refuseDamage, refuseOtherKeys, refuseRollback } from "./refuse.ts";
import { type Resume, readResume } from "./resume.ts";
import { type OpenIntent, Unresolved } from "./unresolved.ts";
import { type Checkpoint, openCheckpoint, strictBase64 } from "./verify/note.ts";
import { readPruned } from "./verify/pruned.ts";
import {
  chainStart,
  readSegment,
  type SegmentStart,
  type SegmentVisitor,
  segmentFirst,
  segmentName,
} from "./verify/segment.ts";
import { CompactRange } from "./verify/tree.ts";

export interface Recovered {
  readonly tree: CompactRange;
  /** First leaf of the segment to go on in, and the chain point to go on from. */
  readonly first: number;
  readonly point: SegmentStart;
  /** Number of the next sealed frame. */
  readonly frame: number;
  /** The last checkpoint in the log. */
  readonly checkpoint: Checkpoint | null;
  /** Leaves behind that checkpoint which were adopted under the tail key's MAC. */
  readonly adopted: number;
  readonly quarantined: Quarantined | null;
  readonly unresolved: readonly OpenIntent[];
  /** Newer checkpoints that lay beside a log that was set back; [] unless that was to be tolerated. */
  readonly rolledBack: readonly KeptNote[];
  /** The last writer closed the log and nothing had to be repaired. */
  readonly clean: boolean;
}

/** The first leaf indexes of the segments in `dir`, ascending. Throws AuditOpenError on a file that is no segment. */
export function segmentFirsts(dir: string): number[] {
  const firsts: number[] = [];
  for (const name of readdirSync(join(dir, "segments")).sort()) {
    const first = segmentFirst(name);
    if (first === null) throw corrupt(`${join(dir, "segments", name)} is no segment of the log`);
    firsts.push(first);
  }
  return firsts;
}

/**
 * Reads the log in `dir` (which has segments) to its end and repairs that end. Throws AuditOpenError AUDIT_CORRUPT or
 * AUDIT_ROLLED_BACK, having changed nothing. `tolerate.rollback`: give newer checkpoints found beside the log instead of refusing.
 */
export function recover(
  dir: string,
  keys: LogKeys,
  tolerate: { readonly rollback: boolean } = { rollback: false },
): Recovered {
  return new Recovery(dir, keys, tolerate.rollback).run();
}

const blobMember = Buffer.from('"blob":"', "latin1");
class Recovery implements SegmentVisitor {
  private readonly dir: string;
  private readonly keys: LogKeys;
  private readonly rollback: boolean;
  private readonly origin: string;
  private readonly tree = new CompactRange();
  /** The state at the last good point: what came behind it does not count. */
  private readonly goodTree = new CompactRange();
  private goodFrame = 0;
  private closed = false;
  private frameNumber = 0;
  private openFrame = -1;
  private checkpoint: Checkpoint | null = null;
  private checkpointEnd = -1;
  private adopted = 0;
  private readonly unresolved: Unresolved;
  /** Blobs that the batch being read names; and all that the last segment was seen to name. */
  private blobs: string[] = [];
  private named: string[] = [];

  constructor(dir: string, keys: LogKeys, rollback: boolean) {
    this.dir = dir;
    this.keys = keys;
    this.rollback = rollback;
    this.origin = keys.ring[0]?.name ?? "";
    this.unresolved = new Unresolved(this.origin);
  }

  run(): Recovered {
    const firsts = segmentFirsts(this.dir);
    const resume = readResume(this.dir, this.keys.tail);
    let { first, from } = this.begin(firsts, resume);
    let at = firsts.indexOf(first);
    let end = readSegment(this.path(first), from, this);
    for (;;) {
      const next = firsts[at + 1];
      if (end.fault !== null || next !== this.goodTree.size || this.checkpointEnd !== end.good) break;
      at++;
      first = next;
      from = { offset: 0, chain: chainStart(this.origin, next, end.chain), tail: Buffer.alloc(0) };
      this.checkpointEnd = -1;
      this.named = [];
      end = readSegment(this.path(first), from, this);
    }
    const later = firsts.slice(at + 1);
    const ends = {
      segment: first,
      good: end.good,
      problem: end.fault?.problem ?? "a segment that does not follow",
    };
    refuseDamage(this.dir, this.keys, ends, later);
    refuseOtherKeys(this.dir, firsts, this.checkpoint, this.keys);
    const rolledBack = newerBeside(this.dir, this.keys, this.checkpoint, resume);
    if (!this.rollback) refuseRollback(this.dir, this.checkpoint, rolledBack);
    const quarantined = setAside(this.dir, first, end.good, later);
    if (end.good > from.offset) this.makeSure(first, from.offset, end.good);
    return {
      tree: this.goodTree,
      first,
      point: end.point,
      frame: this.goodFrame,
      checkpoint: this.checkpoint,
      adopted: this.adopted,
      quarantined,
      unresolved: this.unresolved.list(),
      rolledBack,
      clean: this.closed && quarantined === null && this.adopted === 0,
    };
  }

  private path(first: number): string {
    return join(this.dir, "segments", segmentName(first));
  }

  /** Where to start reading: behind the checkpoint that `resume` holds, if that is there; else at the log's beginning. */
  private begin(firsts: readonly number[], resume: Resume | null): { first: number; from: SegmentStart } {
    const first = firsts[0] ?? 0;
    if (first > 0) this.behindPruned(first);
    if (resume !== null && this.fits(firsts, resume)) {
      const tail = Buffer.from(`C ${resume.note}\n`, "latin1");
      const chain = this.checkpoint?.chain ?? Buffer.alloc(32);
      this.checkpointEnd = resume.offset;
      this.frameNumber = resume.frame;
      this.goodFrame = resume.frame;
      this.closed = resume.closed;
      if (resume.open !== null) {
        const fault = this.unresolved.collect(this.dir, firsts, resume.open, resume.segment, resume.offset);
        if (fault !== null)
          throw corrupt(`the log is damaged at byte ${fault.at} of a segment: ${fault.problem}`);
      }
      return { first: resume.segment, from: { offset: resume.offset, chain, tail } };
    }
    this.checkpoint = null;
    this.tree.load(0, []);
    this.goodTree.load(0, []);
    if (first > 0) return this.behindPruned(first);
    return {
      first,
      from: { offset: 0, chain: chainStart(this.origin, 0, Buffer.alloc(32)), tail: Buffer.alloc(0) },
    };
  }

  /** The oldest segments were pruned: what stands for them must be signed, and end where the log begins. */
  private behindPruned(first: number): { first: number; from: SegmentStart } {
    const pruned = readPruned(this.dir);
    const note = pruned === null ? null : openCheckpoint(pruned.note, this.keys.ring);
    if (pruned === null || note === null || !note.ok || note.value.size !== first || pruned.size !== first)
      throw corrupt(`the log begins with leaf ${first}, and its file "pruned" does not say why`);
    try {
      this.tree.load(first, pruned.nodes);
    } catch {
      throw corrupt('the nodes in the file "pruned" are none');
    }
    if (!this.tree.root().equals(note.value.root))
      throw corrupt('the file "pruned" does not give the signed root');
    this.goodTree.assign(this.tree);
    this.checkpoint = note.value;
    this.frameNumber = pruned.frame;
    this.goodFrame = pruned.frame;
    const chain = chainStart(this.origin, first, pruned.previous);
    return { first, from: { offset: 0, chain, tail: Buffer.alloc(0) } };
  }

  private fits(firsts: readonly number[], resume: Resume): boolean {
    const note = openCheckpoint(Buffer.from(resume.note, "base64"), this.keys.ring);
    if (!note.ok || !firsts.includes(resume.segment)) return false;
    try {
      this.tree.load(note.value.size, resume.nodes);
    } catch {
      return false;
    }
    if (!this.tree.root().equals(note.value.root)) return false;
    const line = Buffer.from(`C ${resume.note}\n`, "latin1");
    const there = Buffer.alloc(line.length);
    const fd = openSync(this.path(resume.segment), "r");
    try {
      readSync(fd, there, 0, line.length, Math.max(0, resume.offset - line.length));
    } finally {
      closeSync(fd);
    }
    if (!there.equals(line)) return false;
    this.goodTree.assign(this.tree);
    this.checkpoint = note.value;
    return true;
  }

  leaf(buf: Buffer, start: number, end: number, leafHash: string): string | null {
    const problem = this.unresolved.leaf(this.tree.size, buf, start, end);
    this.tree.push(Buffer.from(leafHash, "latin1"), 0);
    const leaf = buf.subarray(start, end);
    for (let at = leaf.indexOf(blobMember); at >= 0; at = leaf.indexOf(blobMember, at + 1))
      this.blobs.push(leaf.toString("latin1", at + 8, at + 72));
    return problem;
  }

  frame(frame: number): string | null {
    if (frame === this.openFrame) return null;
    if (frame !== this.frameNumber) return "a frame out of order";
    this.openFrame = frame;
    this.frameNumber++;
    return null;
  }

  frameEnd(): string | null {
    if (this.openFrame < 0) return "the end of a frame that was not begun";
    this.openFrame = -1;
    return null;
  }

  point(kind: "B" | "C", text: string, chain: Buffer, _at: number, end: number): string | null {
    const problem = kind === "B" ? this.batchEnd(text, chain) : this.checkpointLine(text, chain, end);
    if (problem !== null) return problem;
    this.goodTree.assign(this.tree);
    this.goodFrame = this.frameNumber;
    this.closed = this.unresolved.closed;
    this.named.push(...this.blobs);
    this.blobs = [];
    this.unresolved.apply();
    return null;
  }

  /** The last writer may have ended with a failed fsync: what came behind the last saved checkpoint is written anew. */
  private makeSure(first: number, from: number, to: number): void {
    writeAnew(this.path(first), from, to);
    for (const name of new Set(this.named)) {
      const path = blobPath(this.dir, name);
      if (existsSync(path)) writeAnew(path, 0, statSync(path).size);
    }
  }

  private batchEnd(text: string, chain: Buffer): string | null {
    if (createHmac("sha256", this.keys.tail).update(chain).digest("base64") !== text)
      return "a batch that is not ours";
    // Without a checkpoint the blobs may not have reached the disk either; then the batch was acknowledged to nobody's disk.
    for (const name of this.blobs) {
      const path = blobPath(this.dir, name);
      if (!existsSync(path) || hash("sha256", readFileSync(path), "hex") !== name)
        return "a blob that was not stored";
    }
    this.adopted = this.tree.size - (this.checkpoint?.size ?? 0);
    return null;
  }

  private checkpointLine(text: string, chain: Buffer, end: number): string | null {
    const note = strictBase64(text);
    const read = note === null ? null : openCheckpoint(note, this.keys.ring);
    if (read === null || !read.ok) return "a checkpoint that is not ours";
    const { size, root } = read.value;
    if (size !== this.tree.size || !root.equals(this.tree.root()) || !read.value.chain.equals(chain))
      return "a checkpoint that does not fit what is before it";
    this.checkpoint = read.value;
    this.checkpointEnd = end;
    this.adopted = 0;
    return null;
  }
}
