/** Bytes behind the last good point of a log are set aside, never deleted. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { syncFolder, writeAll } from "./files.ts";
import { isForeign } from "./present.ts";
import { openCheckpoint, strictBase64, type VerifierKey } from "./verify/note.ts";
import { segmentName } from "./verify/segment.ts";

export interface Quarantined {
  readonly bytes: number;
  /** Below the log's folder. */
  readonly files: readonly string[];
}

const piece = 1024 * 1024;
/** No checkpoint line is longer. */
const overlap = 8192;
const mark = Buffer.from("C ", "latin1");

/**
 * Whether a checkpoint of the log whose keys these are stands anywhere in the file from offset `from` on: "ours" under one of `keys`; "foreign": none
 * that is ours, but one that bears the log's name under another key. null: none.
 */
export function findCheckpoint(
  path: string,
  from: number,
  keys: readonly VerifierKey[],
): "ours" | "foreign" | null {
  let found: "foreign" | null = null;
  const buf = Buffer.allocUnsafe(piece + overlap);
  const fd = openSync(path, "r");
  try {
    for (let at = from; ; at += piece) {
      const count = readSync(fd, buf, 0, buf.length, at);
      if (count === 0) return found;
      for (let i = buf.indexOf(mark); i >= 0 && i < count; i = buf.indexOf(mark, i + 1)) {
        const end = buf.indexOf(0x0a, i);
        if (end < 0 || end >= count || end - i > overlap) continue;
        const note = strictBase64(buf.toString("latin1", i + 2, end));
        if (note === null || note.length === 0) continue;
        if (openCheckpoint(note, keys).ok) return "ours";
        if (isForeign(note, keys)) found = "foreign";
      }
      if (count < buf.length) return found;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Moves the bytes of segment `first` from `good` on, and whole `later` segments, to the quarantine folder, durably; null
 * when there are none. Throws what the file system throws.
 */
export function setAside(
  dir: string,
  first: number,
  good: number,
  later: readonly number[],
): Quarantined | null {
  const segments = join(dir, "segments");
  const path = join(segments, segmentName(first));
  const size = statSync(path).size;
  const files: string[] = [];
  let bytes = 0;
  if (size <= good && later.length === 0) return null;
  const folder = join(dir, "quarantine");
  mkdirSync(folder, { recursive: true, mode: 0o750 });
  const stamp = new Date().toISOString().replace(/[:.]/g, "-");
  if (size > good) {
    const name = unused(folder, `${segmentName(first)}.${good}.${stamp}`);
    copyEnd(path, good, join(folder, name));
    files.push(`quarantine/${name}`);
    bytes += size - good;
  }
  for (const segment of later) {
    const from = join(segments, segmentName(segment));
    const name = unused(folder, `${segmentName(segment)}.0.${stamp}`);
    bytes += statSync(from).size;
    renameSync(from, join(folder, name));
    files.push(`quarantine/${name}`);
  }
  syncFolder(folder);
  syncFolder(segments);
  return { bytes, files };
}

function unused(folder: string, name: string): string {
  for (let n = 0; ; n++) {
    const candidate = n === 0 ? name : `${name}.${n}`;
    if (!existsSync(join(folder, candidate))) return candidate;
  }
}

/** Copies the end of a file, syncs the copy, then cuts the end off. */
function copyEnd(path: string, from: number, to: string): void {
  const source = openSync(path, "r+");
  const target = openSync(to, "wx", 0o640);
  try {
    const buf = Buffer.allocUnsafe(piece);
    let at = from;
    for (
      let count = readSync(source, buf, 0, piece, at);
      count > 0;
      count = readSync(source, buf, 0, piece, at)
    ) {
      writeAll(target, buf.subarray(0, count));
      at += count;
    }
    fsyncSync(target);
    ftruncateSync(source, from);
    fsyncSync(source);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}
