/** Whether a set_config() takes its name from the row of pg_settings that a condition names, and from nothing else. */
import type { CatalogSnapshot } from "../../catalog/index.ts";
import { intOf, nodeOf, nodesOf, type ServerNode } from "../../sql/servertree/index.ts";
import { isSetConfig } from "./collect.ts";
import { tagOf } from "./nodes.ts";
import { exprOf, kindOfEntry, type Scope, viewOf } from "./scope.ts";

/**
 * True for `SELECT set_config(name, …) FROM pg_settings WHERE name = constant`, where function, view and operator are
 * PostgreSQL's own: a temporary table may be called pg_settings as well, and a type may have an `=` of its own.
 */
export function isSettingRow(scope: Scope, catalog: CatalogSnapshot): boolean {
  const { query, rtable, outputs, command } = scope;
  const [output] = outputs;
  const [entry] = rtable;
  if (command !== "select" || outputs.length !== 1 || output === undefined) return false;
  if (rtable.length !== 1 || entry === undefined || kindOfEntry(entry) !== "subquery") return false;
  const view = catalog.relation(viewOf(entry));
  if (view === undefined || view.schema !== "pg_catalog" || view.name !== "pg_settings") return false;
  const name = view.columns.find((column) => column.name === "name")?.attnum;
  const isName = (node: ServerNode | undefined): boolean =>
    node !== undefined &&
    tagOf(node) === "VAR" &&
    intOf(node, "varno") === 1 &&
    intOf(node, "varlevelsup", -1) === 0 &&
    intOf(node, "varattno") === name;
  const call = exprOf(output);
  if (tagOf(call) !== "FUNCEXPR" || !isSetConfig(catalog, intOf(call, "funcid"))) return false;
  const join = nodeOf(query, "jointree");
  const quals = join === null ? null : nodeOf(join, "quals");
  if (quals === null || tagOf(quals) !== "OPEXPR") return false;
  const operator = catalog.operator(intOf(quals, "opno"));
  const [left, right, more] = nodesOf(quals, "args");
  return (
    isName(nodesOf(call, "args")[0]) &&
    operator?.system === true &&
    operator.name === "=" &&
    isName(left) &&
    right !== undefined &&
    tagOf(right) === "CONST" &&
    more === undefined
  );
}
