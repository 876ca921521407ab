/** Names in a policy's conditions that nothing bears: such a rule never matches, or never stops matching. */
import { columnText, functionText, relationText } from "../../catalog/index.ts";
import type { DatabaseSettings } from "../../gateway/settings.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { Looked } from "./labels.ts";

export interface AbsentName {
  readonly rule: string;
  readonly file: string;
  readonly line: number;
  /** Such as "session.database". */
  readonly fact: string;
  readonly text: string;
}

/**
 * Databases, logins, relations, columns and functions that conditions name and that there are nowhere. What lies in the databases is
 * only compared when every one of them could be looked at.
 */
export function absentNames(
  policy: CompiledPolicy,
  settings: readonly DatabaseSettings[],
  looked: readonly Looked[],
): AbsentName[] {
  const compared = policy.rules.flatMap(({ literals }) => literals.map(({ fact }) => fact));
  const known = new Map<string, ReadonlySet<string>>([
    ["session.database", new Set(settings.map(({ name }) => name))],
    ["session.role", new Set(settings.flatMap(({ logins }) => logins.map(({ user }) => user)))],
  ]);
  if (looked.every(({ catalog }) => catalog !== null)) {
    const relations = compared.includes("statement.reads") || compared.includes("statement.writes");
    const columns = compared.includes("statement.columns");
    const found = { relations: new Set<string>(), columns: new Set<string>(), functions: new Set<string>() };
    for (const { catalog } of looked) {
      if (catalog === null) continue;
      for (const { oid, columns: own } of relations || columns ? catalog.relations() : []) {
        found.relations.add(relationText(catalog, oid));
        if (columns) for (const { attnum } of own) found.columns.add(columnText(catalog, oid, attnum));
      }
      if (compared.includes("statement.functions"))
        for (const { oid } of catalog.functions()) found.functions.add(functionText(catalog, oid));
    }
    known.set("statement.reads", found.relations);
    known.set("statement.writes", found.relations);
    known.set("statement.columns", found.columns);
    known.set("statement.functions", found.functions);
  }
  return policy.rules.flatMap(({ name: rule, file, line, literals }) =>
    literals.flatMap(({ fact, text }) =>
      known.get(fact)?.has(text) === false ? [{ rule, file, line, fact, text }] : [],
    ),
  );
}
