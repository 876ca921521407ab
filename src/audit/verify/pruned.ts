/** What stands for the oldest segments once they were pruned: `pruned` beside the segments (docs/audit-format.md section 10). */
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { strictBase64 } from "./note.ts";

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
    const { v, size, checkpoint, nodes, frame, rotations } = read as Readonly<Record<string, unknown>>;
    if (v !== 1 || !isCount(size) || !isCount(frame) || typeof checkpoint !== "string") return null;
    if (!Array.isArray(nodes) || !nodes.every((n) => typeof n === "string") || !Array.isArray(rotations))
      return null;
    const note = Buffer.from(checkpoint, "utf8");
    const chain = strictBase64(/\nchain (\S{44})\n/.exec(checkpoint)?.[1] ?? "");
    if (chain?.length !== 32) return null;
    const line = Buffer.from(`C ${note.toString("base64")}\n`, "latin1");
    const previous = Buffer.from(hash("sha256", Buffer.concat([chain, line]), "hex"), "hex");
    return { size, note, nodes, frame, rotations, previous };
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
