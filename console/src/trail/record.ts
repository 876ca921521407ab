/** Reading records whose members may be missing, unknown or of another type. */
import type { Json } from "./types.ts";

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a dotted path; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let current = value;
  for (const name of path.split(".")) {
    if (!isObject(current) || !Object.hasOwn(current, name)) return undefined;
    current = current[name];
  }
  return current;
}

export function text(value: unknown, path: string): string | null {
  const found = at(value, path);
  return typeof found === "string" ? found : null;
}

export function number(value: unknown, path: string): number | null {
  const found = at(value, path);
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

/** The strings of a list; null where there is no list ("not analysed"). */
export function list(value: unknown, path: string): readonly string[] | null {
  const found = at(value, path);
  return Array.isArray(found) ? found.filter((one): one is string => typeof one === "string") : null;
}

/** The objects of a list; empty where there is none. */
export function objects(value: unknown, path: string): readonly Json[] {
  const found = at(value, path);
  return Array.isArray(found) ? found.filter(isObject) : [];
}
