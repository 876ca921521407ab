/** Cursors of lists: where the last page ended. Opaque to callers, and hostile when they come back. */
import { ApiError } from "./failure.ts";

export function cursorOf(key: string): string {
  return Buffer.from(key, "utf8").toString("base64url");
}

/** Throws ApiError BAD_REQUEST for what no page gave out. */
export function readCursor(cursor: string, shape: RegExp): string {
  const key = Buffer.from(cursor, "base64url").toString("utf8");
  if (!/^[\w-]+$/.test(cursor) || cursorOf(key) !== cursor || !shape.test(key))
    throw new ApiError("BAD_REQUEST", "`after` is not what the page before gave as `next`");
  return key;
}

/**
 * The cursor of one list of the store: another list, or the same by another filter, has another order, and does not take it.
 *
 * @param list what is listed, in letters and colons.
 */
export function storeCursor(list: string): {
  /** What the store goes on behind; throws ApiError BAD_REQUEST for what this list did not give out. */
  read(after: string | undefined): string | null;
  tell(next: string | null): string | null;
} {
  const shape = new RegExp(`^${list} \\d{1,15}$`);
  return {
    read: (after) => (after === undefined ? null : readCursor(after, shape).slice(list.length + 1)),
    tell: (next) => (next === null ? null : cursorOf(`${list} ${next}`)),
  };
}

/** One page of `items`, which are sorted by `keyOf`. */
export function page<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  options: { readonly limit: number; readonly after: string | undefined; readonly shape: RegExp },
): { items: T[]; next: string | null } {
  const { limit, after, shape } = options;
  const from = after === undefined ? null : readCursor(after, shape);
  const rest = from === null ? items : items.filter((item) => keyOf(item) > from);
  const taken = rest.slice(0, limit);
  const last = taken.at(-1);
  return {
    items: taken,
    next: rest.length > taken.length && last !== undefined ? cursorOf(keyOf(last)) : null,
  };
}
