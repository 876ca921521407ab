/**
 * Breaks of the log: after a genuine restore it ends before what its anchors have kept. Going on is then a deliberate act
 * (`postern audit fork`), recorded as a `log.forked` leaf that names what was given up.
 */
import { join } from "node:path";
import { type AnchorFindings, holdsCheckpoint, type KeptNote } from "./anchors/compare.ts";
import { AuditOpenError } from "./errors.ts";
import { readSegment, segmentName } from "./verify/segment.ts";

/** Where the log stands: what findings are held against. */
export interface LogStand {
  readonly dir: string;
  readonly origin: string;
  readonly firsts: readonly number[];
  readonly size: number;
}

/** The kept checkpoints that the log does not continue, those left out that a recorded fork gave up. */
export function misfits(stand: LogStand, findings: AnchorFindings): KeptNote[] {
  const { dir, origin, firsts, size } = stand;
  const lost = findings.kept.filter((kept) => !holdsCheckpoint(dir, origin, firsts, size, kept));
  if (lost.length === 0) return [];
  const forks = forksIn(dir, firsts);
  return lost.filter(
    ({ checkpoint }) =>
      !forks.some((fork) => checkpoint.time <= fork.time && checkpoint.size <= fork.largest),
  );
}

/** Throws AuditOpenError AUDIT_ANCHOR when the log does not continue what its anchors have. */
export function refuseMisfit(size: number, lost: readonly KeptNote[], foreign: readonly string[]): void {
  const worst = lost.toSorted((a, b) => b.checkpoint.size - a.checkpoint.size)[0];
  const remedy =
    'Restore the newer log; or, after a genuine restore from a backup, go on with "postern audit fork --reason …", which is recorded';
  if (worst !== undefined) {
    const { checkpoint, anchor } = worst;
    const what =
      checkpoint.size > size
        ? `the audit log ends at ${size} records, but the anchor ${anchor} has its checkpoint of ${checkpoint.size} records (${checkpoint.time}): it was cut off or an old copy was put back`
        : `the audit log is not the one whose checkpoint of ${checkpoint.size} records (${checkpoint.time}) the anchor ${anchor} has: its records were written anew`;
    throw new AuditOpenError("AUDIT_ANCHOR", `${what}. ${remedy}`);
  }
  if (foreign.length > 0)
    throw new AuditOpenError(
      "AUDIT_ANCHOR",
      `the anchor ${foreign.join(", ")} has checkpoints of a log of this name, all signed with other keys. Restore the log and the keys they belong to, use another audit.node name; or, when both are lost for good, go on with "postern audit fork --reason …", which is recorded`,
    );
}

/** `{"v":1,"id":"<36>","type":"` comes before a leaf's type. */
const typeAt = 59;

/** What the log says of its forks: when each was, and the largest checkpoint that it gave up. */
function forksIn(dir: string, firsts: readonly number[]): { time: string; largest: number }[] {
  const forks: { time: string; largest: number }[] = [];
  for (const first of firsts)
    readSegment(
      join(dir, "segments", segmentName(first)),
      { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
      {
        leaf(buf, start, end) {
          if (buf.toString("latin1", start + typeAt, start + typeAt + 11) !== 'log.forked"') return null;
          const leaf = JSON.parse(buf.toString("utf8", start, end)) as {
            time: string;
            given_up: { size: number }[];
          };
          forks.push({ time: leaf.time, largest: Math.max(0, ...leaf.given_up.map(({ size }) => size)) });
          return null;
        },
        frame: () => null,
        point: () => null,
      },
      { hashes: false },
    );
  return forks;
}

/** The members of a `log.forked` leaf. */
export function forkRecord(
  reason: string,
  at: { readonly size: number; readonly root: string },
  lost: readonly KeptNote[],
  foreign: readonly string[],
): Record<string, unknown> {
  return {
    reason,
    at,
    given_up: lost.map(({ anchor, note, checkpoint }) => ({
      anchor,
      size: checkpoint.size,
      root: checkpoint.root.toString("base64"),
      time: checkpoint.time,
      checkpoint: note.toString("utf8"),
    })),
    foreign,
  };
}
