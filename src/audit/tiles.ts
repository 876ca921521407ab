/** The log as static files of https://c2sp.org/tlog-tiles, for other people's software. */
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openCheckpoint, type VerifierKey } from "./verify/note.ts";
import { readPruned } from "./verify/pruned.ts";
import { readSegment, segmentFirst, segmentName } from "./verify/segment.ts";
import { CompactRange } from "./verify/tree.ts";

/** Hashes in a full tile, leaves in a full bundle. */
const width = 256;

export interface Tiles {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly tiles: number;
  readonly bundles: number;
  /** Leaves whose bundles cannot be written: their records were pruned. */
  readonly withoutEntries: number;
}

export class TilesError extends Error {
  override readonly name = "TilesError";
}

/** A tile's number as path elements of three digits, all but the last with an x before them. */
export function tileNumber(n: number): string {
  const digits = String(n).padStart(Math.ceil(String(n).length / 3) * 3, "0");
  const parts = digits.match(/\d{3}/g) ?? [];
  return parts.map((part, i) => (i < parts.length - 1 ? `x${part}` : part)).join("/");
}

function tilePath(level: string, n: number, count: number): string {
  return `tile/${level}/${tileNumber(n)}${count === width ? "" : `.p/${count}`}`;
}

/**
 * Writes `checkpoint`, `tile/<L>/<N>` and `tile/entries/<N>` of the log in `dir`, as of its saved checkpoint, below `out`.
 * `firsts`: its segments. Throws TilesError when the log does not give the root of its checkpoint, and what the file system throws.
 */
export function exportTiles(
  dir: string,
  ring: readonly VerifierKey[],
  firsts: readonly number[],
  out: string,
): Tiles {
  const note = readFileSync(join(dir, "checkpoint"));
  const read = openCheckpoint(note, ring);
  if (!read.ok) throw new TilesError(`the log's checkpoint: ${read.problem}`);
  const { origin, size, root } = read.value;
  const put = (path: string, content: Buffer): void => {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), content);
  };
  const tiles = writeTiles(join(dir, "leaves"), size, root, put);
  const pruned = Math.min(size, readPruned(dir)?.size ?? 0);
  const bundles = writeBundles(
    dir,
    firsts.filter((first) => first >= pruned),
    size,
    put,
  );
  // Last: a reader that sees it finds all that it covers.
  put("checkpoint", note);
  return { origin, size, root: root.toString("base64"), tiles, bundles, withoutEntries: pruned };
}

type Put = (path: string, content: Buffer) => void;

function writeTiles(path: string, size: number, root: Buffer, put: Put): number {
  const fd = openSync(path, "r");
  try {
    let count = 0;
    const whole = new CompactRange();
    // Each level's full tiles give one hash of the next level.
    const levels: { hashes: Buffer; used: number; number: number }[] = [];
    const push = (level: number, hash: Buffer): void => {
      levels[level] ??= { hashes: Buffer.alloc(width * 32), used: 0, number: 0 };
      const tile = levels[level];
      hash.copy(tile.hashes, tile.used * 32);
      if (++tile.used < width) return;
      put(tilePath(String(level), tile.number++, width), tile.hashes);
      count++;
      const range = new CompactRange();
      for (let i = 0; i < width; i++) range.push(tile.hashes, i * 32);
      tile.used = 0;
      push(level + 1, range.root());
    };
    const chunk = Buffer.alloc(width * 32);
    for (let from = 0; from < size; from += width) {
      const hashes = Math.min(width, size - from);
      if (readSync(fd, chunk, 0, hashes * 32, from * 32) !== hashes * 32)
        throw new TilesError("the leaves file is short: opening the log makes it anew");
      for (let i = 0; i < hashes; i++) {
        whole.push(chunk, i * 32);
        push(0, chunk.subarray(i * 32, i * 32 + 32));
      }
    }
    if (!whole.root().equals(root))
      throw new TilesError('the leaf hashes do not give the signed root: run "postern audit verify"');
    for (const [level, tile] of levels.entries()) {
      if (tile.used === 0) continue;
      put(tilePath(String(level), tile.number, tile.used), tile.hashes.subarray(0, tile.used * 32));
      count++;
    }
    return count;
  } finally {
    closeSync(fd);
  }
}

/** Bundles hold leaves one after the other, each behind its length in two bytes, big-endian. */
function writeBundles(dir: string, firsts: readonly number[], size: number, put: Put): number {
  let count = 0;
  let parts: Buffer[] = [];
  let index = firsts[0] ?? 0;
  // A bundle of which only the end is left is not written: its first entry would be taken for another.
  let skip = index % width === 0 ? 0 : width - (index % width);
  const flush = (): void => {
    if (parts.length === 0) return;
    const entries = parts.length / 2;
    put(tilePath("entries", Math.floor((index - 1) / width), entries), Buffer.concat(parts));
    parts = [];
    count++;
  };
  for (const first of firsts) {
    if (first !== index) throw new TilesError(`${segmentName(first)} should begin with leaf ${index}`);
    readSegment(
      join(dir, "segments", segmentName(first)),
      { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
      {
        leaf(buf, start, end) {
          if (index >= size) return "enough";
          index++;
          if (skip > 0) {
            skip--;
            return null;
          }
          const length = Buffer.alloc(2);
          length.writeUInt16BE(end - start);
          parts.push(length, Buffer.from(buf.subarray(start, end)));
          if (index % width === 0) flush();
          return null;
        },
        frame: () => null,
        point: () => null,
      },
      { hashes: false },
    );
    if (index >= size) break;
  }
  if (index < size) throw new TilesError("the segments end before the checkpoint");
  flush();
  return count;
}

/** First leaf indexes of the segments whose names these are, ascending. */
export function firstsOf(names: readonly string[]): number[] {
  return names
    .map(segmentFirst)
    .filter((first) => first !== null)
    .sort((a, b) => a - b);
}
