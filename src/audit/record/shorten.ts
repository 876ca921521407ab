/** Makes a record fit its leaf without losing a byte: the longest values go to blobs, and their place says which. */
import type { StoreBlob } from "./contexts.ts";

type Json = Record<string, unknown>;

/** What the log itself needs to find and join records stays in the leaf. */
const kept = new Set(["v", "id", "type", "time", "node", "session", "request", "sealed"]);

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Gives the record's JSON text in at most `limit` bytes. Members of the record and of its objects are replaced, longest
 * first, by `{"blob":"<sha256>","bytes":n}`; the blob holds the JSON text of the value. Throws what `store` throws.
 */
export function shorten(text: string, limit: number, store: StoreBlob): string {
  const record = JSON.parse(text) as Json;
  for (let out = text; ; out = JSON.stringify(record)) {
    if (Buffer.byteLength(out) <= limit) return out;
    let longest = { holder: record, name: "", text: "" };
    for (const [name, value] of Object.entries(record)) {
      if (kept.has(name)) continue;
      const inside =
        isObject(value) && !("blob" in value)
          ? Object.entries(value).map(([n, v]) => [n, v, value] as const)
          : [];
      const whole: readonly (readonly [string, unknown, Json])[] =
        inside.length > 64 || inside.length === 0 ? [[name, value, record]] : inside;
      for (const [member, part, holder] of whole) {
        if (member === "sealed" || (isObject(part) && "blob" in part)) continue;
        const json = JSON.stringify(part);
        if (json !== undefined && json.length > longest.text.length)
          longest = { holder, name: member, text: json };
      }
    }
    // Shorter than what would stand for it: nothing is left to move. Cannot happen with fewer than 64 members a level.
    if (longest.text.length < 128) throw new RangeError("a record of too many parts");
    longest.holder[longest.name] = JSON.parse(store(longest.text));
  }
}
