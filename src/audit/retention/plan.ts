/** How far the oldest segments of a log may be pruned, and what stands for them afterwards. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { openCheckpoint, strictBase64, type VerifierKey } from "../verify/note.ts";
import { findRotations } from "../verify/prove.ts";
import { readPruned } from "../verify/pruned.ts";
import type { Rotation } from "../verify/rotations.ts";
import { readSegment, segmentName } from "../verify/segment.ts";
import { CompactRange } from "../verify/tree.ts";
import { forksBelow } from "./forks.ts";

export interface PrunePlan {
  /** Leaves that go: the first leaf of the oldest segment that stays. */
  readonly size: number;
  readonly root: string;
  /** First leaves of the segments that go. */
  readonly segments: readonly number[];
  /** Signed time of the last checkpoint that goes. */
  readonly until: string;
  /** The text of the `pruned` file. `nextFrame`: number of the next sealed frame of the log. To be asked when the pruning is on the record. */
  manifest(nextFrame: number): string;
}

/**
 * What may go of the log in `dir`: whole segments, all but the last one, that ended before `cutoff` (milliseconds since the
 * epoch) and hold nothing from leaf `keep` on. null: nothing. Throws what the file system throws, and Error when the log's own files do not fit together.
 */
export async function planPruning(
  dir: string,
  ring: readonly VerifierKey[],
  firsts: readonly number[],
  cutoff: number,
  keep: number,
): Promise<PrunePlan | null> {
  const segments: number[] = [];
  let note: Buffer | null = null;
  let size = 0;
  let until = "";
  for (const [i, first] of firsts.entries()) {
    const next = firsts[i + 1];
    if (next === undefined || next > keep) break;
    const last = lastNote(join(dir, "segments", segmentName(first)));
    const read = last === null ? null : openCheckpoint(last, ring);
    if (last === null || read === null || !read.ok || read.value.size !== next)
      throw new Error(`${segmentName(first)} does not end with its checkpoint: run "postern audit verify"`);
    if (Date.parse(read.value.time) >= cutoff) break;
    segments.push(first);
    note = last;
    size = next;
    until = read.value.time;
  }
  if (note === null) return null;
  const { nodes, root } = await nodesAt(dir, size);
  const signed = openCheckpoint(note, ring);
  if (!signed.ok || !signed.value.root.equals(root))
    throw new Error('the leaf hashes do not give the signed root: run "postern audit verify"');
  const forks = await forksBelow(dir, segments, size);
  const rotations = ring.length > 1 ? findRotations(dir, size) : [];
  const checkpoint = note.toString("utf8");
  return {
    size,
    root: root.toString("base64"),
    segments,
    until,
    manifest(nextFrame) {
      const frame = firstFrame(dir, firsts, size) ?? nextFrame;
      const kept = rotations.filter((rotation: Rotation) => rotation.index < size);
      return `${JSON.stringify({ v: 1, size, checkpoint, nodes, frame, rotations: kept, ...(forks.length > 0 ? { forks } : {}) })}\n`;
    },
  };
}

/** The signed note in the last line of a segment; null when that is no checkpoint. */
function lastNote(path: string): Buffer | null {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const end = Buffer.alloc(Math.min(8192, size));
    readSync(fd, end, 0, end.length, size - end.length);
    const text = end.toString("latin1");
    const line = text.slice(text.lastIndexOf("\n", text.length - 2) + 1);
    return line.startsWith("C ") && line.endsWith("\n") ? strictBase64(line.slice(2, -1)) : null;
  } finally {
    closeSync(fd);
  }
}

/** The subtree roots of the first `size` leaves, from the leaf hashes; it goes on from what was pruned before. */
async function nodesAt(dir: string, size: number): Promise<{ nodes: readonly string[]; root: Buffer }> {
  const tree = new CompactRange();
  const before = readPruned(dir);
  if (before !== null && before.size <= size) tree.load(before.size, before.nodes);
  const fd = openSync(join(dir, "leaves"), "r");
  try {
    const chunk = Buffer.alloc(32 * 4096);
    while (tree.size < size) {
      const count = Math.min(4096, size - tree.size);
      if (readSync(fd, chunk, 0, count * 32, tree.size * 32) !== count * 32)
        throw new Error("the leaves file is short");
      for (let i = 0; i < count; i++) tree.push(chunk, i * 32);
      // Statements of others go between.
      await turn();
    }
    return { nodes: tree.save(), root: tree.root() };
  } finally {
    closeSync(fd);
  }
}

/** Number of the first sealed frame from leaf `size` on; null when there is none. */
function firstFrame(dir: string, firsts: readonly number[], size: number): number | null {
  let found: number | null = null;
  for (const first of firsts) {
    if (first < size || found !== null) continue;
    readSegment(
      join(dir, "segments", segmentName(first)),
      { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
      {
        leaf: () => null,
        frame(number) {
          found = number;
          return "found";
        },
        point: () => null,
      },
      { hashes: false },
    );
  }
  return found;
}
