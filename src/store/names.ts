/** What may be a name, a tag or a value: checked before it meets a driver, so that both take exactly the same. */
import type { Json, ListOptions, WriteOptions } from "./types.ts";

const name = /^[A-Za-z0-9_.:-]{1,200}$/;
const maxTags = 16;
/** Documents are small; what is larger does not belong into the shared store. */
const maxValueBytes = 16 * 1024 * 1024;

/** Throws TypeError: a name that is none is a fault of the program, not of the store. */
export function checkNames(collection: string, key?: string): void {
  if (!name.test(collection)) throw new TypeError("store: not a name of a collection");
  if (key !== undefined && !name.test(key)) throw new TypeError("store: not a key");
}

/** The tags as they are kept, each once; undefined stays undefined. Throws TypeError. */
export function tagsOf(options: WriteOptions | undefined): string[] | undefined {
  if (options?.tags === undefined) return undefined;
  const tags = [...new Set(options.tags)].sort();
  if (tags.length > maxTags || !tags.every((tag) => name.test(tag)))
    throw new TypeError(`store: at most ${maxTags} tags of A-Z, a-z, 0-9, _ . : and -`);
  return tags;
}

/** null: never; undefined: not said. Throws TypeError. */
export function expiresOf(options: WriteOptions | undefined): number | null | undefined {
  const expires = options?.expires;
  if (expires === undefined || expires === null) return expires;
  if (!Number.isSafeInteger(Math.trunc(expires))) throw new TypeError("store: not a time");
  return Math.trunc(expires);
}

/** The value's text. Throws TypeError when it is too long. */
export function textOf(value: Json): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > maxValueBytes) throw new TypeError("store: the document is too large");
  return text;
}

/** Checked list options; `after` is the number of the last document of the page before, null: from the start. Throws TypeError. */
export function pageOf(options: ListOptions): {
  readonly tags: readonly string[];
  readonly after: number | null;
  readonly limit: number;
  readonly newestFirst: boolean;
} {
  const { limit, newestFirst = false, after = null } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw new TypeError("store: a limit is from 1 to 1000");
  if (after !== null && !/^\d{1,15}$/.test(after)) throw new TypeError("store: not a cursor");
  return { tags: tagsOf(options) ?? [], after: after === null ? null : Number(after), limit, newestFirst };
}
