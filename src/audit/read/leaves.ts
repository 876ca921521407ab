/** Reading logs: which logs a folder holds, their leaves one after the other, and members of leaves without trust in their shape. */
import { hash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { blobPath } from "../blobs.ts";
import { parseVerifierKey } from "../verify/note.ts";
import { maxLeaf, readSegment, segmentFirst, segmentName } from "../verify/segment.ts";
import { leafHash } from "../verify/tree.ts";

export type Json = Readonly<Record<string, unknown>>;

/** One leaf with its place. */
export interface Entry {
  /** The log's origin-like name below the audit folder: `<node>/<worker>`. */
  readonly log: string;
  /** The log's folder. */
  readonly dir: string;
  readonly index: number;
  readonly segment: string;
  readonly offset: number;
  readonly leaf: Json;
}

export interface LogPlace {
  readonly name: string;
  readonly dir: string;
}

/** The logs in `dir`: itself when it is one, else `<node>/<worker>` below it. Throws what the file system throws. */
export function findLogs(dir: string): LogPlace[] {
  if (existsSync(join(dir, "segments"))) return [{ name: "", dir }];
  const logs: LogPlace[] = [];
  for (const node of folders(dir))
    for (const worker of folders(join(dir, node)))
      if (existsSync(join(dir, node, worker, "segments")))
        logs.push({ name: `${node}/${worker}`, dir: join(dir, node, worker) });
  return logs;
}

function folders(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((e) => e.isDirectory())
    .map((e) => e.name)
    .sort();
}

/** A log's origin, as the verifier key in its folder names it; null when that file is missing or damaged. */
export function originOf(log: LogPlace): string | null {
  const path = join(log.dir, "log.vkey");
  if (!existsSync(path)) return null;
  const key = parseVerifierKey(readFileSync(path, "utf8").trim());
  return key.ok ? key.value.name : null;
}

/** First leaf indexes of a log's segments, ascending; files of other names are left out. */
export function segmentsOf(dir: string): number[] {
  return readdirSync(join(dir, "segments"))
    .map(segmentFirst)
    .filter((first) => first !== null)
    .sort((a, b) => a - b);
}

/** The segment, of those that segmentsOf() gave, in which leaf `index` stands: its first index; 0 when it is before all. */
export function segmentAt(firsts: readonly number[], index: number): number {
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((firsts[middle] ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return firsts[low - 1] ?? 0;
}

export interface LeafReader {
  /** The JSON bytes at [start, end) of `buf`, valid during the call; false ends the reading. */
  leaf(buf: Buffer, start: number, end: number, index: number, segment: string, offset: number): boolean;
  /** A piece of a sealed frame, base64. */
  frame?(frame: number, key: string, piece: string): void;
  /** The open frame ends: its tag, base64. */
  frameEnd?(tag: string): void;
}

const nowhere = { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) };

/** Reads all leaves of a log in order, without verifying them. A torn end is simply the end. */
export function readLeaves(log: LogPlace, reader: LeafReader): void {
  for (const first of segmentsOf(log.dir)) {
    const segment = segmentName(first);
    let index = first;
    let more = true;
    readSegment(
      join(log.dir, "segments", segment),
      nowhere,
      {
        leaf(buf, start, end, _hash, at) {
          more = reader.leaf(buf, start, end, index++, segment, at);
          return more ? null : "stopped";
        },
        frame(frame, key, piece) {
          reader.frame?.(frame, key, piece);
          return null;
        },
        frameEnd(tag) {
          reader.frameEnd?.(tag);
          return null;
        },
        point: () => null,
      },
      { hashes: false },
    );
    if (!more) return;
  }
}

/** A place between two batches: where reading can begin, and go on later. */
export interface LogPosition {
  /** First leaf of the segment. */
  readonly first: number;
  /** Offset in it, behind the last line of a batch. */
  readonly offset: number;
  /** Index of the leaf that comes next. */
  readonly index: number;
}

export interface BatchReader {
  /** As LeafReader.leaf, but it cannot end the reading. */
  leaf(buf: Buffer, start: number, end: number, index: number, first: number, offset: number): void;
  frame?(frame: number, key: string, piece: string): void;
  frameEnd?(tag: string): void;
  /** The batch is whole; reading can go on at `next`. false ends the reading. */
  batch(next: LogPosition): boolean;
}

/**
 * Reads whole batches from `from` (null: from the oldest segment there is), into `buffer` when there is one. Gives where to go on. Throws
 * what the file system throws.
 */
export function readBatches(
  log: LogPlace,
  from: LogPosition | null,
  reader: BatchReader,
  buffer?: Buffer,
): LogPosition | null {
  let position = from;
  for (const first of segmentsOf(log.dir)) {
    if (position !== null && first < position.first) continue;
    if (position === null || first > position.first) position = { first, offset: 0, index: first };
    let index = position.index;
    let more = true;
    readSegment(
      join(log.dir, "segments", segmentName(first)),
      { ...nowhere, offset: position.offset },
      {
        leaf(buf, start, end, _hash, offset) {
          reader.leaf(buf, start, end, index++, first, offset);
          return null;
        },
        frame(frame, key, piece) {
          reader.frame?.(frame, key, piece);
          return null;
        },
        frameEnd(tag) {
          reader.frameEnd?.(tag);
          return null;
        },
        point(_kind, _text, _chain, _at, end) {
          position = { first, offset: end, index };
          more = reader.batch(position);
          return more ? null : "stopped";
        },
      },
      buffer === undefined ? { hashes: false } : { hashes: false, buffer },
    );
    if (!more) break;
  }
  return position;
}

const usualLine = 4096;

/** Stored leaves by their place, for as long as it is open: each file is opened once. */
export class LeafFiles {
  private readonly log: LogPlace;
  private readonly open = new Map<string, number>();
  private readonly line = Buffer.allocUnsafe(maxLeaf + 3);

  constructor(log: LogPlace) {
    this.log = log;
  }

  /** The leaf stored at `offset` of the segment that begins with leaf `first`, with its RFC 6962 hash; null when none stands there. */
  at(first: number, offset: number): { readonly text: string; readonly hash: Buffer } | null {
    const file = this.file(join("segments", segmentName(first)));
    if (file === null) return null;
    // Most leaves are short; only a longer one costs the read of a whole line's length.
    let count = readSync(file, this.line, 0, usualLine, offset);
    let end = this.line.subarray(0, count).indexOf(0x0a);
    if (end < 0 && count === usualLine) {
      count += readSync(file, this.line, count, this.line.length - count, offset + count);
      end = this.line.subarray(0, count).indexOf(0x0a);
    }
    if (end < 3 || this.line[0] !== 0x4c || this.line[1] !== 0x20) return null;
    const bytes = this.line.subarray(2, end);
    return { text: bytes.toString("utf8"), hash: leafHash(bytes) };
  }

  /** What the log's own list of leaf hashes has for leaf `index`; null when it has none (yet). */
  listedHash(index: number): Buffer | null {
    const file = this.file("leaves");
    if (file === null) return null;
    const out = Buffer.alloc(32);
    return readSync(file, out, 0, 32, index * 32) === 32 ? out : null;
  }

  private file(name: string): number | null {
    let fd = this.open.get(name);
    if (fd === undefined) {
      const path = join(this.log.dir, name);
      if (!existsSync(path)) return null;
      fd = openSync(path, "r");
      this.open.set(name, fd);
    }
    return fd;
  }

  close(): void {
    for (const fd of this.open.values()) closeSync(fd);
    this.open.clear();
  }
}

/** A leaf's JSON as an object; null when it is none. */
export function parseLeaf(buf: Buffer, start: number, end: number): Json | null {
  try {
    const value: unknown = JSON.parse(buf.toString("utf8", start, end));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a dotted path; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let here: unknown = value;
  for (const name of path.split(".")) {
    if (!isObject(here) || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}

/** The text at a dotted path; null where there is none. */
export function text(value: unknown, path: string): string | null {
  const found = at(value, path);
  return typeof found === "string" ? found : null;
}

/** The number at a dotted path; null where there is none. */
export function number(value: unknown, path: string): number | null {
  const found = at(value, path);
  return typeof found === "number" ? found : null;
}

/** The texts at a dotted path; null where there is no list. */
export function list(value: unknown, path: string): string[] | null {
  const found = at(value, path);
  return Array.isArray(found) ? found.filter((v) => typeof v === "string") : null;
}

/** The content of a blob; null when it is missing or not what its name says. */
export function readBlob(dir: string, name: string): Buffer | null {
  if (!/^[0-9a-f]{64}$/.test(name)) return null;
  const path = blobPath(dir, name);
  if (!existsSync(path)) return null;
  const content = readFileSync(path);
  return hash("sha256", content, "hex") === name ? content : null;
}

/** The leaf with values that moved to blobs back in their place; a blob that is gone stays a reference. Without any it is the leaf itself. */
export function withBlobs(dir: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const members = value.map((v) => withBlobs(dir, v));
    return members.some((member, i) => member !== value[i]) ? members : value;
  }
  const object = value as Json;
  const { blob, bytes } = object;
  if (typeof blob === "string" && typeof bytes === "number" && Object.keys(object).length === 2) {
    const content = readBlob(dir, blob);
    if (content === null) return value;
    try {
      return JSON.parse(content.toString("utf8"));
    } catch {
      return value;
    }
  }
  // Blobs are rare: nothing is copied where there are none.
  let changed: [string, unknown][] | null = null;
  for (const name of Object.keys(object)) {
    const member = object[name];
    if (typeof member !== "object" || member === null) continue;
    const whole = withBlobs(dir, member);
    if (whole !== member) {
      changed ??= [];
      changed.push([name, whole]);
    }
  }
  if (changed === null) return value;
  const found = new Map(changed);
  // As entries: a member may be called "__proto__".
  return Object.fromEntries(
    Object.entries(object).map(([name, member]) => [name, found.has(name) ? found.get(name) : member]),
  );
}

/** A record exactly as it is stored. Throws what the file system throws. */
export function leafText(log: LogPlace, entry: Pick<Entry, "segment" | "offset">): string {
  const fd = openSync(join(log.dir, "segments", entry.segment), "r");
  try {
    const line = Buffer.alloc(maxLeaf + 3);
    const count = readSync(fd, line, 0, line.length, entry.offset);
    const end = line.subarray(0, count).indexOf(0x0a);
    return line.toString("utf8", 2, end < 0 ? count : end);
  } finally {
    closeSync(fd);
  }
}
