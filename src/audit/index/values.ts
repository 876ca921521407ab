/**
 * Search for a known value: keyed digests (HMAC) of parameter values and literals. The key is derived from the day's sealing key,
 * so destroying that key for an erasure also makes these digests say nothing any more. docs/audit-search.md.
 */
import { createHmac, createSecretKey, hash, hkdfSync, type KeyObject } from "node:crypto";
import { isObject, type Json, text } from "../read/leaves.ts";
import { literalsOf } from "./literals.ts";

/** Bytes kept of a digest. */
const macBytes = 16;
/** More values than this are not taken from one statement (65,535 parameters in a batch of rows would be a table). */
const maxValues = 2000;

/** HKDF-SHA-256(day key, no salt, "postern-search-v1"). */
export function searchKey(day: KeyObject): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync("sha256", day.export(), "", "postern-search-v1", 32)));
}

export function valueMac(key: KeyObject, value: string | Buffer): Buffer {
  return createHmac("sha256", key).update(value).digest().subarray(0, macBytes);
}

/** The values of an intent's sealed content: parameters as they were sent, literals as they read without quotes. */
export function valuesOf(content: Json): (string | Buffer)[] {
  const found = new Map<string, string | Buffer>();
  const add = (value: string | Buffer) => {
    if (value.length > 0 && found.size < maxValues)
      found.set(typeof value === "string" ? `t${value}` : `b${value.toString("latin1")}`, value);
  };
  // What an EXECUTE or FETCH names stands inside of it.
  for (let part: unknown = content, level = 0; isObject(part) && level < 32; part = part.prepared, level++) {
    if (Array.isArray(part.parameters))
      for (const value of part.parameters) {
        if (typeof value === "string") add(value);
        const base64 = text(value, "base64");
        if (base64 !== null) add(Buffer.from(base64, "base64"));
        const sha256 = text(value, "sha256");
        if (sha256 !== null) add(`sha256:${sha256}`);
      }
    const sql = text(part, "sql");
    if (sql !== null) for (const literal of literalsOf(sql, maxValues)) add(literal);
  }
  return [...found.values()];
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
