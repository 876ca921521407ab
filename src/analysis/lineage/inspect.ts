/**
 * Where a statement looks into names that the system's relations hold: by patterns and ranges, by their order, or through anything
 * that makes of a text what is none (its length, a truth, a number). Names that are hidden could be found out so, piece by piece.
 */
import type { Inspection } from "../../facts/effects.ts";
import { intOf, nodeOf, nodesOf, type ServerNode } from "../../sql/servertree/index.ts";
import type { CatalogFacts } from "./facts.ts";
import { attributeOf, type Flow } from "./flow.ts";
import { childrenOf, tagOf } from "./nodes.ts";
import { exprOf, type Scope, type Scopes } from "./scope.ts";
import { createTracer, type Tracer } from "./trace.ts";
import { typeOf } from "./types.ts";

/** pg_type's oid of name. */
const nameType = 19;
/** Types of which a text can come out again as it went in: json, xml, jsonb, record. */
const carriers: ReadonlySet<number> = new Set([114, 142, 3802, 2249]);
/** "char", bytea and their arrays hold a part of a text, or its bytes. */
const parts: ReadonlySet<number> = new Set([17, 18, 1001, 1002]);

/** They compare whole names, take lists of them, or look up what is named. */
const whole =
  /^(?:has_\w+_privilege|array_(?:length|ndims|upper|lower|dims|position|positions)|cardinality|count|bool_and|bool_or|every|to_reg\w+|regclass|(?:name|text|array_?|nametext|textname)(?:eq|ne)|col_description|num_nulls|num_nonnulls)$/;

export interface Inspector {
  /** Looks at one expression, not at what is in it. */
  expression(expr: ServerNode, scope: Scope): void;
  /** Looks at what a query orders by. */
  query(scope: Scope): void;
  found(): readonly Inspection[];
}

/** Finds where a statement looks into names of the catalogs, expression by expression. Throws NotUnderstood as the tracer does. */
export function createInspector(tracer: Tracer, scopes: Scopes, facts: CatalogFacts): Inspector {
  const { catalog } = facts;
  const found = new Map<string, Inspection>();
  /** As `tracer`, but a name that is cast to text or to a domain is the name: it sorts as it did. */
  const names = createTracer(scopes, { onOutput() {}, same: recast });

  /** What text(name) and a cast to a domain are given. */
  function recast(expr: ServerNode): ServerNode | null {
    if (tagOf(expr) === "COERCETODOMAIN") return nodeOf(expr, "arg");
    if (tagOf(expr) !== "FUNCEXPR") return null;
    const func = catalog.func(intOf(expr, "funcid"));
    const [arg, ...others] = nodesOf(expr, "args");
    if (func?.system !== true || func.name !== "text" || arg === undefined || others.length > 0) return null;
    return typeOf(arg, catalog) === nameType ? arg : null;
  }

  /** One column's own values, and nothing else: views between do not count. */
  function alone({ keys, pure }: Flow): boolean {
    if (keys.size === 0) return true;
    const columns = [...keys.keys()].filter(
      (key) => catalog.relation(attributeOf(key).relation)?.kind !== "v",
    );
    return pure && columns.length <= 1 && [...keys.values()].every(Boolean);
  }

  function note(flow: Flow, by: string, parameter: number | null = null): void {
    for (const key of flow.keys.keys()) {
      const at = attributeOf(key);
      if (catalog.relation(at.relation)?.system !== true) continue;
      found.set(`${key} ${by} ${parameter}`, { ...at, by, parameter });
    }
  }

  /** Values of the type may hold a name as it is. */
  function carries(type: number): boolean {
    if (parts.has(type)) return false;
    if (carriers.has(type)) return true;
    const category = catalog.type(type)?.category;
    return (
      category === undefined || category === "S" || category === "A" || category === "C" || category === "X"
    );
  }

  function texts(
    args: readonly ServerNode[],
    scope: Scope,
    by: string,
    parameter: number | null = null,
  ): void {
    for (const arg of args) if (carries(typeOf(arg, catalog))) note(tracer.flow(arg, scope), by, parameter);
  }

  function operator(expr: ServerNode, scope: Scope): void {
    const facts = catalog.operator(intOf(expr, "opno"));
    const args = nodesOf(expr, "args");
    if (facts?.system === true && (facts.name === "=" || facts.name === "<>")) return;
    const list = tagOf(expr) === "SCALARARRAYOPEXPR";
    if (!list && carries(typeOf(expr, catalog))) return;
    const by = facts === undefined ? "?" : `operator ${facts.name}`;
    const like = !list && facts?.system === true && (facts.name === "~~" || facts.name === "!~~");
    const pattern = like ? patternOf(args[1]) : "unknown";
    if (pattern === "harmless") return;
    texts(args, scope, by, typeof pattern === "number" ? pattern : null);
  }

  function call(expr: ServerNode, scope: Scope): void {
    const func = catalog.func(intOf(expr, "funcid"));
    if (func?.system === true && whole.test(func.name)) return;
    if (!carries(typeOf(expr, catalog))) texts(nodesOf(expr, "args"), scope, func?.name ?? "?");
  }

  /** min() and max(), and what an aggregate orders by. */
  function aggregate(expr: ServerNode, scope: Scope): void {
    const name = catalog.func(intOf(expr, "aggfnoid"))?.name ?? "?";
    const all = nodesOf(expr, "args").map((entry) => ({
      expr: exprOf(entry),
      reference: intOf(entry, "ressortgroupref"),
    }));
    if (name === "min" || name === "max")
      texts(
        all.map((entry) => entry.expr),
        scope,
        name,
      );
    const ordered = new Set(nodesOf(expr, "aggorder").map((clause) => intOf(clause, "tleSortGroupRef")));
    for (const entry of all)
      if (ordered.has(entry.reference)) note(tracer.flow(entry.expr, scope), "ORDER BY in an aggregate");
  }

  return {
    expression(expr, scope) {
      const tag = tagOf(expr);
      switch (tag) {
        case "OPEXPR":
        case "SCALARARRAYOPEXPR":
          operator(expr, scope);
          break;
        case "FUNCEXPR":
          call(expr, scope);
          break;
        case "AGGREF":
          aggregate(expr, scope);
          break;
        case "MINMAXEXPR":
          texts(nodesOf(expr, "args"), scope, "greatest and least");
          break;
        case "ROWCOMPAREEXPR":
          texts([...nodesOf(expr, "largs"), ...nodesOf(expr, "rargs")], scope, "a comparison of rows");
          break;
        case "COERCEVIAIO":
        case "SUBSCRIPTINGREF":
        case "ARRAYCOERCEEXPR":
          if (!carries(typeOf(expr, catalog))) texts(childrenOf(expr), scope, "a cast");
          break;
      }
    },
    query(scope) {
      const references = (field: string, from: ServerNode) =>
        nodesOf(from, field).map((clause) => intOf(clause, "tleSortGroupRef"));
      const windows = new Set(
        nodesOf(scope.query, "windowClause").flatMap((window) => references("orderClause", window)),
      );
      const sorted = new Set(references("sortClause", scope.query));
      for (const entry of nodesOf(scope.query, "targetList")) {
        const reference = intOf(entry, "ressortgroupref");
        if (!windows.has(reference) && !sorted.has(reference)) continue;
        if (!carries(typeOf(exprOf(entry), catalog))) continue;
        const flow =
          nodeOf(scope.query, "setOperations") === null
            ? names.flow(exprOf(entry), scope)
            : names.output(scope, intOf(entry, "resno", -1));
        if (windows.has(reference)) note(flow, "ORDER BY in a window");
        // Among themselves names may be sorted; beside other texts their order tells what they are.
        else if (!alone(flow)) note(flow, "ORDER BY among other values");
      }
    },
    found: () => [...found.values()],
  };
}

/** LIKE with a pattern that takes everything, or one name: "harmless"; the number of the parameter that holds the pattern; else "unknown". */
function patternOf(node: ServerNode | undefined): "harmless" | "unknown" | number {
  let at = node;
  while (at !== undefined && tagOf(at) === "RELABELTYPE") {
    at = nodeOf(at, "arg") ?? undefined;
  }
  if (at === undefined) return "unknown";
  if (tagOf(at) === "PARAM" && intOf(at, "paramkind", -1) === 0) return intOf(at, "paramid", -1);
  if (tagOf(at) !== "CONST") return "unknown";
  const value = at.kept("constvalue");
  if (typeof value !== "object" || value === null || value.kind !== "datum") return "unknown";
  const bytes = value.text.trim().split(/\s+/).map(Number);
  // A text: four bytes of header, then its own.
  if (intOf(at, "consttype") !== 25 || bytes.length !== value.length || bytes.length < 4) return "unknown";
  return isWholePattern(Buffer.from(bytes.slice(4).map((byte) => byte & 0xff)).toString("latin1"))
    ? "harmless"
    : "unknown";
}

/** A LIKE pattern that matches everything, or one text only. */
export function isWholePattern(pattern: string): boolean {
  return /^%+$/.test(pattern) || /^(?:[^%_\\]|\\[\s\S])*$/.test(pattern);
}
