/** What stands for the oldest segments once they were pruned: `pruned` beside the segments (docs/audit-format.md section 10). */
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readLogLeaf } from "./leaftype.ts";
import { strictBase64 } from "./note.ts";
import { verifyInclusion } from "./proofs.ts";
import type { ForkReport } from "./report.ts";
import { leafHash } from "./tree.ts";

export interface Pruned {
  /** Leaves that were pruned: the index of the first that is still there. */
  readonly size: number;
  /** The signed note of the checkpoint that ended the last pruned segment. */
  readonly note: Buffer;
  /** The subtree roots of the pruned leaves, base64, largest first. */
  readonly nodes: readonly string[];
  /** Number of the first sealed frame that is still there. */
  readonly frame: number;
  /** Records of key changes in the pruned segments, each with its proof: texts as in a proof file. */
  readonly rotations: readonly unknown[];
  /** Records of forks in the pruned segments, each with its proof. */
  readonly forks: readonly unknown[];
  /** The final chain value of the last pruned segment. */
  readonly previous: Buffer;
}

/** The `pruned` file of the log in `dir`; null when there is none, or it cannot be read. Nothing of it is checked yet. */
export function readPruned(dir: string): Pruned | null {
  const path = join(dir, "pruned");
  if (!existsSync(path)) return null;
  try {
    const read: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof read !== "object" || read === null) return null;
    const {
      v,
      size,
      checkpoint,
      nodes,
      frame,
      rotations,
      forks = [],
    } = read as Readonly<Record<string, unknown>>;
    if (v !== 1 || !isCount(size) || !isCount(frame) || typeof checkpoint !== "string") return null;
    if (
      !Array.isArray(nodes) ||
      !nodes.every((n) => typeof n === "string") ||
      !Array.isArray(rotations) ||
      !Array.isArray(forks)
    )
      return null;
    const note = Buffer.from(checkpoint, "utf8");
    const chain = strictBase64(/\nchain (\S{44})\n/.exec(checkpoint)?.[1] ?? "");
    if (chain?.length !== 32) return null;
    const line = Buffer.from(`C ${note.toString("base64")}\n`, "latin1");
    const previous = Buffer.from(hash("sha256", Buffer.concat([chain, line]), "hex"), "hex");
    return { size, note, nodes, frame, rotations, forks, previous };
  } catch {
    return null;
  }
}

/** The forks that pruned records told of, each proved under `root`, that of the first `size` leaves. null: one is not right. */
export function forksOf({ forks }: Pruned, size: number, root: Buffer): readonly ForkReport[] | null {
  const told: ForkReport[] = [];
  for (const fork of forks) {
    if (typeof fork !== "object" || fork === null) return null;
    const { index, leaf, path } = fork as Readonly<Record<string, unknown>>;
    if (!isCount(index) || typeof leaf !== "string" || !Array.isArray(path)) return null;
    const bytes = Buffer.from(leaf, "utf8");
    const hashes = path.map((p: unknown) => (typeof p === "string" ? strictBase64(p) : null));
    const known = hashes.filter((hash) => hash !== null);
    const read = readLogLeaf(bytes, 0, bytes.length);
    if (known.length !== hashes.length || read === null || read === "malformed" || read.type !== "log.forked")
      return null;
    if (!verifyInclusion(leafHash(bytes), index, size, known, root)) return null;
    told.push({ index, time: read.time, reason: read.reason, size: read.size, largest: read.largest });
  }
  return told;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
