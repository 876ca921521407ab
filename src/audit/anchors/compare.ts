/** Before a log is opened: does it continue what its anchors have kept? */
import { hash } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint, strictBase64, type VerifierKey } from "../verify/note.ts";
import { readPruned } from "../verify/pruned.ts";
import { chainStart, readSegment, segmentName } from "../verify/segment.ts";
import { type Anchor, why } from "./types.ts";

/** A checkpoint that an anchor has kept. */
export interface KeptNote {
  readonly anchor: string;
  readonly note: Buffer;
  readonly checkpoint: Checkpoint;
}

export interface AnchorFindings {
  /** The newest checkpoint of each anchor that could be read and had one of this log. */
  readonly kept: readonly KeptNote[];
  readonly unread: readonly { readonly anchor: string; readonly why: string }[];
  /** Anchors whose checkpoints of this log's name are all signed by keys that are not this log's. */
  readonly foreign: readonly string[];
}

const readMs = 10_000;

/** Asks every anchor that can be read, all at once. Never rejects. `ring`: the log's keys so far. */
export async function readAnchors(
  anchors: readonly Anchor[],
  origin: string,
  ring: readonly VerifierKey[],
): Promise<AnchorFindings> {
  const kept: KeptNote[] = [];
  const unread: { anchor: string; why: string }[] = [];
  const foreign: string[] = [];
  const read = async ({ name, recent }: Anchor): Promise<void> => {
    if (recent === null) return;
    let notes: Buffer[];
    try {
      notes = await inTime(recent(origin, AbortSignal.timeout(readMs)));
    } catch (error) {
      unread.push({ anchor: name, why: why(error) });
      return;
    }
    for (const note of notes) {
      const opened = openCheckpoint(note, ring, true);
      if (!opened.ok) continue;
      kept.push({ anchor: name, note, checkpoint: opened.value });
      return;
    }
    if (notes.length > 0) foreign.push(name);
  };
  await Promise.all(anchors.map(read));
  return { kept, unread, foreign };
}

function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new DOMException("late", "TimeoutError")), readMs);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

/**
 * Whether the log in `dir` holds the very checkpoint `kept`, with all the bytes before it in its segment as they were when it
 * was signed. The chain ties earlier segments to it; their own bytes are for `postern audit verify` to read. `firsts`: the
 * log's segments, ascending; `size`: its leaves. Throws what the file system throws.
 */
export function holdsCheckpoint(
  dir: string,
  origin: string,
  firsts: readonly number[],
  size: number,
  { note, checkpoint }: Pick<KeptNote, "note" | "checkpoint">,
): boolean {
  if (checkpoint.size > size) return false;
  const oldest = firsts[0] ?? 0;
  // Of pruned records the log has recorded the end; that record is signed, and checked by the verifier.
  if (checkpoint.size <= oldest && oldest > 0) return true;
  // A segment's first checkpoint may come before its first leaf.
  const places = [
    firsts.findLast((first) => first < checkpoint.size),
    firsts.find((first) => first === checkpoint.size),
  ];
  return places.some((first) => first !== undefined && holds(dir, origin, firsts, first, note, checkpoint));
}

function holds(
  dir: string,
  origin: string,
  firsts: readonly number[],
  first: number,
  note: Buffer,
  checkpoint: Checkpoint,
): boolean {
  const previous = firsts[firsts.indexOf(first) - 1];
  const before = previous === undefined ? startOf(dir, first) : finalValue(dir, previous);
  if (before === null) return false;
  const body = bodyOf(note);
  let found = false;
  readSegment(
    join(dir, "segments", segmentName(first)),
    { offset: 0, chain: chainStart(origin, first, before), tail: Buffer.alloc(0) },
    {
      leaf: () => null,
      frame: () => null,
      point(kind, text, chain) {
        if (kind !== "C" || !chain.equals(checkpoint.chain)) return null;
        found = bodyOf(strictBase64(text) ?? Buffer.alloc(0)).equals(body);
        return found ? "found" : null;
      },
    },
  );
  return found;
}

/** A note's signed text: witnesses may have added signatures to a kept one. */
function bodyOf(note: Buffer): Buffer {
  return note.subarray(0, note.lastIndexOf("\n\n") + 1);
}

/** What the oldest segment's chain goes on from. */
function startOf(dir: string, first: number): Buffer | null {
  if (first === 0) return Buffer.alloc(32);
  return readPruned(dir)?.previous ?? null;
}

/** SHA-256(chain value ‖ line) of the checkpoint that ends a segment; null when there is none. */
function finalValue(dir: string, first: number): Buffer | null {
  const path = join(dir, "segments", segmentName(first));
  if (!existsSync(path)) return null;
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const end = Buffer.alloc(Math.min(8192, size));
    readSync(fd, end, 0, end.length, size - end.length);
    const line = end.subarray(end.lastIndexOf("\nC ") + 1);
    const note = strictBase64(line.toString("latin1", 2, line.length - 1));
    const chain = note === null ? null : /^chain (\S+)$/m.exec(note.toString("utf8"))?.[1];
    const value = chain === undefined || chain === null ? null : strictBase64(chain);
    if (value === null || value.length !== 32) return null;
    return Buffer.from(hash("sha256", Buffer.concat([value, line]), "hex"), "hex");
  } finally {
    closeSync(fd);
  }
}
