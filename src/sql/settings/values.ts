/** Reading values of settings as PostgreSQL does (manual section 20.1.1; guc.c). null: not such a value. */

/** parse_bool(): prefixes of true, false, yes, no; on, off, 1, 0; any case. */
export function booleanValue(value: string): boolean | null {
  const text = value.toLowerCase();
  if (text === "1" || text === "on" || isPrefix(text, "true") || isPrefix(text, "yes")) return true;
  if (text === "0" || text === "of" || text === "off" || isPrefix(text, "false") || isPrefix(text, "no"))
    return false;
  return null;
}

function isPrefix(text: string, word: string): boolean {
  return text !== "" && word.startsWith(text);
}

const times: ReadonlyMap<string, number> = new Map([
  ["us", 0.001],
  ["ms", 1],
  ["s", 1000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);
/** Milliseconds. Without a unit: milliseconds, which is the base unit of all time-outs. */
export function milliseconds(value: string): number | null {
  return quantity(value, times, 1);
}

const sizes: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1024],
  ["MB", 1024 ** 2],
  ["GB", 1024 ** 3],
  ["TB", 1024 ** 4],
]);
/** Bytes. `unit`: what a bare number counts, in bytes. */
export function bytes(value: string, unit: number): number | null {
  return quantity(value, sizes, unit);
}

/** A number with an optional unit. Units are case-sensitive. */
function quantity(value: string, units: ReadonlyMap<string, number>, bare: number): number | null {
  const match =
    /^[ \t\n\r\f\v]*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[ \t\n\r\f\v]*([A-Za-z]*)[ \t\n\r\f\v]*$/.exec(
      value,
    );
  if (match === null) return null;
  const unit = match[2] === "" ? bare : units.get(match[2] ?? "");
  const amount = Number(match[1]) * (unit ?? Number.NaN);
  return Number.isFinite(amount) ? amount : null;
}

/** A plain decimal number. */
export function numberValue(value: string): number | null {
  return quantity(value, new Map(), 1);
}

/**
 * The names of a list such as search_path, folded and unquoted (SplitIdentifierString() in varlena.c); null when it is not well
 * formed.
 */
export function identifiers(value: string): string[] | null {
  const names: string[] = [];
  const item = /[ \t\n\r\f\v]*(?:"((?:[^"]|"")*)"|([^\s",]+))[ \t\n\r\f\v]*(,|$)/y;
  if (value.trim() === "") return [];
  for (;;) {
    const match = item.exec(value);
    if (match === null) return null;
    // Only ASCII letters are folded in UTF-8 databases.
    names.push(
      match[1]?.replaceAll('""', '"') ?? (match[2] ?? "").replaceAll(/[A-Z]/g, (c) => c.toLowerCase()),
    );
    if (match[3] === "") return names;
    if (item.lastIndex === value.length) return null;
  }
}
