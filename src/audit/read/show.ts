/** Everything a log has on one client message, with the seal opened where the keys allow it. */

import { segmentName } from "../verify/segment.ts";
import {
  type Entry,
  isObject,
  type Json,
  type LogPlace,
  type LogPosition,
  number,
  parseLeaf,
  readBatches,
  segmentsOf,
  text,
  withBlobs,
} from "./leaves.ts";
import { openIndex } from "./search.ts";
import { type Opened, Opener, place, type SealedFrame } from "./unseal.ts";

export interface Shown extends Entry {
  /** The leaf with blobs put back. */
  readonly record: Json;
  /** null: nothing is sealed with this record, or the seal was not asked to be opened. */
  readonly opened: Opened | null;
}

/** Records, and where the frames begin in which their sealed parts lie. */
interface Found {
  readonly entries: Entry[];
  readonly frames: Map<number, LogPosition>;
}

/** The records of `request` (a request id, or a record id, which stands for its request), in order; empty when the log has none. */
export function readRequest(
  log: LogPlace,
  request: string,
): { entries: Entry[]; frames: Map<number, SealedFrame> } {
  const { entries, frames } = find(log, request);
  return { entries, frames: readFrames(log, frames) };
}

function find(log: LogPlace, request: string): Found {
  const direct = locate(log, request);
  const first = direct.entries[0];
  if (first === undefined || direct.entries.some((e) => e.leaf.request === request)) return direct;
  const own = text(first.leaf, "request");
  return own === null ? direct : locate(log, own);
}

/** Through the index and the little behind it; all of the log where there is none, or where the index is not to be believed. */
function locate(log: LogPlace, id: string): Found {
  const { reader } = openIndex(log);
  if (reader === null) return collect(log, id, null);
  try {
    const hits = reader.records(id);
    if (reader.tamperedCount > 0) return collect(log, id, null);
    const tail = collect(log, id, reader.position);
    const entries = hits.map(({ index, first, offset, leaf }) => ({
      log: log.name,
      dir: log.dir,
      index,
      segment: segmentName(first),
      offset,
      leaf,
    }));
    const all = [...entries, ...tail.entries];
    const frames = new Map<number, LogPosition>();
    for (const frame of framesOf(all)) frames.set(frame, reader.frameStart(frame));
    return { entries: all, frames };
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR")) throw error;
    return collect(log, id, null);
  } finally {
    reader.close();
  }
}

function framesOf(entries: readonly Entry[]): Set<number> {
  const found = new Set<number>();
  for (const { leaf } of entries) {
    const where = place(leaf);
    const frame = where === null ? null : number(where, "frame");
    if (frame !== null) found.add(frame);
  }
  return found;
}

/** Reads from `from` on, without the index. */
function collect(log: LogPlace, id: string, from: LogPosition | null): Found {
  const entries: Entry[] = [];
  const starts = new Map<number, LogPosition>();
  const needle = Buffer.from(JSON.stringify(id), "utf8");
  const here = (): LogPosition => ({
    first: segmentsOf(log.dir)[0] ?? 0,
    offset: 0,
    index: segmentsOf(log.dir)[0] ?? 0,
  });
  let batch = from;
  let last = -1;
  let lastStart = from;
  readBatches(log, from, {
    leaf(buf, start, end, index, first, offset) {
      if (!buf.subarray(start, end).includes(needle)) return;
      const leaf = parseLeaf(buf, start, end);
      if (leaf === null || (leaf.request !== id && leaf.id !== id)) return;
      entries.push({ log: log.name, dir: log.dir, index, segment: segmentName(first), offset, leaf });
    },
    // Which frame is wanted is known only with its records, which stand before its piece in the same batch.
    frame(frame) {
      if (frame !== last) lastStart = batch;
      last = frame;
      if (!starts.has(frame) && framesOf(entries).has(frame)) starts.set(frame, lastStart ?? here());
    },
    batch(next) {
      batch = next;
      return true;
    },
  });
  return { entries, frames: starts };
}

/** Reads whole frames, each from where it begins. */
function readFrames(log: LogPlace, starts: ReadonlyMap<number, LogPosition>): Map<number, SealedFrame> {
  const found = new Map<number, SealedFrame>();
  for (const [wanted, from] of starts) {
    let open = false;
    let done = false;
    readBatches(log, from, {
      leaf: () => {},
      frame(frame, key, piece) {
        if (frame === wanted) {
          open = true;
          const known = found.get(frame) ?? { key, pieces: [], tag: null };
          known.pieces.push(Buffer.from(piece, "base64"));
          found.set(frame, known);
        } else if (open) {
          open = false;
          done = true;
        }
      },
      frameEnd(tag) {
        const frame = found.get(wanted);
        if (!open || frame === undefined) return;
        frame.tag = Buffer.from(tag, "base64");
        open = false;
        done = true;
      },
      batch: () => !done,
    });
  }
  return found;
}

/** The records of a request, readable: blobs in place and, given the keys folder, sealed parts opened. Throws AuditOpenError when the master key cannot be read. */
export function showRequest(log: LogPlace, origin: string, request: string, keys: string | null): Shown[] {
  const { entries, frames } = find(log, request);
  return showEntries(log, origin, entries, keys === null ? new Map() : readFrames(log, frames), keys);
}

/** The sealed parts of records that were found by other ways than `showRequest`, by leaf index. Throws AuditOpenError. */
export function unsealEntries(
  log: LogPlace,
  origin: string,
  entries: readonly Entry[],
  keys: string,
): Map<number, Opened> {
  const wanted = framesOf(entries);
  const { reader } = openIndex(log);
  const starts = new Map<number, LogPosition>();
  try {
    for (const frame of wanted)
      starts.set(
        frame,
        reader?.frameStart(frame) ?? {
          first: segmentsOf(log.dir)[0] ?? 0,
          offset: 0,
          index: segmentsOf(log.dir)[0] ?? 0,
        },
      );
  } finally {
    reader?.close();
  }
  const opened = new Map<number, Opened>();
  const opener = new Opener(log.dir, origin, keys);
  // Frame by frame: the plaintext of one is in memory at a time.
  const byFrame = Map.groupBy(entries, ({ leaf }) => {
    const where = place(leaf);
    return where === null ? null : number(where, "frame");
  });
  for (const [frame, group] of byFrame) {
    const start = frame === null ? undefined : starts.get(frame);
    const frames =
      frame === null || start === undefined ? new Map() : readFrames(log, new Map([[frame, start]]));
    for (const { index, leaf } of group) {
      const content = opener.open(leaf, frames);
      if (content !== null) opened.set(index, content);
    }
    if (frame !== null) opener.forget(frame);
  }
  return opened;
}

function showEntries(
  log: LogPlace,
  origin: string,
  entries: readonly Entry[],
  frames: ReadonlyMap<number, SealedFrame>,
  keys: string | null,
): Shown[] {
  const opener = keys === null || entries.length === 0 ? null : new Opener(log.dir, origin, keys);
  return entries.map((entry) => {
    const record = withBlobs(log.dir, entry.leaf);
    return {
      ...entry,
      record: isObject(record) ? record : entry.leaf,
      opened: opener === null ? null : opener.open(entry.leaf, frames),
    };
  });
}
