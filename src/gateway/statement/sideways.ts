/** Ways out of the database that analysed queries do not show: code that is not read, copies whose lines cannot be masked. */
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
