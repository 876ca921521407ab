/** Finds the settings that a node of the parser's tree changes or reads, in every spelling of them. */
import { flagAt, isObject, type JsonObject, nodeOf, numberAt, objectAt, stringAt } from "../tree.ts";
import { judgeUse, type SettingUse } from "./judge.ts";

type Scope = SettingUse["scope"];
type Raw = Omit<SettingUse, "judgement">;

const plain: Raw = {
  name: null,
  action: "set",
  value: null,
  bound: false,
  local: false,
  scope: "session",
};

/** SET, RESET, SET TRANSACTION, SET TIME ZONE, SET NAMES, SET ROLE, … (VariableSetStmt), for whom `scope` says. */
export function setUses(node: JsonObject, scope: Scope): SettingUse[] {
  const name = stringAt(node, "name").toLowerCase();
  const local = flagAt(node, "is_local");
  switch (stringAt(node, "kind")) {
    case "VAR_SET_VALUE":
      return [judgeUse({ ...plain, name, value: listValue(name, node.args), local, scope })];
    case "VAR_SET_DEFAULT":
      return [judgeUse({ ...plain, name, action: "reset", local, scope })];
    case "VAR_RESET":
      return [judgeUse({ ...plain, name, action: "reset", scope })];
    case "VAR_RESET_ALL":
      return [judgeUse({ ...plain, action: "reset-all", scope })];
    case "VAR_SET_CURRENT":
      // CREATE FUNCTION … SET x FROM CURRENT: a value that is in force already.
      return [judgeUse({ ...plain, name, action: "reset", scope })];
    case "VAR_SET_MULTI":
      return multiple(name, node.args, scope);
    default:
      return [judgeUse({ ...plain, scope })];
  }
}

/** SET TRANSACTION …, SET SESSION CHARACTERISTICS AS TRANSACTION …, SET TRANSACTION SNAPSHOT '…'. */
function multiple(name: string, args: unknown, scope: Scope): SettingUse[] {
  if (name === "transaction") return transactionUses(args, "");
  if (name === "session characteristics") return transactionUses(args, "default_");
  return [judgeUse({ ...plain, name, value: listValue(name, args), local: true, scope })];
}

/**
 * The options of BEGIN and SET TRANSACTION: settings of this transaction, or with `prefix` "default_" of those to come.
 */
export function transactionUses(options: unknown, prefix: "" | "default_"): SettingUse[] {
  if (!Array.isArray(options)) return [];
  return options.map((option: unknown) => {
    const element = objectAt(option, "DefElem");
    const value = constant(element?.arg);
    const name = `${prefix}${stringAt(element, "defname")}`;
    // The parser writes READ ONLY and DEFERRABLE as 1 and 0.
    const text = name.endsWith("isolation") ? value : value === "1" ? "on" : value === "0" ? "off" : value;
    return judgeUse({ ...plain, name, value: text, local: prefix === "" });
  });
}

export function showUses(node: JsonObject): SettingUse[] {
  const name = stringAt(node, "name").toLowerCase();
  return [
    judgeUse({
      ...plain,
      name: name === "all" ? null : name,
      action: name === "all" ? "show-all" : "show",
    }),
  ];
}

export function discardUses(node: JsonObject): SettingUse[] {
  const value = stringAt(node, "target").replace("DISCARD_", "").toLowerCase();
  return [judgeUse({ ...plain, action: "discard", value })];
}

/** set_config() and current_setting(), where the call names no other schema than pg_catalog. */
export function callUses(node: JsonObject): SettingUse[] {
  const called = builtInName(node.funcname);
  if (called !== "set_config" && called !== "current_setting") return [];
  // Neither names its parameters, so there is no other order. VARIADIC hides them.
  const args: readonly unknown[] =
    Array.isArray(node.args) && !flagAt(node, "func_variadic") ? node.args : [];
  const name = constant(args[0])?.toLowerCase() ?? null;
  if (called === "current_setting") return [judgeUse({ ...plain, name, action: "show" })];
  const value = constant(args[1]);
  const local = constant(args[2]) === "true";
  return [judgeUse({ ...plain, name, value, bound: value === null && isParameter(args[1]), local })];
}

/** UPDATE pg_settings sets what its rule hands to set_config(). Which, only its rows tell. */
export function updateUses(relation: JsonObject | undefined): SettingUse[] {
  if (stringAt(relation, "relname") !== "pg_settings") return [];
  const schema = stringAt(relation, "schemaname");
  return schema === "" || schema === "pg_catalog" ? [judgeUse(plain)] : [];
}

/** pg_settings, and the function behind it: rows of theirs are settings' values. */
export function showsSettings(name: string, node: JsonObject): boolean {
  if (name === "FuncCall") return builtInName(node.funcname) === "pg_show_all_settings";
  if (name !== "RangeVar" || stringAt(node, "relname") !== "pg_settings") return false;
  const schema = stringAt(node, "schemaname");
  return schema === "" || schema === "pg_catalog";
}

/** A row of pg_settings that is asked for by name: what SHOW would say. */
export function namedRow(name: string): SettingUse {
  return judgeUse({ ...plain, name: name.toLowerCase(), action: "show" });
}

/** The name of a function that is not qualified, or by pg_catalog; null for others. */
export function builtInName(names: unknown): string | null {
  if (!Array.isArray(names)) return null;
  const parts = names.map((part: unknown) => stringAt(objectAt(part, "String"), "sval"));
  const [first, second] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  if (parts.length === 2 && first === "pg_catalog" && second !== undefined) return second;
  // database.schema.name
  return parts.length === 3 && second === "pg_catalog" ? (parts[2] ?? null) : null;
}

function isParameter(value: unknown): boolean {
  let at = nodeOf(value);
  while (at?.name === "TypeCast") at = nodeOf(at.node.arg);
  return at?.name === "ParamRef";
}

/** The constant's text; casts to text and the like are looked through. null: no constant, or NULL. */
export function constant(value: unknown): string | null {
  let at = nodeOf(value);
  while (at?.name === "TypeCast" && harmlessCast(at.node)) at = nodeOf(at.node.arg);
  if (at?.name !== "A_Const") return null;
  const node = at.node;
  if (isObject(node.sval)) return stringAt(node.sval, "sval");
  if (isObject(node.ival)) return String(numberAt(node.ival, "ival"));
  if (isObject(node.fval)) return stringAt(node.fval, "fval");
  if (isObject(node.boolval)) return flagAt(node.boolval, "boolval") ? "true" : "false";
  return null;
}

/** Casts that leave a text as it is. A name cuts at 63 bytes, a varchar(n) too. */
function harmlessCast(cast: JsonObject): boolean {
  const type = objectAt(cast, "typeName");
  const name = builtInName(type?.names);
  return (
    (name === "text" || name === "bool") && type?.typmods === undefined && type?.arrayBounds === undefined
  );
}

/** Settings whose list elements SET quotes as identifiers (GUC_LIST_QUOTE in guc_tables.c). */
const quotedLists = new Set([
  "search_path",
  "temp_tablespaces",
  "local_preload_libraries",
  "session_preload_libraries",
  "shared_preload_libraries",
  "unix_socket_directories",
]);

/** flatten_set_variable_args() of guc_funcs.c: what SET name TO args hands on. null: not of constants. */
function listValue(name: string, args: unknown): string | null {
  if (!Array.isArray(args)) return null;
  const parts: string[] = [];
  for (const arg of args as unknown[]) {
    const cast = objectAt(arg, "TypeCast");
    // SET TIME ZONE INTERVAL '…'
    const value = constant(cast === undefined ? arg : cast.arg);
    if (value === null) return null;
    parts.push(quotedLists.has(name) ? quoteName(value) : value);
  }
  return parts.join(", ");
}

function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
