/** Reading captured rows back. */
import type { KeyObject } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { readDayKey, readMasterKey, wrapKey } from "../keys.ts";
import { isObject, readBlob } from "../read/leaves.ts";
import { captureAad, unseal } from "../seal.ts";

export type Captured =
  | {
      readonly state: "open";
      /** DataRow messages, joined. */
      readonly messages: Buffer;
      /** All rows that were delivered are there. */
      readonly complete: boolean;
    }
  | { readonly state: "closed"; readonly why: string };

/** A row's values as they were delivered; null: NULL. */
export type Row = readonly (Buffer | null)[];

/** No part is larger: 1 MiB and a row's largest slice. */
const maxPart = 64 * 1024 * 1024;

/**
 * Opens the capture that an outcome names (`result.capture`, blobs put back). `keys`: folder of the master key. null: nothing
 * was captured. Throws AuditOpenError when the master key cannot be read.
 */
export function readCapture(dir: string, origin: string, keys: string, capture: unknown): Captured | null {
  if (!isObject(capture) || !Array.isArray(capture.parts)) return null;
  const wrap = wrapKey(readMasterKey(keys), origin);
  const days = new Map<string, KeyObject | null>();
  const pieces: Buffer[] = [];
  for (const part of capture.parts as readonly unknown[]) {
    if (!isObject(part) || typeof part.key !== "string" || typeof part.blob !== "string")
      return { state: "closed", why: "the record names no such parts" };
    const { key: day, blob } = part;
    if (!/^\d{4}-\d\d-\d\d$/.test(day)) return { state: "closed", why: "the record names no such key" };
    const key = days.get(day) ?? readDayKey(dir, origin, wrap, day);
    days.set(day, key);
    if (key === null) return { state: "closed", why: `the key of ${day} was destroyed` };
    const sealed = readBlob(dir, blob);
    const plain = sealed === null ? null : unseal(key, captureAad(origin, day), sealed);
    if (plain === null)
      return { state: "closed", why: "a part is missing or does not open under this master key" };
    try {
      pieces.push(zstdDecompressSync(plain, { maxOutputLength: maxPart }));
    } catch {
      return { state: "closed", why: "a part is not what was captured" };
    }
  }
  return { state: "open", messages: Buffer.concat(pieces), complete: capture.complete === true };
}

/** The rows in DataRow messages (PostgreSQL manual, "Message Formats"); a cut-off last one is left out. null: no such messages. */
export function decodeRows(messages: Buffer): Row[] | null {
  const rows: Row[] = [];
  let at = 0;
  while (messages.length - at >= 7) {
    const length = messages.readUInt32BE(at + 1);
    const end = at + 1 + length;
    if (messages[at] !== 0x44 || length < 6) return null;
    if (end > messages.length) break;
    const row: (Buffer | null)[] = [];
    let p = at + 7;
    for (let count = messages.readUInt16BE(at + 5); count > 0; count--) {
      if (p + 4 > end) return null;
      const size = messages.readInt32BE(p);
      p += 4;
      if (size < -1 || p + size > end) return null;
      row.push(size === -1 ? null : messages.subarray(p, p + size));
      if (size > 0) p += size;
    }
    if (p !== end) return null;
    rows.push(row);
    at = end;
  }
  return rows;
}

/** The bodies of CopyData messages; a cut-off last one is left out. null: no such messages. */
export function decodeCopy(messages: Buffer): Buffer[] | null {
  const lines: Buffer[] = [];
  for (let at = 0; messages.length - at >= 5; ) {
    const length = messages.readUInt32BE(at + 1);
    if (messages[at] !== 0x64 || length < 4) return null;
    const end = at + 1 + length;
    if (end > messages.length) break;
    lines.push(messages.subarray(at + 5, end));
    at = end;
  }
  return lines;
}

/** A DataRow message of these values. */
export function encodeRow(row: Row): Buffer {
  const size = row.reduce((sum, value) => sum + 4 + (value?.length ?? 0), 6);
  const out = Buffer.alloc(size + 1);
  out[0] = 0x44;
  out.writeUInt32BE(size, 1);
  out.writeUInt16BE(row.length, 5);
  let at = 7;
  for (const value of row) {
    at = out.writeInt32BE(value === null ? -1 : value.length, at);
    if (value !== null) at += value.copy(out, at);
  }
  return out;
}

/** A value for people: text as it is, what is no text (binary form) as `\x` and hex; null for NULL. */
export function showValue(value: Buffer | null): string | null {
  if (value === null) return null;
  const text = value.toString("utf8");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: binary values have them, text has not
  const clean = Buffer.from(text, "utf8").equals(value) && !/[\u0000-\u0008\u000e-\u001f]/.test(text);
  return clean ? text : `\\x${value.toString("hex")}`;
}
