/** Opening what is sealed, where the keys allow it. */
import { hash, type KeyObject } from "node:crypto";
import { readDayKey, readMasterKey, wrapKey } from "../keys.ts";
import { blobAad, frameAad, openFrame, unseal } from "../seal.ts";
import { strictBase64 } from "../verify/note.ts";
import { at, isObject, type Json, readBlob, text } from "./leaves.ts";

/** What became of a sealed part. */
export type Opened =
  /** `salt`, base64: of this record's digest, and of its outcome's result digest. */
  | { readonly state: "open"; readonly content: Json; readonly salt: string }
  | { readonly state: "closed"; readonly why: string };

export interface SealedFrame {
  readonly key: string;
  readonly pieces: Buffer[];
  /** null when its writer was killed before the frame's end. */
  tag: Buffer | null;
}

/** Where a record's sealed part lies. */
export function place(leaf: Json): Json | null {
  const found = at(leaf, "statement.sealed") ?? leaf.sealed;
  return isObject(found) ? found : null;
}

export class Opener {
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

  /** Frees the plaintext of a frame that is not asked for again. */
  forget(frame: number): void {
    this.plain.delete(frame);
  }

  /** The key of a day; null when it was destroyed. Throws AuditOpenError when its file does not open. */
  day(day: string): KeyObject | null {
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
