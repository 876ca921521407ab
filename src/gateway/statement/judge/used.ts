/** What a statement runs by name: EXECUTE, FETCH and what wraps them. */
import { type Leeway, notUnderstood, refusedStatically } from "../facts.ts";
import type { Judgement } from "../judgement.ts";
import { getPortal, type PreparedStatement } from "../names.ts";
import type { Reason, Walk } from "../state.ts";

/** EXECUTE of a statement that is itself an EXECUTE, and so on. */
const maxUsed = 4;

type Used =
  | {
      readonly statements: readonly PreparedStatement[];
      /** What was decided of each when its cursor was opened; null: it is planned when it runs. */
      readonly bound: readonly (Judgement | null)[];
      /** What becomes of the rows of the statement that EXECUTE names; null: nothing else. */
      readonly wrapped: "create-table" | "explain" | null;
    }
  | { readonly refusal: Reason };

/** Cursors that a statement of the same message opens, by name, and what they read; they count before those of the session. */
export type Opened = ReadonlyMap<string, PreparedStatement>;
export const noneOpened: Opened = new Map();

/** The statement and those that EXECUTE and FETCH name; their effects are its own. */
export function usedBy(
  walk: Walk,
  statement: PreparedStatement,
  leeway: Leeway,
  opened: Opened = noneOpened,
): Used {
  const all = [statement];
  const bound: (Judgement | null)[] = [null];
  let wrapped: "create-table" | "explain" | null = null;
  for (let at = 0; at < all.length; at++) {
    if (all.length > maxUsed)
      return { refusal: notUnderstood("NOT_UNDERSTOOD", "the statement is nested too deep", null) };
    for (const { kind, name } of all[at]?.shape.names ?? []) {
      if (name === null || (kind !== "execute" && kind !== "fetch")) continue;
      const fresh = kind === "fetch" ? opened.get(name) : undefined;
      const portal = kind === "execute" || fresh !== undefined ? undefined : getPortal(walk.names, name);
      const inner = kind === "execute" ? walk.names.statements.get(name) : (fresh ?? portal?.statement);
      if (inner === undefined)
        return {
          refusal: {
            sqlstate: kind === "execute" ? "26000" : "34000",
            code: kind === "execute" ? "UNKNOWN_STATEMENT" : "UNKNOWN_CURSOR",
            message:
              kind === "execute"
                ? `prepared statement "${name}" does not exist`
                : `cursor "${name}" does not exist`,
            hint: "It must have been made through this session.",
            object: name,
          },
        };
      const unread = refusedStatically(inner.shape, leeway);
      if (unread !== null) return { refusal: unread };
      all.push(inner);
      bound.push(portal?.bound ?? null);
      const wrapper = all[at]?.shape;
      if (wrapper?.kind === "ddl" || wrapper?.facts.effects.includes("ddl") === true)
        wrapped = "create-table";
      else if (wrapper?.facts.explain != null) wrapped ??= "explain";
    }
  }
  return { statements: all, bound, wrapped };
}
