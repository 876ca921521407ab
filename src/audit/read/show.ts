/** Everything a log has on one client message, with the seal opened where the keys allow it. */
import { hash, type KeyObject } from "node:crypto";
import { readDayKey, readMasterKey, wrapKey } from "../keys.ts";
import { blobAad, frameAad, openFrame, unseal } from "../seal.ts";
import { strictBase64 } from "../verify/note.ts";
import {
  at,
  type Entry,
  isObject,
  type Json,
  type LogPlace,
  parseLeaf,
  readBlob,
  readLeaves,
  text,
  withBlobs,
} from "./leaves.ts";

/** What became of a sealed part. */
export type Opened =
  /** `salt`, base64: of this record's digest, and of its outcome's result digest. */
  | { readonly state: "open"; readonly content: Json; readonly salt: string }
  | { readonly state: "closed"; readonly why: string };

export interface Shown extends Entry {
  /** The leaf with blobs put back. */
  readonly record: Json;
  /** null: nothing is sealed with this record, or the seal was not asked to be opened. */
  readonly opened: Opened | null;
}

/** The records of `request` (a request id, or a record id, which stands for its request), in order; empty when the log has none. */
export function readRequest(
  log: LogPlace,
  request: string,
): { entries: Entry[]; frames: Map<number, SealedFrame> } {
  const direct = collect(log, request);
  const first = direct.entries[0];
  if (first === undefined || direct.entries.some((e) => e.leaf.request === request)) return direct;
  const own = text(first.leaf, "request");
  return own === null ? direct : collect(log, own);
}

export interface SealedFrame {
  readonly key: string;
  readonly pieces: Buffer[];
  /** null when its writer was killed before the frame's end. */
  tag: Buffer | null;
}

function collect(log: LogPlace, id: string): { entries: Entry[]; frames: Map<number, SealedFrame> } {
  const entries: Entry[] = [];
  const frames = new Map<number, SealedFrame>();
  const wanted = new Set<number>();
  let open: { readonly number: number; readonly frame: SealedFrame } | null = null;
  const needle = Buffer.from(JSON.stringify(id), "utf8");
  readLeaves(log, {
    leaf(buf, start, end, index, segment, offset) {
      if (!buf.subarray(start, end).includes(needle)) return true;
      const leaf = parseLeaf(buf, start, end);
      if (leaf === null || (leaf.request !== id && leaf.id !== id)) return true;
      entries.push({ log: log.name, dir: log.dir, index, segment, offset, leaf });
      const frame = place(leaf)?.frame;
      if (typeof frame === "number") wanted.add(frame);
      return true;
    },
    // Which frame is wanted may be known only behind its first pieces: the open one is kept until it ends.
    frame(frame, key, piece) {
      if (open?.number !== frame) {
        if (open !== null && !wanted.has(open.number)) frames.delete(open.number);
        open = { number: frame, frame: { key, pieces: [], tag: null } };
        frames.set(frame, open.frame);
      }
      open.frame.pieces.push(Buffer.from(piece, "base64"));
    },
    frameEnd(tag) {
      if (open === null) return;
      if (wanted.has(open.number)) open.frame.tag = Buffer.from(tag, "base64");
      else frames.delete(open.number);
      open = null;
    },
  });
  return { entries, frames };
}

/** Where a record's sealed part lies. */
function place(leaf: Json): Json | null {
  const found = at(leaf, "statement.sealed") ?? leaf.sealed;
  return isObject(found) ? found : null;
}

/** The records of a request, readable: blobs in place and, given the keys folder, sealed parts opened. */
export function showRequest(log: LogPlace, origin: string, request: string, keys: string | null): Shown[] {
  const { entries, frames } = readRequest(log, request);
  const opener = keys === null ? null : new Opener(log.dir, origin, keys);
  return entries.map((entry) => {
    const record = withBlobs(log.dir, entry.leaf);
    return {
      ...entry,
      record: isObject(record) ? record : entry.leaf,
      opened: opener === null ? null : opener.open(entry.leaf, frames),
    };
  });
}

class Opener {
  private readonly dir: string;
  private readonly origin: string;
  private readonly wrap: KeyObject;
  private readonly days = new Map<string, KeyObject | null>();
  private readonly plain = new Map<number, string[] | null>();

  /** Throws AuditOpenError when the master key cannot be read. */
  constructor(dir: string, origin: string, keys: string) {
    this.dir = dir;
    this.origin = origin;
    this.wrap = wrapKey(readMasterKey(keys), origin);
  }

  open(leaf: Json, frames: ReadonlyMap<number, SealedFrame>): Opened | null {
    const where = place(leaf);
    if (where === null) return null;
    const day = text(where, "key") ?? "";
    const key = this.day(day);
    if (key === null) return { state: "closed", why: `the key of ${day} was destroyed` };
    const blob = text(where, "blob");
    const line = blob === null ? this.fromFrame(where, key, frames) : this.fromBlob(blob, key, day);
    if (line === null)
      return { state: "closed", why: "the sealed content is missing or does not open under this master key" };
    const space = line.indexOf(" ");
    const salt = strictBase64(line.slice(0, space));
    const json = Buffer.from(line.slice(space + 1), "utf8");
    const digest = salt === null ? "" : hash("sha256", Buffer.concat([salt, json]), "base64");
    if (digest !== where.digest)
      return { state: "closed", why: "the sealed content is not what the record's digest says" };
    try {
      const content: unknown = JSON.parse(json.toString("utf8"));
      if (isObject(content)) return { state: "open", content, salt: line.slice(0, space) };
    } catch {
      // Told below.
    }
    return { state: "closed", why: "the sealed content is not JSON" };
  }

  private day(day: string): KeyObject | null {
    if (!/^\d{4}-\d\d-\d\d$/.test(day)) return null;
    let key = this.days.get(day);
    if (key === undefined) {
      key = readDayKey(this.dir, this.origin, this.wrap, day);
      this.days.set(day, key);
    }
    return key;
  }

  private fromFrame(where: Json, key: KeyObject, frames: ReadonlyMap<number, SealedFrame>): string | null {
    const number = where.frame;
    const line = where.at;
    if (typeof number !== "number" || typeof line !== "number") return null;
    let lines = this.plain.get(number);
    if (lines === undefined) {
      const frame = frames.get(number);
      const plain =
        frame === undefined
          ? null
          : openFrame(key, frameAad(this.origin, number, frame.key), Buffer.concat(frame.pieces), frame.tag);
      lines = plain === null ? null : plain.toString("utf8").split("\n");
      this.plain.set(number, lines);
    }
    return lines?.[line] ?? null;
  }

  private fromBlob(name: string, key: KeyObject, day: string): string | null {
    const sealed = readBlob(this.dir, name);
    if (sealed === null) return null;
    return unseal(key, blobAad(this.origin, day), sealed)?.toString("utf8") ?? null;
  }
}
