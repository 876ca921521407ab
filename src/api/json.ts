/** Members of records without trust in their shape. */
export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a dotted path; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let here: unknown = value;
  for (const name of path.split(".")) {
    if (!isObject(here) || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  return here;
}

export function text(value: unknown, path: string): string | null {
  const found = at(value, path);
  return typeof found === "string" ? found : null;
}

export function number(value: unknown, path: string): number | null {
  const found = at(value, path);
  return typeof found === "number" ? found : null;
}

/** The texts at a dotted path; null where there is no list. */
export function list(value: unknown, path: string): string[] | null {
  const found = at(value, path);
  return Array.isArray(found) ? found.filter((one) => typeof one === "string") : null;
}

/** One of the words; the last of them for anything else. */
export function word<T extends string>(value: unknown, words: readonly [...T[], T]): T {
  return words.find((one) => one === value) ?? (words[words.length - 1] as T);
}

/** A time of a record as ISO 8601; the epoch for what is none. */
export function time(value: unknown, path: string): string {
  return text(value, path) ?? new Date(0).toISOString();
}
