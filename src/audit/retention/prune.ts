/** Retention: the oldest whole segments go, after the log has recorded their root and range. */
import { existsSync, readdirSync, rmSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { replaceDurably, syncFolder } from "../files.ts";
import { segmentFirsts } from "../recover.ts";
import type { VerifierKey } from "../verify/note.ts";
import { readPruned } from "../verify/pruned.ts";
import { segmentName } from "../verify/segment.ts";
import { blobsIn, noteWaiting, removeBlobs, waitingBlobs } from "./blobs.ts";
import { planPruning } from "./plan.ts";

export interface PruneReport {
  /** Leaves that went with this. */
  readonly records: number;
  readonly segments: number;
  readonly blobs: number;
  /** Signed time of the last checkpoint that went. */
  readonly until: string;
}

export interface Prunable {
  readonly dir: string;
  readonly ring: readonly VerifierKey[];
  /** Leaves from here on stay: the oldest intent without an outcome, or the end. */
  readonly keep: number;
  nextFrame(): number;
  /** When this process began to write the log, milliseconds since the epoch. */
  readonly since: number;
  /** Records the pruning, durably. */
  record(fields: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Prunes segments that ended before `cutoff` (milliseconds since the epoch). null: there is nothing to prune. */
export async function prune(log: Prunable, cutoff: number, reason: string): Promise<PruneReport | null> {
  const { dir, ring, keep, since } = log;
  const firsts = segmentFirsts(dir);
  const plan = await planPruning(dir, ring, firsts, cutoff, keep);
  if (plan === null) return null;
  const before = firsts[0] ?? 0;
  const { size, root, until, segments } = plan;
  const names = await blobsIn(dir, segments);
  for (const name of waitingBlobs(dir)) names.add(name);
  const aside = oldQuarantine(dir, cutoff);
  await log.record({
    first: before,
    size,
    root,
    until,
    reason,
    ...(aside.length === 0 ? {} : { quarantine: aside }),
  });
  // Once the segments are gone nothing else says which blobs were theirs.
  noteWaiting(dir, [...names]);
  replaceDurably(join(dir, "pruned"), plan.manifest(log.nextFrame()), 0o640);
  removeSegments(dir, segments);
  for (const name of aside) rmSync(join(dir, "quarantine", name), { force: true });
  const used = await blobsIn(dir, segmentFirsts(dir));
  const blobs = removeBlobs(dir, names, used, since);
  return { records: size - before, segments: segments.length, blobs, until };
}

/** What was set aside before the cutoff: nobody was told that it was recorded, but it is as old as what goes. */
function oldQuarantine(dir: string, cutoff: number): string[] {
  const folder = join(dir, "quarantine");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => statSync(join(folder, name)).mtimeMs < cutoff)
    .sort();
}

/** Oldest first: a log that begins with leaf 0 is whole, and one that does not begins where `pruned` says, after a crash in between, too. */
function removeSegments(dir: string, segments: readonly number[]): void {
  for (const first of segments.toSorted((a, b) => a - b))
    unlinkSync(join(dir, "segments", segmentName(first)));
  syncFolder(join(dir, "segments"));
}

/** Ends a pruning that a crash cut off: what the `pruned` file stands for goes. Throws what the file system throws. */
export function finishPruning(dir: string): void {
  if (!existsSync(join(dir, "pruned"))) return;
  const pruned = readPruned(dir);
  const folder = join(dir, "segments");
  if (pruned === null || !existsSync(join(folder, segmentName(pruned.size)))) return;
  const left = segmentFirsts(dir).filter((first) => first < pruned.size);
  for (const first of left) rmSync(join(folder, segmentName(first)));
  if (left.length > 0) syncFolder(folder);
}
