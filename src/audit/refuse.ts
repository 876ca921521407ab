/** What the end of a log may look like that is not for recovery to repair: then it does not open, and nothing was changed. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { KeptNote } from "./anchors/compare.ts";
import { AuditOpenError } from "./errors.ts";
import type { LogKeys } from "./keys.ts";
import { isForeign, isSignedBy } from "./present.ts";
import { findCheckpoint } from "./quarantine.ts";
import type { Resume } from "./resume.ts";
import { type Checkpoint, openCheckpoint } from "./verify/note.ts";
import { segmentName } from "./verify/segment.ts";

export function corrupt(what: string): AuditOpenError {
  return new AuditOpenError(
    "AUDIT_CORRUPT",
    `${what}. Nothing was changed. "postern audit verify" shows the first bad place; restore the log, or go on under another node name`,
  );
}

/** What a key signed that came after those that are here was acknowledged, and is nothing that was cut off. */
function keysBehind(where: string): AuditOpenError {
  return new AuditOpenError(
    "AUDIT_KEYS",
    `${where} has checkpoints of this log under a key that is not here: the folder of the keys is older than the log. Nothing was changed; restore the keys that the log was last written with, or go on under another node name`,
  );
}

/** Where the good part of a log ends, and why it does. */
export interface End {
  /** First leaf of its last segment. */
  readonly segment: number;
  readonly good: number;
  readonly problem: string;
}

/**
 * A signed checkpoint behind the last good byte means that acknowledged records were changed or are gone. `later`: segments behind the last good one.
 * Throws AuditOpenError AUDIT_CORRUPT, or AUDIT_KEYS when the checkpoint is of a key that is not here.
 */
export function refuseDamage(dir: string, keys: LogKeys, end: End, later: readonly number[]): void {
  const places = [{ first: end.segment, from: end.good }, ...later.map((l) => ({ first: l, from: 0 }))];
  for (const { first, from } of places) {
    const path = join(dir, "segments", segmentName(first));
    const found = statSync(path).size > from ? findCheckpoint(path, from, keys.ring) : null;
    if (found === "foreign") throw keysBehind(path);
    if (found === "ours")
      throw corrupt(
        `the audit log ${path} is damaged before its last checkpoint, at byte ${end.good} of ${segmentName(end.segment)}: ${end.problem}`,
      );
  }
}

/** A log that goes on under a key that its last one did not certify could never be verified. Throws AuditOpenError AUDIT_KEYS. */
export function refuseOtherKeys(
  dir: string,
  firsts: readonly number[],
  last: Checkpoint | null,
  keys: LogKeys,
): void {
  if (isSignedBy(dir, firsts, last, keys)) return;
  throw new AuditOpenError(
    "AUDIT_KEYS",
    `the audit log in ${dir} ends under an older key, which never certified the present one: it is an older copy than the folder of the keys. Nothing was changed; restore the newer log, or the keys of that time beside it, or go on under another node name`,
  );
}

/**
 * Checkpoints kept beside the segments were durable: a log that does not reach them was cut off or set back. Gives them. Throws AuditOpenError
 * AUDIT_KEYS where one is of a key that is not here.
 */
export function newerBeside(
  dir: string,
  { ring }: LogKeys,
  last: Checkpoint | null,
  resume: Resume | null,
): KeptNote[] {
  const path = join(dir, "checkpoint");
  const notes = existsSync(path) ? [readFileSync(path)] : [];
  if (resume !== null) notes.push(Buffer.from(resume.note, "base64"));
  const present = last?.size ?? 0;
  return notes.flatMap((note) => {
    const read = openCheckpoint(note, ring);
    if (!read.ok) {
      if (isForeign(note, ring)) throw keysBehind(dir);
      return [];
    }
    const { size, root } = read.value;
    const lost = size > present || (size === present && !last?.root.equals(root));
    return lost ? [{ anchor: "beside", note, checkpoint: read.value }] : [];
  });
}

/** Throws AuditOpenError AUDIT_ROLLED_BACK when there are `newer` checkpoints than the `last` one of the log. */
export function refuseRollback(dir: string, last: Checkpoint | null, [newer]: readonly KeptNote[]): void {
  if (newer === undefined) return;
  const { size, time } = newer.checkpoint;
  throw new AuditOpenError(
    "AUDIT_ROLLED_BACK",
    `the audit log in ${dir} ends at ${last?.size ?? 0} records, but a checkpoint of ${time} covers ${size}: it was cut off or an old copy was put back. Nothing was changed; restore the newer log, or, after a genuine restore from a backup, go on with "postern audit fork --reason …", which is recorded`,
  );
}
