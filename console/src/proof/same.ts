/** Whether a record as a page shows it is the record that was hashed. */
import { sha256, toHex, utf8 } from "./bytes.ts";
import { isObject } from "./file.ts";

/**
 * The first place where `shown` differs from the stored leaf, as a dotted path; null: they are the same. A value that the leaf
 * keeps in a blob (docs/audit-format.md section 6) may be shown itself: its JSON text must have the hash in the leaf. Throws CannotCheck.
 */
export async function firstDifference(shown: unknown, stored: unknown, path = ""): Promise<string | null> {
  const here = path === "" ? "the record" : path;
  if (isBlob(stored) && !isBlob(shown)) return (await isContentOf(stored, shown)) ? null : here;
  if (Array.isArray(stored)) {
    if (!Array.isArray(shown) || shown.length !== stored.length) return here;
    for (const [at, value] of stored.entries()) {
      const found = await firstDifference(shown[at], value, `${path}[${at}]`);
      if (found !== null) return found;
    }
    return null;
  }
  if (isObject(stored)) {
    if (!isObject(shown)) return here;
    for (const name of new Set([...Object.keys(stored), ...Object.keys(shown)])) {
      const inner = path === "" ? name : `${path}.${name}`;
      if (!Object.hasOwn(stored, name) || !Object.hasOwn(shown, name)) return inner;
      const found = await firstDifference(shown[name], stored[name], inner);
      if (found !== null) return found;
    }
    return null;
  }
  return Object.is(shown, stored) ? null : here;
}

interface Blob {
  readonly blob: string;
  readonly bytes: number;
}

function isBlob(value: unknown): value is Blob {
  return (
    isObject(value) &&
    typeof value.blob === "string" &&
    /^[0-9a-f]{64}$/.test(value.blob) &&
    typeof value.bytes === "number" &&
    Object.keys(value).length === 2
  );
}

async function isContentOf(blob: Blob, value: unknown): Promise<boolean> {
  const bytes = utf8(JSON.stringify(value) ?? "");
  return bytes !== null && bytes.length === blob.bytes && toHex(await sha256(bytes)) === blob.blob;
}
