/** Checks a log folder against itself, its public key and, if given, a checkpoint kept elsewhere. */
import { createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkBlobs, LeafFile } from "./beside.ts";
import { Expectations } from "./expect.ts";
import { KeyChain } from "./keychain.ts";
import { readLogLeaf } from "./leaftype.ts";
import { type Checkpoint, openCheckpoint, parseVerifierKey, strictBase64, type VerifierKey } from "./note.ts";
import { forksOf, readPruned } from "./pruned.ts";
import { Bad, type BadPlace, type ForkReport, type VerifyOptions, type VerifyReport } from "./report.ts";
import { followRotations } from "./rotations.ts";
import { chainStart, readSegment, type SegmentVisitor, segmentFirst } from "./segment.ts";
import { CompactRange } from "./tree.ts";

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
  private chain: KeyChain | null = null;
  private readonly tree = new CompactRange();
  private readonly expected = new Expectations();
  private readonly forks: ForkReport[] = [];
  /** The leaves that are gone, and their root; null: none. `recorded`: a record of the log says so. */
  private pruned: { readonly size: number; readonly root: string; recorded: boolean } | null = null;
  private frames = 0;
  /** Number of the frame whose end has not come; -1: none. */
  private openFrame = -1;
  /** The line before is the end of a frame. */
  private ended = false;
  private checkpoints = 0;
  private segments = 0;
  private bytes = 0;
  private last: Checkpoint | null = null;
  /** Offset behind the last line when that was a checkpoint. */
  private checkpointEnd = -1;
  private tailLeaves = 0;
  private tailBytes = 0;
  private leafFile: LeafFile | null = null;
  /** The log ends in the middle of a batch. A fault of anything else is worse, and is the one that is told. */
  private torn: Bad | null = null;

  constructor(dir: string, options: VerifyOptions) {
    this.dir = dir;
    this.options = options;
  }

  all(): void {
    this.key = this.readKey();
    this.chain = new KeyChain([this.key]);
    if (this.options.checkpoint !== undefined) this.expected.add("given", "", this.options.checkpoint);
    for (const { name, note } of this.options.anchors ?? []) this.expected.add("anchor", name, note);
    // Both are written behind the segments: taken first, they can never be ahead of what is read then.
    this.file = "checkpoint";
    const note = readIfThere(join(this.dir, "checkpoint"));
    if (note !== null) this.expected.add("beside", "checkpoint", note);
    this.expected.begin();
    this.file = "leaves";
    this.leafFile = LeafFile.open(join(this.dir, "leaves"));
    try {
      this.readSegments(this.segmentNames());
      this.file = "leaves";
      this.leafFile?.finish(this.tree.size);
    } finally {
      this.leafFile?.close();
    }
    if (this.pruned !== null && !this.pruned.recorded)
      throw new Bad(
        "pruned",
        0,
        this.pruned.size,
        "no record of the log says that its oldest part was pruned",
      );
    if (this.chain !== null) {
      this.expected.meet(this.tree, this.chain.ring);
      this.expected.judge(this.last?.size ?? 0, this.chain.ring, this.forks);
    }
    this.file = "blobs";
    checkBlobs(this.dir);
    if (this.torn !== null) throw this.torn;
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
    const { chain } = this;
    if (chain === null) return;
    let previous = this.beginning(segmentFirst(names[0] ?? "") ?? 0);
    // What pruning was about to remove when it was cut off is no part of the log any more.
    const present = names.filter((name) => (segmentFirst(name) ?? 0) >= this.tree.size);
    for (const [i, name] of present.entries()) {
      this.file = `segments/${name}`;
      const first = segmentFirst(name);
      if (first !== this.tree.size)
        throw new Bad(this.file, 0, this.tree.size, `the segment should begin with leaf ${this.tree.size}`);
      this.segments++;
      this.checkpointEnd = -1;
      const start = { offset: 0, chain: chainStart(chain.name, first, previous), tail: Buffer.alloc(0) };
      const end = readSegment(join(this.dir, this.file), start, this);
      this.bytes += end.good;
      if (end.fault !== null) {
        const torn = i === present.length - 1 && end.fault.problem.endsWith("cut off");
        const bad = new Bad(this.file, end.fault.at, this.tree.size, end.fault.problem, torn);
        if (!torn) throw bad;
        this.torn = bad;
      }
      if (i < present.length - 1 && this.checkpointEnd !== end.length)
        throw new Bad(this.file, end.length, this.tree.size, "the segment does not end with a checkpoint");
      previous = end.chain;
    }
    if (this.last === null) throw new Bad(this.file, 0, 0, "no checkpoint: nothing of this log is signed");
  }

  /** What the first segment's chain goes on from: nothing, or what `pruned` says of the segments before it. */
  private beginning(first: number): Buffer {
    const { key } = this;
    if (first === 0 || key === null) return Buffer.alloc(32);
    this.file = "pruned";
    const pruned = readPruned(this.dir);
    const bad = (problem: string) => new Bad("pruned", 0, first, problem);
    if (pruned === null) throw bad(`the log begins with leaf ${first}, and nothing says why`);
    const ring = followRotations(key, pruned.rotations);
    if (!ring.ok) throw bad(ring.problem);
    const note = openCheckpoint(pruned.note, ring.value.at(-1) ?? key);
    if (!note.ok) throw bad(note.problem);
    const { size, root } = note.value;
    if (size !== pruned.size) throw bad("its checkpoint is of another size");
    this.hashesOfPruned(size, root, ring.value);
    this.tree.load(size, pruned.nodes);
    if (!this.tree.root().equals(root)) throw bad("its nodes do not give the signed root");
    const forks = forksOf(pruned, size, root);
    if (forks === null) throw bad("its forks are not records of what was pruned");
    this.forks.push(...forks);
    this.chain = new KeyChain(ring.value);
    this.frames = pruned.frame;
    this.last = note.value;
    this.pruned = { size, root: root.toString("base64"), recorded: false };
    return pruned.previous;
  }

  /** The leaf hashes of pruned records are still there: they must give the signed root, and older checkpoints theirs. */
  private hashesOfPruned(size: number, root: Buffer, ring: readonly VerifierKey[]): void {
    const { leafFile } = this;
    if (leafFile === null) return;
    const tree = new CompactRange();
    while (tree.size < size) {
      if (this.expected.due <= tree.size) this.expected.meet(tree, ring);
      const hash = leafFile.take();
      if (hash === null)
        throw new Bad("leaves", tree.size * 32, tree.size, "hashes of pruned records are missing");
      tree.push(hash, 0);
    }
    if (!tree.root().equals(root))
      throw new Bad("leaves", 0, null, "the hashes of the pruned records do not give the signed root");
  }

  leaf(buf: Buffer, start: number, end: number, hash: string, _at: number): string | null {
    const { chain } = this;
    if (chain !== null && this.expected.due <= this.tree.size) this.expected.meet(this.tree, chain.ring);
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
    return this.ofTheLog(buf, start, end) ?? this.missingBlob(buf, start, end);
  }

  /** A leaf that says something of the log itself. */
  private ofTheLog(buf: Buffer, start: number, end: number): string | null {
    const leaf = readLogLeaf(buf, start, end);
    if (leaf === null) return null;
    if (leaf === "malformed") return "a malformed record of the log's own";
    switch (leaf.type) {
      case "key.rotated":
        return this.chain?.rotated(leaf.previous, leaf.next) ?? null;
      case "log.forked": {
        const { time, reason, size, largest } = leaf;
        this.forks.push({ index: this.tree.size - 1, time, reason, size, largest });
        return null;
      }
      case "log.pruned":
        if (this.pruned?.size === leaf.size && this.pruned.root === leaf.root) this.pruned.recorded = true;
        return null;
    }
  }

  frame(frame: number): string | null {
    this.ended = false;
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
    this.ended = true;
    return null;
  }

  point(kind: "B" | "C", text: string, chain: Buffer, _at: number, end: number): string | null {
    const { ended } = this;
    this.ended = false;
    if (kind === "B") {
      if (ended) return "a frame ended without a checkpoint behind it";
      this.tailBytes = end;
      if (strictBase64(text)?.length !== 32) return "a malformed batch line";
      const { tailKey } = this.options;
      if (tailKey === undefined) return null;
      const mac = createHmac("sha256", tailKey).update(chain).digest("base64");
      return mac === text ? null : "the bytes of this batch do not give its MAC";
    }
    // A frame that is open here was left so by a writer that was killed: nothing more comes of it.
    this.openFrame = -1;
    const note = strictBase64(text);
    if (note === null) return "a malformed checkpoint line";
    if (this.chain === null) return "no key";
    const read = this.chain.open(note);
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

  report(place: BadPlace | null): VerifyReport {
    const unsigned = this.tailLeaves > 0 || this.tailBytes > 0;
    return {
      ok: place === null,
      origin: this.key?.name ?? null,
      key: this.key?.text ?? null,
      keys: this.chain?.ring.map((key) => key.text) ?? [],
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
      continues: this.expected.continues === null ? null : this.expected.continues && place === null,
      anchors: this.expected.anchors(),
      forks: this.forks,
      pruned: this.pruned?.size ?? null,
      firstBadPlace: place,
    };
  }
}

function readIfThere(path: string): Buffer | null {
  return existsSync(path) ? readFileSync(path) : null;
}
