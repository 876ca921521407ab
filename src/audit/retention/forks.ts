/** Forks on records that retention removes: who has a checkpoint of what was given up must still be told (docs/audit-format.md section 10). */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { readLogLeaf, typeAt } from "../verify/leaftype.ts";
import { inclusionProof } from "../verify/proofs.ts";
import { readHashes } from "../verify/prove.ts";
import { readPruned } from "../verify/pruned.ts";
import { segmentName } from "../verify/segment.ts";
import { leafHash } from "../verify/tree.ts";

/** A `log.forked` record with its proof under the root of what was pruned. */
export interface KeptFork {
  readonly index: number;
  readonly leaf: string;
  /** Base64 hashes, from the leaf upwards. */
  readonly path: readonly string[];
}

const mark = Buffer.from('"type":"log.forked",', "latin1");
/** From a line's start to the mark: "L ", and the leaf up to its type. */
const before = 2 + typeAt - '"type":"'.length;
const piece = 4 * 1024 * 1024;
/** No leaf's line is longer. */
const overlap = 64 * 1024;

/** All forks of the first `size` leaves: those that were pruned before, and those in `segments`, which are about to go. Rejects with what the file system throws. */
export async function forksBelow(
  dir: string,
  segments: readonly number[],
  size: number,
): Promise<readonly KeptFork[]> {
  const found = new Map<number, string>();
  for (const { index, leaf } of (readPruned(dir)?.forks ?? []) as readonly KeptFork[]) found.set(index, leaf);
  for (const [i, first] of segments.entries())
    for (const leaf of await forksIn(join(dir, "segments", segmentName(first))))
      found.set(indexOf(dir, leaf, first, segments[i + 1] ?? size), leaf);
  return [...found].map(([index, leaf]) => {
    const path = readHashes(join(dir, "leaves"), size, (hashes) => inclusionProof(hashes, index, size));
    if (path === null) throw new Error("the leaves file is short");
    return { index, leaf, path: path.map((p) => p.toString("base64")) };
  });
}

/** The leaves of a segment that record a fork. In pieces: it may be large, and sessions wait. */
async function forksIn(path: string): Promise<ReadonlySet<string>> {
  const leaves = new Set<string>();
  const file = await open(path, "r");
  try {
    const buf = Buffer.allocUnsafe(piece + overlap);
    for (let at = 0; ; at += piece) {
      const { bytesRead } = await file.read(buf, 0, buf.length, at);
      const read = buf.subarray(0, bytesRead);
      for (let i = read.indexOf(mark); i >= 0; i = read.indexOf(mark, i + 1)) {
        const start = i - before;
        const begins = start === 0 ? at === 0 : start > 0 && read[start - 1] === 0x0a;
        const end = read.indexOf(0x0a, i);
        if (!begins || end < 0 || read[start] !== 0x4c) continue;
        const leaf = readLogLeaf(read, start + 2, end);
        if (leaf !== null && leaf !== "malformed") leaves.add(read.toString("utf8", start + 2, end));
      }
      if (bytesRead < buf.length) return leaves;
    }
  } finally {
    await file.close();
  }
}

/** The index of a leaf of the segment that begins with leaf `first`, by the list of the leaves' hashes. */
function indexOf(dir: string, leaf: string, first: number, next: number): number {
  const wanted = leafHash(Buffer.from(leaf, "utf8"));
  const found = readHashes(join(dir, "leaves"), next, (hashes) => {
    for (let index = first; index < next; index++) if (wanted.equals(hashes(index))) return index;
    return null;
  });
  if (found === null) throw new Error('a record of a fork has no leaf hash: run "postern audit verify"');
  return found;
}
