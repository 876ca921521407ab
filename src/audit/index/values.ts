/**
 * Search for a known value: keyed digests (HMAC) of parameter values and literals. The key is derived from the day's sealing key,
 * so destroying that key for an erasure also makes these digests say nothing any more. docs/audit-search.md.
 */
import { hash, hkdfSync, type KeyObject } from "node:crypto";
import { isObject, type Json } from "../read/leaves.ts";
import { literalsOf } from "./literals.ts";

/** More values than this are not taken from one statement (65,535 parameters in a batch of rows would be a table). */
const maxValues = 2000;
const hashBlock = 64;
/** Room for the value and what stands before it; longer ones are rare and get their own. */
const usualRoom = 16 * 1024;
const maxViews = 256;
/** Up to so many values are compared with each other one by one. */
const few = 16;

/**
 * Keyed digests of one day: the first 8 bytes of HMAC-SHA-256 (RFC 2104) under HKDF-SHA-256(day key, no salt, "postern-search-v1").
 * The blocks of its key are made once, so that a digest is two one-shot hashes.
 */
export class ValueKey {
  /** Of the value digested last: its first four bytes, and the next four. */
  high = 0;
  low = 0;
  private readonly inner = Buffer.alloc(usualRoom);
  private readonly outer = Buffer.alloc(hashBlock + 32, 0x5c);
  private readonly first: Buffer;
  /** The beginnings of `inner`, by the length of the value in them: making one anew would cost as much as hashing it. */
  private readonly views: (Buffer | undefined)[] = [];

  constructor(day: KeyObject) {
    const key = Buffer.from(hkdfSync("sha256", day.export(), "", "postern-search-v1", 32));
    this.first = Buffer.alloc(hashBlock, 0x36);
    for (const [i, byte] of key.entries()) {
      this.first[i] = byte ^ 0x36;
      this.outer[i] = byte ^ 0x5c;
    }
    this.first.copy(this.inner);
  }

  digest(value: string | Buffer): void {
    const { outer } = this;
    const room = hashBlock + value.length * 3;
    const inner = room <= usualRoom ? this.inner : Buffer.alloc(room);
    if (inner !== this.inner) this.first.copy(inner);
    const length =
      typeof value === "string" ? inner.write(value, hashBlock, "utf8") : value.copy(inner, hashBlock);
    const view = inner === this.inner ? this.view(length) : inner.subarray(0, hashBlock + length);
    outer.write(hash("sha256", view, "binary"), hashBlock, "latin1");
    const digest = hash("sha256", outer, "binary");
    this.high = word(digest, 0);
    this.low = word(digest, 4);
  }

  private view(length: number): Buffer {
    let view = this.views[length];
    if (view === undefined) {
      view = this.inner.subarray(0, hashBlock + length);
      if (length < maxViews) this.views[length] = view;
    }
    return view;
  }
}

function word(bytes: string, at: number): number {
  const b = (i: number) => bytes.charCodeAt(at + i);
  return ((b(0) << 24) | (b(1) << 16) | (b(2) << 8) | b(3)) >>> 0;
}

/** The values of an intent's sealed content, each once: parameters as they were sent, literals as they read without quotes. */
export function valuesOf(content: Json): readonly (string | Buffer)[] {
  const values: (string | Buffer)[] = [];
  let seen: Set<string> | null = null;
  const add = (value: string) => {
    if (value.length === 0 || values.length >= maxValues) return;
    if (seen === null ? values.includes(value) : seen.has(value)) return;
    values.push(value);
    if (seen !== null) seen.add(value);
    else if (values.length > few) seen = new Set(values.filter((v) => typeof v === "string"));
  };
  // What an EXECUTE or FETCH names stands inside of it.
  for (let part: unknown = content, level = 0; isObject(part) && level < 32; part = part.prepared, level++) {
    if (Array.isArray(part.parameters))
      for (const value of part.parameters) {
        if (typeof value === "string") add(value);
        if (!isObject(value)) continue;
        const { base64, sha256 } = value;
        if (typeof base64 === "string" && base64 !== "" && values.length < maxValues)
          values.push(Buffer.from(base64, "base64"));
        if (typeof sha256 === "string") add(`sha256:${sha256}`);
      }
    if (typeof part.sql === "string") for (const literal of literalsOf(part.sql, maxValues)) add(literal);
  }
  return values;
}

/** The forms in which a value that an auditor types may stand in a record: as text, and as PostgreSQL's binary integers. */
export function formsOf(typed: string): (string | Buffer)[] {
  const forms: (string | Buffer)[] = [typed, `sha256:${hash("sha256", typed, "hex")}`];
  if (/^-?\d{1,19}$/.test(typed)) {
    const number = BigInt(typed);
    for (const bytes of [2, 4, 8]) {
      if (BigInt.asIntN(bytes * 8, number) !== number) continue;
      const form = Buffer.alloc(8);
      form.writeBigInt64BE(number);
      forms.push(form.subarray(8 - bytes));
    }
  }
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(typed))
    forms.push(Buffer.from(typed.replaceAll("-", ""), "hex"));
  return forms;
}
