/** Members of records without trust in their shape, as the trail's own readers take them. */
import { text } from "../audit/read/leaves.ts";

export { at, isObject, type Json, list, number, text } from "../audit/read/leaves.ts";

/** One of the words; the last of them for anything else. */
export function word<T extends string>(value: unknown, words: readonly [...T[], T]): T {
  return words.find((one) => one === value) ?? (words[words.length - 1] as T);
}

/** A time of a record as ISO 8601; the epoch for what is none. */
export function time(value: unknown, path: string): string {
  return text(value, path) ?? new Date(0).toISOString();
}
