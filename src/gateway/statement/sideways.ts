/** Ways out of the database that are no rows of the analysed query: what an error may quote, code that is not read, copies. */
import { relationText } from "../../catalog/index.ts";
import type { Touched } from "../../facts/effects.ts";
import type { CopyFacts } from "../../sql/index.ts";
import type { View } from "../analyst/index.ts";
import type { Shape } from "./names.ts";
import type { Reason } from "./state.ts";

const telling = new WeakMap<View, ReadonlySet<string>>();

/**
 * Relations on whose rows errors and notices of a write may quote protected values: their own ("Failing row contains …"),
 * those of their partitions and children, and whatever triggers and rules look at (foreign keys that cascade among them).
 */
function tellingOf(view: View): ReadonlySet<string> {
  const known = telling.get(view);
  if (known !== undefined) return known;
  const { catalog, protectedSet } = view;
  const names = new Set<string>();
  const open = protectedSet.columns.map(({ relation }) => relation);
  const seen = new Set(open);
  for (let oid = open.pop(); oid !== undefined; oid = open.pop()) {
    names.add(relationText(catalog, oid));
    for (const parent of catalog.relation(oid)?.parents ?? []) {
      if (seen.has(parent)) continue;
      seen.add(parent);
      open.push(parent);
    }
  }
  for (const relation of catalog.relations())
    if (!relation.system && (relation.hasTriggers || (relation.hasRules && relation.kind !== "v")))
      names.add(relationText(catalog, relation.oid));
  telling.set(view, names);
  return names;
}

/** Whether errors and notices of these writes may quote protected values, though the statement names none. */
export function mayQuote(view: View, touched: readonly Touched[]): boolean {
  if (view.protectedSet.empty) return false;
  const names = tellingOf(view);
  return touched.some((one) => one.writes.some((name) => names.has(name)));
}

/** DO and CALL run code that nobody read: refused while anything is protected from this principal. */
export function unreadCode({ kind }: Shape, view: View, unmask: readonly string[]): Reason | null {
  if (kind !== "do" && kind !== "call") return null;
  const held = view.protectedSet.columns.some(({ labels }) =>
    labels.some(({ access, label }) => access === "none" || !unmask.includes(label)),
  );
  if (!held) return null;
  return {
    sqlstate: "42501",
    code: "UNSAFE_FUNCTION",
    message: `policy: ${kind === "do" ? "DO" : "CALL"} runs code that is not read, and columns are protected here`,
    hint: "Send the statements that it holds themselves.",
  };
}

/**
 * Why a copy's lines cannot be masked; null: they can. In encodings like SJIS and BIG5 a byte that looks like a delimiter
 * or a backslash may be the second half of a character, and fields would not be told apart.
 */
export function unmaskable({ format, encoding }: CopyFacts, column: string | null): Reason | null {
  const what =
    format === "binary"
      ? "COPY in binary format"
      : encoding === null || /^(?:UTF-?8|UNICODE)$/.test(encoding)
        ? null
        : "COPY in another encoding than UTF8";
  if (what === null) return null;
  return {
    sqlstate: "42501",
    code: "PROTECTED_COPY",
    message: `policy: ${what} cannot be masked${column === null ? "" : `, and ${column} is protected`}`,
    hint: "Use COPY in text or CSV format and UTF8, or a SELECT.",
    object: column,
  };
}
