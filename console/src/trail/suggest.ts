/** What could be typed next in the query bar. */
import { type Filter, type FilterName, filterNames } from "./query.ts";

/** Values that are known to be in the trail. */
export type Known = { readonly [Name in Filter]?: readonly string[] };

export interface Suggestion {
  readonly label: string;
  readonly help: string;
  /** Takes the place of the word at the caret. */
  readonly insert: string;
  /** The query is complete with it. */
  readonly whole: boolean;
}

const most = 8;
const spans = ["15m", "1h", "6h", "24h", "7d", "30d"];

/** The word around the caret: from where to where, and what stands before the caret. */
function wordAt(
  line: string,
  caret: number,
): { readonly start: number; readonly end: number; readonly head: string } {
  let start = Math.min(caret, line.length);
  while (start > 0 && !/\s/.test(line[start - 1] ?? "")) start -= 1;
  let end = Math.min(caret, line.length);
  while (end < line.length && !/\s/.test(line[end] ?? "")) end += 1;
  return { start, end, head: line.slice(start, caret) };
}

/** Suggestions for the word at `caret`; none inside of quotation marks. */
export function suggest(line: string, caret: number, known: Known): readonly Suggestion[] {
  if ((line.slice(0, caret).split('"').length - 1) % 2 === 1) return [];
  const { head } = wordAt(line, caret);
  const named = /^([a-z]+):(.*)$/.exec(head);
  if (named === null) {
    const wanted = head.toLowerCase();
    const fitting = filterNames.filter(({ name }) => name.startsWith(wanted));
    return fitting
      .slice(0, wanted === "" ? 10 : most)
      .map(({ name, help }) => ({ label: `${name}:`, help, insert: `${name}:`, whole: false }));
  }
  const [, name = "", begun = ""] = named;
  const filter: FilterName | undefined = filterNames.find((one) => one.name === name);
  if (filter === undefined) return [];
  const values =
    filter.values ?? (name === "since" || name === "until" ? spans : (known[name as Filter] ?? []));
  const wanted = begun.toLowerCase();
  return values
    .filter((value) => value.toLowerCase().includes(wanted) && value !== begun && !value.includes('"'))
    .slice(0, most)
    .map((value) => ({
      label: value,
      help: "",
      insert: `${name}:${/\s/.test(value) ? `"${value}"` : value}`,
      whole: true,
    }));
}

/** The line with `insert` in place of the word at the caret. */
export function replaceToken(
  line: string,
  caret: number,
  insert: string,
): { readonly line: string; readonly caret: number } {
  const { start, end } = wordAt(line, caret);
  const space = insert.endsWith(":") || line.slice(end).startsWith(" ") ? "" : " ";
  const head = line.slice(0, start) + insert + space;
  return { line: head + line.slice(end), caret: head.length };
}
