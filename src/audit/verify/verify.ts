/** Checks a log folder against itself, its public key and, if given, a checkpoint kept elsewhere. */
import { createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkBlobs, LeafFile } from "./beside.ts";
import {
  type Checkpoint,
  openCheckpoint,
  parseVerifierKey,
  type Read,
  strictBase64,
  type VerifierKey,
} from "./note.ts";
import { Bad, type BadPlace, type VerifyOptions, type VerifyReport } from "./report.ts";
import { chainStart, readSegment, type SegmentVisitor, segmentFirst } from "./segment.ts";
import { CompactRange } from "./tree.ts";

interface Expectation {
  readonly checkpoint: Checkpoint;
  readonly file: string;
  met: boolean;
}

const blobMember = Buffer.from('"blob":"', "latin1");

/** Verifies one log (`<audit dir>/<node>/<worker>`). Never throws: whatever is wrong is in the report. */
export function verifyLog(dir: string, options: VerifyOptions = {}): VerifyReport {
  const run = new Run(dir, options);
  let place: BadPlace | null = null;
  try {
    run.all();
  } catch (error) {
    place =
      error instanceof Bad
        ? error.place
        : { file: run.file, offset: 0, leaf: null, problem: `cannot be read: ${reason(error)}`, torn: false };
  }
  return run.report(place);
}

function reason(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "unexpected content";
}

class Run implements SegmentVisitor {
  file = "";
  private readonly dir: string;
  private readonly options: VerifyOptions;
  private key: VerifierKey | null = null;
  private readonly tree = new CompactRange();
  private readonly expected: Expectation[] = [];
  private frames = 0;
  /** Number of the frame whose end has not come; -1: none. */
  private openFrame = -1;
  private checkpoints = 0;
  private segments = 0;
  private bytes = 0;
  private last: Checkpoint | null = null;
  /** Offset behind the last line when that was a checkpoint. */
  private checkpointEnd = -1;
  private tailLeaves = 0;
  private tailBytes = 0;
  private leafFile: LeafFile | null = null;

  constructor(dir: string, options: VerifyOptions) {
    this.dir = dir;
    this.options = options;
  }

  all(): void {
    this.key = this.readKey();
    if (this.options.checkpoint !== undefined) this.expect("", this.options.checkpoint, true);
    const names = this.segmentNames();
    // Both are written behind the segments: taken first, they can never be ahead of what is read then.
    this.file = "checkpoint";
    const note = readIfThere(join(this.dir, "checkpoint"));
    if (note !== null) this.expect("checkpoint", note, false);
    this.file = "leaves";
    this.leafFile = LeafFile.open(join(this.dir, "leaves"));
    try {
      this.readSegments(names);
      this.file = "leaves";
      this.leafFile?.finish(this.tree.size);
    } finally {
      this.leafFile?.close();
    }
    for (const e of this.expected) this.settle(e);
    this.file = "blobs";
    checkBlobs(this.dir);
  }

  private readKey(): VerifierKey {
    this.file = "log.vkey";
    const own = readIfThere(join(this.dir, "log.vkey"));
    const given = this.options.vkey?.trim();
    const text = given ?? own?.toString("latin1");
    if (text === undefined) throw new Bad("log.vkey", 0, null, "no public key: give one");
    const key = parseVerifierKey(text);
    if (!key.ok) throw new Bad(given === undefined ? "log.vkey" : "", 0, null, key.problem);
    if (own !== null && own.toString("latin1") !== `${key.value.text}\n`)
      throw new Bad("log.vkey", 0, null, "the folder's key is not the log's key");
    return key.value;
  }

  private expect(file: string, note: Buffer, cosigned: boolean): void {
    const read = this.checkpoint(note, cosigned);
    if (!read.ok)
      throw new Bad(file, 0, null, file === "" ? `the checkpoint given: ${read.problem}` : read.problem);
    this.expected.push({ checkpoint: read.value, file, met: false });
  }

  private checkpoint(note: Buffer, cosigned: boolean): Read<Checkpoint> {
    return this.key === null ? { ok: false, problem: "no key" } : openCheckpoint(note, this.key, cosigned);
  }

  private segmentNames(): string[] {
    this.file = "segments";
    const names = readdirSync(join(this.dir, "segments")).sort();
    for (const name of names)
      if (segmentFirst(name) === null)
        throw new Bad(`segments/${name}`, 0, null, "a file that is no segment");
    if (names.length === 0) throw new Bad("segments", 0, null, "no segments");
    return names;
  }

  private readSegments(names: readonly string[]): void {
    const key = this.key;
    if (key === null) return;
    let previous: Buffer = Buffer.alloc(32);
    for (const [i, name] of names.entries()) {
      this.file = `segments/${name}`;
      const first = segmentFirst(name);
      if (first !== this.tree.size)
        throw new Bad(this.file, 0, this.tree.size, `the segment should begin with leaf ${this.tree.size}`);
      this.segments++;
      this.checkpointEnd = -1;
      const start = { offset: 0, chain: chainStart(key.name, first, previous), tail: Buffer.alloc(0) };
      const end = readSegment(join(this.dir, this.file), start, this);
      this.bytes += end.good;
      if (end.fault !== null) {
        const torn = i === names.length - 1 && end.fault.problem.endsWith("cut off");
        throw new Bad(this.file, end.fault.at, this.tree.size, end.fault.problem, torn);
      }
      if (i < names.length - 1 && this.checkpointEnd !== end.length)
        throw new Bad(this.file, end.length, this.tree.size, "the segment does not end with a checkpoint");
      previous = end.chain;
    }
    if (this.last === null) throw new Bad(this.file, 0, 0, "no checkpoint: nothing of this log is signed");
  }

  leaf(buf: Buffer, start: number, end: number, hash: string, _at: number): string | null {
    for (const e of this.expected) if (!e.met) this.settleAt(e);
    const bytes = Buffer.from(hash, "latin1");
    if (this.leafFile !== null && !this.leafFile.next(bytes)) {
      this.file = "leaves";
      throw new Bad(
        "leaves",
        this.tree.size * 32,
        this.tree.size,
        "the leaf hash differs from the segment's leaf",
      );
    }
    this.tree.push(bytes, 0);
    this.tailLeaves++;
    if (this.tree.size % 65536 === 0) this.options.progress?.(this.tree.size);
    return this.missingBlob(buf, start, end);
  }

  frame(frame: number): string | null {
    if (frame !== this.openFrame) {
      if (frame !== this.frames) return `frame ${frame} where ${this.frames} is due`;
      this.frames++;
      this.openFrame = frame;
    }
    return null;
  }

  frameEnd(): string | null {
    if (this.openFrame < 0) return "the end of a frame that was not begun";
    this.openFrame = -1;
    return null;
  }

  point(kind: "B" | "C", text: string, chain: Buffer, _at: number, end: number): string | null {
    if (kind === "B") {
      this.tailBytes = end;
      if (strictBase64(text)?.length !== 32) return "a malformed batch line";
      const { tailKey } = this.options;
      if (tailKey === undefined) return null;
      const mac = createHmac("sha256", tailKey).update(chain).digest("base64");
      return mac === text ? null : "the bytes of this batch do not give its MAC";
    }
    const note = strictBase64(text);
    if (note === null) return "a malformed checkpoint line";
    const read = this.checkpoint(note, false);
    if (!read.ok) return read.problem;
    const { size, root } = read.value;
    if (size !== this.tree.size) return `the checkpoint says ${size} leaves, there are ${this.tree.size}`;
    if (!root.equals(this.tree.root())) return "the leaves before this checkpoint do not give its root";
    if (!read.value.chain.equals(chain))
      return "the bytes before this checkpoint do not give its chain value";
    this.last = read.value;
    this.checkpoints++;
    this.checkpointEnd = end;
    this.tailLeaves = 0;
    this.tailBytes = 0;
    return null;
  }

  /** A leaf may name blobs by their SHA-256; they must be there (their content is checked once, by readBlobs). */
  private missingBlob(buf: Buffer, start: number, end: number): string | null {
    const leaf = buf.subarray(start, end);
    for (let at = leaf.indexOf(blobMember); at >= 0; at = leaf.indexOf(blobMember, at + 1)) {
      const name = leaf.toString("latin1", at + 8, at + 72);
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      if (!existsSync(join(this.dir, "blobs", name.slice(0, 2), name))) return `blob ${name} is missing`;
    }
    return null;
  }

  /** Compares an expected checkpoint with the tree as soon as the tree has its size. */
  private settleAt(e: Expectation): void {
    if (e.checkpoint.size !== this.tree.size) return;
    if (!e.checkpoint.root.equals(this.tree.root()))
      throw new Bad(
        e.file,
        0,
        e.checkpoint.size,
        `the first ${e.checkpoint.size} leaves are not those the checkpoint of ${e.checkpoint.time} was signed for`,
      );
    e.met = true;
  }

  private settle(e: Expectation): void {
    if (!e.met) this.settleAt(e);
    const size = this.last?.size ?? 0;
    if (e.checkpoint.size > size)
      throw new Bad(
        e.file,
        0,
        size,
        `the log is signed for ${size} leaves, a checkpoint of ${e.checkpoint.time} for ${e.checkpoint.size}: cut off or rolled back`,
      );
  }

  report(place: BadPlace | null): VerifyReport {
    const unsigned = this.tailLeaves > 0 || this.tailBytes > 0;
    return {
      ok: place === null,
      origin: this.key?.name ?? null,
      key: this.key?.text ?? null,
      keyFrom: this.options.vkey === undefined ? "folder" : "given",
      size: this.last?.size ?? 0,
      root: this.last?.root.toString("base64") ?? null,
      time: this.last?.time ?? null,
      leaves: this.tree.size,
      checkpoints: this.checkpoints,
      sealedFrames: this.frames,
      segments: this.segments,
      bytes: this.bytes,
      unsignedTail: unsigned
        ? { leaves: this.tailLeaves, bytes: Math.max(0, this.tailBytes - Math.max(0, this.checkpointEnd)) }
        : null,
      continues:
        this.options.checkpoint === undefined ? null : (this.expected[0]?.met ?? false) && place === null,
      firstBadPlace: place,
    };
  }
}

function readIfThere(path: string): Buffer | null {
  return existsSync(path) ? readFileSync(path) : null;
}
