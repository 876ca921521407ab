/** Ways out of the database that analysed queries do not show: code that is not read, copies whose lines cannot be masked. */
import type { CopyFacts } from "../../sql/index.ts";
import type { View } from "../analyst/index.ts";
import type { Shape } from "./names.ts";
import type { Reason } from "./state.ts";

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
