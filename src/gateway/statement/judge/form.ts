/** What the record keeps of a statement's form, so that it can be decided again by another policy (`postern policy replay`). */
import { columnText } from "../../../catalog/index.ts";
import type { RecordedPosition, StatementForm } from "../../../facts/audit.ts";
import type { StatementFacts, Touched } from "../../../facts/effects.ts";
import type { View } from "../../analyst/index.ts";
import type { Shape } from "../names.ts";

/** @param used shapes of the statement and of those that EXECUTE and FETCH in it name. `view` null: nothing was analysed. */
export function formOf(
  { unboundedWrite, hasWhere, hasLimit, statements }: Omit<StatementFacts, "effects">,
  used: readonly { readonly shape: Shape }[],
  touched: readonly Touched[],
  view: View | null,
): StatementForm {
  const clauses: StatementForm["clauses"][number][] = [];
  if (hasLimit) clauses.push("limit");
  const ruled = touched.some(({ uncounted }) => uncounted === true);
  if (ruled || used.some(({ shape }) => shape.facts.modifications > 1)) clauses.push("several_writes");
  if (unboundedWrite) clauses.push("unbounded_write");
  if (hasWhere) clauses.push("where");
  return { clauses, statements, uses: view === null ? {} : usesOf(touched, view) };
}

function usesOf(touched: readonly Touched[], { catalog }: View): StatementForm["uses"] {
  const found = new Map<RecordedPosition, Set<string>>();
  for (const { uses } of touched)
    for (const { position, relation, attribute } of uses) {
      if (position === "output" || position === "owner") continue;
      const names = found.get(position) ?? new Set();
      found.set(position, names);
      if (attribute !== 0) names.add(columnText(catalog, relation, attribute));
      else
        for (const { attnum } of catalog.relation(relation)?.columns ?? [])
          names.add(columnText(catalog, relation, attnum));
    }
  return Object.fromEntries(
    [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([position, names]) => [position, [...names].sort()]),
  );
}
