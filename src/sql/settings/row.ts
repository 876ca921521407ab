/**
 * pg_dump's way to set what an older server may not have: `SELECT set_config(name, 'value', false) FROM pg_settings WHERE
 * name = 'setting'`. The condition says which setting it is, as long as the names in it are PostgreSQL's own: that only the
 * server's tree tells (analysis/lineage/settingrow.ts).
 */
import { type JsonObject, nodeOf, objectAt, stringAt } from "../tree.ts";
import { judgeUse, type SettingUse } from "./judge.ts";
import { builtInName, constant } from "./uses.ts";

/** What such a SELECT sets, and the call in it; null: it is any other statement, or not a harmless setting. */
export function settingRow(
  select: JsonObject,
): { readonly call: JsonObject; readonly use: SettingUse } | null {
  if (!only(select, "targetList", "fromClause", "whereClause", "limitOption", "op")) return null;
  const target = single(select.targetList, "ResTarget");
  const call = objectAt(target?.val, "FuncCall");
  if (target === undefined || !only(target, "val", "location") || call === undefined) return null;
  if (!only(call, "funcname", "args", "funcformat", "location")) return null;
  if (builtInName(call.funcname) !== "set_config" || !Array.isArray(call.args)) return null;
  const args: readonly unknown[] = call.args;
  if (args.length !== 3 || !isName(args[0])) return null;
  const relation = single(select.fromClause, "RangeVar");
  if (relation === undefined || stringAt(relation, "relname") !== "pg_settings") return null;
  if (!only(relation, "schemaname", "relname", "inh", "relpersistence", "location")) return null;
  if (!["", "pg_catalog"].includes(stringAt(relation, "schemaname"))) return null;
  const equal = objectAt(select.whereClause, "A_Expr");
  if (equal === undefined || stringAt(equal, "kind") !== "AEXPR_OP" || !isName(equal.lexpr)) return null;
  if (builtInName(equal.name) !== "=") return null;
  const name = text(equal.rexpr);
  const [value, local] = [text(args[1]), constant(args[2])];
  if (name === null || value === null || local === null) return null;
  const use = judgeUse({
    name: name.toLowerCase(),
    action: "set",
    value,
    bound: false,
    local: local === "true",
    scope: "session",
    row: true,
  });
  return use.judgement.kind === "harmless" ? { call, use } : null;
}

/** It sets what a row of pg_settings names. */
export function setsRow({ settings }: { readonly settings: readonly SettingUse[] }): boolean {
  return settings.some(({ row }) => row === true);
}

function only(node: JsonObject, ...fields: readonly string[]): boolean {
  return Object.keys(node).every((field) => fields.includes(field));
}

function single(list: unknown, type: string): JsonObject | undefined {
  return Array.isArray(list) && list.length === 1 ? objectAt(list[0], type) : undefined;
}

/** The column `name`, not qualified. */
function isName(value: unknown): boolean {
  const field = single(objectAt(value, "ColumnRef")?.fields, "String");
  return stringAt(field, "sval") === "name";
}

/** A string as it stands, without a cast. */
function text(value: unknown): string | null {
  const at = nodeOf(value);
  return at?.name === "A_Const" && objectAt(at.node, "sval") !== undefined ? constant(value) : null;
}
