/**
 * Ways out of the database that analysed queries do not show: code that is not read, and definitions that run or keep expressions
 * over protected columns, or take away the names that labels go by.
 */
import { shownType } from "../../analysis/lineage/types.ts";
import type { ProtectedColumn } from "../../analysis/protected.ts";
import { opaque } from "../../analysis/refuse.ts";
import { type FunctionFacts, relationText } from "../../catalog/index.ts";
import type { Definition, NamedRelation, QualifiedName } from "../../sql/index.ts";
import type { View } from "../analyst/index.ts";
import type { Shape } from "./names.ts";
import type { Reason } from "./state.ts";

/** Why a statement may not run beside what its trees say, while anything is protected from this principal; null: it may. */
export function unreadCode(
  { kind, facts: { definition } }: Shape,
  view: View,
  unmask: readonly string[],
): Reason | null {
  const called = kind === "do" || kind === "call";
  if (!called && definition === null) return null;
  const held = view.protectedSet.columns.filter(({ labels }) =>
    labels.some(({ access, label }) => access === "none" || !unmask.includes(label)),
  );
  if (held.length === 0) return null;
  if (called)
    return reason(
      "UNSAFE_FUNCTION",
      `${kind === "do" ? "DO" : "CALL"} runs code that is not read, and columns are protected here`,
      "Send the statements that it holds themselves, or ask the owner of the policy to unmask the columns for whoever runs migrations.",
    );
  if (definition === null) return null;
  return (
    madeUnread(definition) ??
    callsUnsafe(definition, view) ??
    looksInto(definition, view, held) ??
    tries(definition, view, held) ??
    takesAway(definition, view, held)
  );
}

function reason(code: string, message: string, hint: string, object: string | null = null): Reason {
  return { sqlstate: "42501", code, message: `policy: ${message}`, hint, object };
}

const askOwner =
  "Ask the owner of the database to do it, or the owner of the policy to unmask the columns for you.";

function madeUnread({ made }: Definition): Reason | null {
  switch (made) {
    case null:
      return null;
    case "function":
      return reason(
        "UNSAFE_FUNCTION",
        "a function's code is not read where it is made, and columns are protected here",
        askOwner,
      );
    case "policy":
      return reason(
        "PROTECTED_PREDICATE",
        "a policy with a query in it is a condition that is not analysed, and columns are protected here",
        askOwner,
      );
    case "view":
      return reason(
        "PROTECTED_PREDICATE",
        "this form would make conditions of a view its owner's, and columns are protected here",
        "Use CREATE OR REPLACE VIEW.",
      );
    case "schema":
      return reason(
        "NOT_UNDERSTOOD",
        "the elements of CREATE SCHEMA are not analysed, and columns are protected here",
        "Send the statements that it holds themselves.",
      );
    default:
      return made satisfies never;
  }
}

/** Expressions of definitions run when rows are written, or at once. Names are not resolved: whatever bears one counts. */
function callsUnsafe({ functions, operators, types, columns }: Definition, { catalog }: View): Reason | null {
  const inSchema = <T extends { readonly schema: string }>(all: readonly T[], { schema }: QualifiedName) =>
    schema === null ? all : all.filter((one) => one.schema === schema);
  const called = functions.flatMap((name): readonly (FunctionFacts | null)[] => {
    const found = inSchema(catalog.functionsNamed(name.name), name);
    return found.length === 0 ? [null] : found;
  });
  // x.name may be a call of name(x).
  const attributes = columns
    .flatMap((name) => catalog.functionsNamed(name))
    .filter(({ system, arguments: given }) => !system && given.length === 1);
  const behind = operators
    .flatMap((name) => inSchema(catalog.operatorsNamed(name.name), name))
    .map(({ func }) => catalog.func(func) ?? null)
    // Extensions have an "=" of their own; it would stand for everybody's.
    .filter((func) => func === null || func.extension === null);
  for (const func of [...called, ...attributes, ...behind]) {
    if (func === null) return unsafe("a function that the catalog does not hold", "is not known", null);
    const { verdict } = func;
    if (!verdict.safe && opaque.has(verdict.effect))
      return unsafe(`function ${func.schema}.${func.name}`, verdict.reason, `${func.schema}.${func.name}`);
  }
  for (const type of types.flatMap((name) => inSchema(catalog.typesNamed(name.name), name)))
    if (!type.verdict.safe && opaque.has(type.verdict.effect))
      return unsafe(`type ${type.schema}.${type.name}`, type.verdict.reason, `${type.schema}.${type.name}`);
  return null;
}

function unsafe(what: string, why: string, object: string | null): Reason {
  return reason(
    "UNSAFE_FUNCTION",
    `${what} is not allowed in a definition where columns are protected: it ${why}`,
    "Use functions of PostgreSQL that only compute a value, or ask for this one to be allowed.",
    object,
  );
}

/** Any relation called so counts. */
function isNamed({ relation }: ProtectedColumn, { catalog }: View, { name, schema }: NamedRelation): boolean {
  const known = catalog.relation(relation);
  return known?.name === name && (schema === null || schema === known.schema);
}

function looksInto(
  { columns, subjects }: Definition,
  view: View,
  held: readonly ProtectedColumn[],
): Reason | null {
  const words = new Set(columns);
  for (const column of held) {
    if (!subjects.some((subject) => isNamed(column, view, subject))) continue;
    const name = view.catalog.column(column.relation, column.attribute)?.name ?? "";
    const relation = view.catalog.relation(column.relation)?.name ?? "";
    if (!words.has(name) && !words.has(relation)) continue;
    return lookedInto(column, "may not be used in an expression of a definition");
  }
  return null;
}

function lookedInto(column: ProtectedColumn, why: string): Reason {
  return reason(
    "PROTECTED_PREDICATE",
    `column ${column.name} (${column.labels[0]?.label ?? ""}) is protected and ${why}`,
    askOwner,
    column.name,
  );
}

/**
 * Whether it succeeds tells of values that are there, or it has them written elsewhere: keys that are referenced (ON UPDATE CASCADE),
 * conversions that may fail, checks of domains.
 */
function tries(
  { references, partitioned, retyped, subjects, attributes, domain }: Definition,
  view: View,
  held: readonly ProtectedColumn[],
): Reason | null {
  const { catalog } = view;
  const domains = new Set(
    (domain === null ? [] : catalog.typesNamed(domain.name))
      .filter(({ schema }) => domain?.schema === null || domain?.schema === schema)
      .map(({ oid }) => oid),
  );
  for (const column of held) {
    const known = catalog.column(column.relation, column.attribute);
    if (known === undefined) continue;
    const { name, type, inPrimaryKey, inDefaultKey } = known;
    if (
      references.some(
        ({ relation, columns }) =>
          isNamed(column, view, relation) && (columns.length === 0 ? inPrimaryKey : columns.includes(name)),
      )
    )
      return lookedInto(column, "may not be referenced by a new foreign key");
    if (inDefaultKey && partitioned.some((relation) => isNamed(column, view, relation)))
      return lookedInto(
        column,
        "is the key of a table with a default partition, whose values the bounds of a new partition would be held against",
      );
    const narrowed = retyped.some(({ column: of, to }) => of === name && !takesAll(to, type, view));
    if (narrowed && subjects.some((subject) => isNamed(column, view, subject)))
      return lookedInto(
        column,
        "may only be given a type that takes all its values, as text does: another conversion fails by them",
      );
    if (attributes.includes(name))
      return lookedInto(column, "an attribute of this name may belong to the type of its table");
    // The server itself refuses where values of the domain stand in arrays or rows.
    for (let at = type; at !== 0; at = catalog.type(at)?.base ?? 0)
      if (domains.has(at)) return lookedInto(column, "may not be tried by a check of its domain");
  }
  return null;
}

/** pg_type.oid of int2, int4, int8 and numeric, by the types without a precision that take all their values. */
const wider: ReadonlyMap<string, readonly number[]> = new Map([
  ["int8", [20, 21, 23]],
  ["numeric", [20, 21, 23, 1700]],
]);

/** PostgreSQL's own types that take every value of another one; text takes everything, written as one. */
function takesAll(to: QualifiedName | null, from: number, { catalog }: View): boolean {
  if (to === null) return false;
  const { schema, name } = to;
  const own =
    schema === "pg_catalog" ||
    (schema === null && catalog.typesNamed(name).every((type) => type.schema === "pg_catalog"));
  if (name === "text" || name === "varchar") return own;
  return own && (wider.get(name)?.includes(shownType(from, catalog)) ?? false);
}

/** Labels go by names, and reach children through their parents. */
function takesAway(
  { moved, subjects }: Definition,
  view: View,
  held: readonly ProtectedColumn[],
): Reason | null {
  if (moved === null) return null;
  const { what, names } = moved;
  const lost = held.find((column) => {
    const relation = view.catalog.relation(column.relation);
    const isSubject = subjects.some((subject) => isNamed(column, view, subject));
    const labelled = column.why.some((why) => why.startsWith("label "));
    switch (what) {
      case "parent":
        return isSubject;
      case "relation":
        return isSubject && labelled;
      // Tables that are of the type are not named.
      case "attribute":
        return names.includes(view.catalog.column(column.relation, column.attribute)?.name ?? "");
      case "column":
        // A view's column is what it reads, whatever it is called.
        return (
          isSubject &&
          (labelled || (relation?.kind !== "v" && relation?.kind !== "m")) &&
          names.includes(view.catalog.column(column.relation, column.attribute)?.name ?? "")
        );
      case "schema":
        return labelled && relation !== undefined && names.includes(relation.schema);
      default:
        return what satisfies never;
    }
  });
  if (lost === undefined) return null;
  return reason(
    "PROTECTED_WRITE",
    `${relationText(view.catalog, lost.relation)} holds the protected column ${lost.name}, whose label this would take away`,
    askOwner,
    lost.name,
  );
}
