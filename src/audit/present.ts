/** Whether the folder of the keys and the log are of the same time: backups of them need not be. */
import { join } from "node:path";
import type { LogKeys } from "./keys.ts";
import { readLogLeaf } from "./verify/leaftype.ts";
import { type Checkpoint, claimedSize, openCheckpoint, type VerifierKey } from "./verify/note.ts";
import { readSegment, segmentName } from "./verify/segment.ts";

/** Whether a note has the form of a checkpoint of the log whose keys these are, but the signature of a key that is none of them. Never throws. */
export function isForeign(note: Buffer, ring: readonly VerifierKey[]): boolean {
  const [first] = ring;
  if (first === undefined || claimedSize(note) < 0) return false;
  const text = note.toString("utf8");
  if (!text.startsWith(`${first.name}\n`)) return false;
  const signature = /\n\n\u2014 ([^+\s]{1,256}) ([A-Za-z0-9+/]{91}=)\n$/.exec(text);
  if (signature?.[1] !== first.name) return false;
  const id = Buffer.from(signature[2] ?? "", "base64").subarray(0, 4);
  return !ring.some((key) => key.id.equals(id));
}

/**
 * Whether the key that signs now is the one that signed the log's last checkpoint, or was certified by it (docs/audit-format.md section 4). A log
 * that goes on with any other could never be verified. `firsts`: its segments. Throws what the file system throws.
 */
export function isSignedBy(
  dir: string,
  firsts: readonly number[],
  last: Checkpoint | null,
  { first, vkey, ring }: LogKeys,
): boolean {
  const previous = last?.signer ?? first;
  if (previous === vkey) return true;
  // The change of the key is the last thing that its predecessor signed, so it is near the end.
  for (const segment of firsts.toReversed()) {
    let waiting = false;
    let certified = false;
    readSegment(
      join(dir, "segments", segmentName(segment)),
      { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
      {
        leaf(buf, start, end) {
          const leaf = readLogLeaf(buf, start, end);
          if (leaf === null || leaf === "malformed" || leaf.type !== "key.rotated") return null;
          certified = false;
          waiting = leaf.previous === previous && leaf.next === vkey;
          return null;
        },
        frame: () => null,
        point(kind, text) {
          if (kind === "C" && waiting) {
            const note = openCheckpoint(Buffer.from(text, "base64"), ring);
            certified = note.ok && note.value.signer === previous;
          }
          return null;
        },
      },
      { hashes: false },
    );
    if (certified) return true;
  }
  return false;
}
