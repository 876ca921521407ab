/**
 * What a statement touches, read from the server's own rewritten tree (MASKING.md sections 3.1 and 3.2): relations, columns,
 * functions, effects, and where each output column comes from.
 */
import {
  type CatalogSnapshot,
  columnText,
  functionText,
  isDecidedByColumns,
  type Relation,
  relationText,
} from "../catalog/index.ts";
import type {
  AnalysisProblem,
  Assignment,
  ColumnUse,
  Effect,
  OutputColumn,
  Touched,
  UnsafeFunction,
} from "../facts/effects.ts";
import { boolOf, intOf, readServerTree, type ServerNode, textOf } from "../sql/servertree/index.ts";
import { type Collected, collect, isSetConfig } from "./lineage/collect.ts";
import { type CatalogFacts, factsOf } from "./lineage/facts.ts";
import { sourcesOf } from "./lineage/flow.ts";
import { exprOf, NotUnderstood, type Scope } from "./lineage/scope.ts";
import { isSettingRow } from "./lineage/settingrow.ts";
import type { Tracer } from "./lineage/trace.ts";
import { shownType, typeOf } from "./lineage/types.ts";
import { findUses } from "./lineage/uses.ts";

/**
 * What the text that was analysed came out of. Its rows go to the client (`statement`, `declare`, `copy`, `prepare`), into a
 * new table (`create-table`), or nowhere (`explain`, `create-view`). `copy-in`: rows come from the client.
 */
export type WrapperKind =
  | "statement"
  | "explain"
  | "declare"
  | "create-table"
  | "copy"
  | "prepare"
  | "create-view"
  | "copy-in";

export interface TouchedOptions {
  readonly kind: WrapperKind;
  /**
   * Calls of set_config in the text whose names and values were read and found harmless. If they are all there are, they
   * bring nothing about. Default 0.
   */
  readonly settledSettings?: number;
}

/** acl.h: the privileges that reading and writing rows need. */
const aclInsert = 1;
const aclSelect = 2;
const aclUpdate = 4;
const aclDelete = 8;

/**
 * Reads the trees of one statement: each text holds the list of queries that it was rewritten into. Pure; never throws. What
 * is not understood stands in `problems`, and then nothing else may be relied on.
 */
export function readTouched(
  trees: readonly string[],
  catalog: CatalogSnapshot,
  options: TouchedOptions,
): Touched {
  try {
    const queries: ServerNode[] = [];
    for (const text of trees) {
      const tree = readServerTree(text);
      if (!tree.ok) return failed(problem("ANALYSIS_UNREADABLE", tree.reason, null));
      queries.push(...tree.queries);
    }
    if (trees.length === 0)
      return failed(problem("ANALYSIS_MISSING", "the server did not say what the statement touches", null));
    return readQueries(queries, catalog, options);
  } catch (error) {
    if (error instanceof NotUnderstood) return failed(notUnderstood(error.object));
    // A RangeError of the stack, or a defect of ours: either way it is not understood.
    return failed(problem("ANALYSIS_TOO_DEEP", "the statement is nested too deeply to be understood", null));
  }
}

function problem(code: string, message: string, object: string | null): AnalysisProblem {
  return { code, message, object };
}

function notUnderstood(object: string): AnalysisProblem {
  return problem(
    "ANALYSIS_NOT_UNDERSTOOD",
    `the server's reading of the statement holds something that the gateway does not understand: ${object}`,
    object,
  );
}

function failed(...problems: readonly AnalysisProblem[]): Touched {
  return {
    reads: [],
    writes: [],
    columns: [],
    functions: [],
    effects: ["execute"],
    uses: [],
    outputs: null,
    assignments: [],
    inspected: [],
    unsafe: [],
    parameterTypes: [],
    problems,
  };
}

function readQueries(
  queries: readonly ServerNode[],
  catalog: CatalogSnapshot,
  options: TouchedOptions,
): Touched {
  const collected = collect(queries, catalog);
  if (collected.surprises.size > 0)
    return failed(...[...collected.surprises].sort().slice(0, 5).map(notUnderstood));
  const stale = staleIn(collected, catalog);
  if (stale.length > 0) return failed(...stale);
  let byValue = false;
  const facts: CatalogFacts = {
    ...factsOf(catalog),
    byValue: () => {
      byValue = true;
    },
  };
  const catalogs = [...collected.relations.keys()].some((oid) => catalog.relation(oid)?.system === true);
  const found = findUses(queries, facts, options.kind === "create-table", catalogs);
  const rows =
    options.kind !== "explain" && options.kind !== "create-table" && options.kind !== "create-view";
  const tops = found.scopes.filter((scope) => boolOf(scope.query, "canSetTag"));
  const [top] = tops;
  if (tops.length > 1) return failed(notUnderstood("several queries that answer the client"));
  const outputs = rows && top !== undefined ? readOutputs(top, found.tracer, catalog) : null;

  const reads = new Set<number>(collected.scanned);
  const writes = new Set<number>(collected.targets);
  let locks = collected.locks;
  for (const { relation, required, updated } of collected.permissions) {
    if ((required & aclSelect) !== 0) reads.add(relation);
    if ((required & (aclInsert | aclDelete)) !== 0) writes.add(relation);
    // SELECT … FOR UPDATE asks for the privilege, but names no column.
    if ((required & aclUpdate) === 0) continue;
    if (updated.length > 0) writes.add(relation);
    else if (!writes.has(relation)) locks = true;
  }
  for (const relation of collected.targets)
    if (!collected.permissions.some((p) => p.relation === relation && (p.required & aclSelect) !== 0))
      reads.delete(relation);

  const settled = collected.settingCalls === (options.settledSettings ?? 0);
  const copied = options.kind === "copy-in" ? copiedTypes(collected, catalog) : [];
  const unsafe = unsafeIn(collected, outputs, copied, catalog).filter(
    ({ oid }) => !(settled && isSetConfig(catalog, oid)),
  );
  const effects = new Set<Effect>(unsafe.map((entry) => entry.effect));
  if (reads.size > 0 || outputs !== null || top === undefined || top.command === "select")
    effects.add("read");
  if (writes.size > 0 || collected.sequences) effects.add("write");
  if (top !== undefined && top.command !== "select" && reads.size === 0 && outputs === null)
    effects.delete("read");
  if (locks) effects.add("lock");
  for (const oid of collected.viewFunctions) {
    const func = catalog.func(oid);
    if (func === undefined || func.verdict.safe || isDecidedByColumns(catalog, func)) continue;
    effects.add(func.verdict.effect);
  }
  for (const oid of [...reads, ...writes]) if (reachesForeign(oid, catalog)) effects.add("network");
  // What lies below a view of PostgreSQL's own is decided with the view.
  for (const oid of collected.reached) {
    const verdict = catalog.relation(oid)?.verdict;
    if (verdict?.safe === false) effects.add(verdict.effect);
  }
  for (const use of found.uses) {
    const verdict = catalog.columnVerdict(use.relation, use.attribute);
    if (!verdict.safe) effects.add(verdict.effect);
  }
  return {
    reads: relationTexts(reads, catalog),
    writes: relationTexts(writes, catalog),
    columns: columnTexts(found.uses, found.assignments, collected, catalog),
    functions: [...new Set([...collected.functions].map((oid) => functionText(catalog, oid)))].sort(),
    effects: [...effects].sort(),
    uses: found.uses,
    outputs,
    assignments: found.assignments,
    comparisons: found.comparisons,
    inspected: found.inspected,
    unsafe,
    parameterTypes: collected.parameterTypes,
    valueTypes: [...collected.valueTypes],
    ...(byValue ? { byValue } : {}),
    ...(found.beside.length === 0 ? {} : { beside: found.beside }),
    ...(queries.some(isUncounted) ? { uncounted: true as const } : {}),
    ...(queries.length === 1 &&
    collected.settingCalls === 1 &&
    top !== undefined &&
    isSettingRow(top, catalog)
      ? { settingRow: true as const }
      : {}),
    problems: [],
  };
}

/**
 * Whether a query changes rows that the statement's command tag leaves out: one that a rule adds, or puts in its place with another
 * command (PostgreSQL manual, "Rules and Command Status"), or one in a WITH.
 */
function isUncounted(query: ServerNode): boolean {
  const changes = intOf(query, "resultRelation") > 0;
  return (changes && !boolOf(query, "canSetTag")) || boolOf(query, "hasModifyingCTE");
}

/** Objects that the server knows and the snapshot does not, or knows as something else: it is out of date. */
function staleIn(collected: Collected, catalog: CatalogSnapshot): AnalysisProblem[] {
  const missing: string[] = [];
  for (const [oid, kind] of collected.relations)
    if (catalog.relation(oid)?.kind !== kind) missing.push(`relation ${oid}`);
  for (const oid of [...collected.functions, ...collected.viewFunctions, ...collected.hidden])
    if (catalog.func(oid) === undefined) missing.push(`function ${oid}`);
  for (const oid of collected.operators)
    if (catalog.operator(oid) === undefined) missing.push(`operator ${oid}`);
  for (const oid of collected.types) if (catalog.type(oid) === undefined) missing.push(`type ${oid}`);
  return missing
    .slice(0, 5)
    .map((object) =>
      problem(
        "CATALOG_STALE",
        "the statement uses something that the catalog snapshot does not hold",
        object,
      ),
    );
}

function readOutputs(top: Scope, tracer: Tracer, catalog: CatalogSnapshot): OutputColumn[] | null {
  const entries = top.outputs;
  if (entries.length === 0 && top.command !== "select") return null;
  return entries.map((entry) => {
    const flow = tracer.output(top, intOf(entry, "resno", -1));
    const sources = sourcesOf(flow);
    return {
      name: textOf(entry, "resname"),
      type: shownType(typeOf(exprOf(entry), catalog), catalog),
      origin: { relation: intOf(entry, "resorigtbl"), attribute: intOf(entry, "resorigcol") },
      sources,
      plain:
        flow.pure &&
        sources.length > 0 &&
        [...flow.keys.values()].every(Boolean) &&
        sources.every((source) => source.attribute !== 0),
    };
  });
}

/** Everything that would run code which is not on the allow-list. */
function unsafeIn(
  collected: Collected,
  outputs: readonly OutputColumn[] | null,
  copied: readonly number[],
  catalog: CatalogSnapshot,
): UnsafeFunction[] {
  const found = new Map<number, UnsafeFunction>();
  const called = new Set([...collected.functions, ...collected.hidden]);
  for (const oid of collected.operators) {
    const operator = catalog.operator(oid);
    if (operator !== undefined && operator.func !== 0) called.add(operator.func);
  }
  for (const oid of called) {
    const func = catalog.func(oid);
    const verdict = func?.verdict ?? unknown;
    if (verdict.safe) continue;
    found.set(oid, { oid, name: functionText(catalog, oid), effect: verdict.effect, reason: verdict.reason });
  }
  const types = [...collected.types, ...(outputs ?? []).map(({ type }) => type), ...copied];
  for (const one of unsafeTypes(types, catalog)) if (!found.has(one.oid)) found.set(one.oid, one);
  return [...found.values()].sort((a, b) => a.oid - b.oid);
}

/** Types of the columns that COPY … FROM reads: those that it names, or all. */
function copiedTypes({ permissions }: Collected, catalog: CatalogSnapshot): number[] {
  return permissions
    .filter(({ required }) => (required & aclInsert) !== 0)
    .flatMap(({ relation, inserted }) =>
      (catalog.relation(relation)?.columns ?? [])
        .filter(({ attnum }) => inserted.length === 0 || inserted.includes(attnum))
        .map(({ type }) => type),
    );
}

/** What reading or writing values of types would run that is not on the allow-list. Types that the snapshot lacks: none. */
export function unsafeTypes(types: Iterable<number>, catalog: CatalogSnapshot): UnsafeFunction[] {
  const found = new Map<number, UnsafeFunction>();
  for (const oid of types) {
    const type = catalog.type(oid);
    if (type === undefined || type.verdict.safe) continue;
    const { effect, reason } = type.verdict;
    const func = type.output === 0 ? type.input : type.output;
    if (!found.has(func)) found.set(func, { oid: func, name: functionText(catalog, func), effect, reason });
  }
  return [...found.values()];
}

const unknown = { safe: false, effect: "execute", reason: "is not in the catalog snapshot" } as const;

/** A foreign table, or a parent of one, is read from another server. */
function reachesForeign(oid: number, catalog: CatalogSnapshot): boolean {
  const seen = new Set<number>([oid]);
  const open = [oid];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const relation: Relation | undefined = catalog.relation(next);
    if (relation?.kind === "f") return true;
    for (const child of relation?.children ?? [])
      if (!seen.has(child)) {
        seen.add(child);
        open.push(child);
      }
  }
  return false;
}

function relationTexts(oids: ReadonlySet<number>, catalog: CatalogSnapshot): string[] {
  return [...oids].map((oid) => relationText(catalog, oid)).sort();
}

function columnTexts(
  uses: readonly ColumnUse[],
  assignments: readonly Assignment[],
  collected: Collected,
  catalog: CatalogSnapshot,
): string[] {
  const names = new Set<string>();
  const add = (relation: number, attribute: number): void => {
    if (attribute > 0) names.add(columnText(catalog, relation, attribute));
    else if (attribute === 0)
      for (const column of catalog.relation(relation)?.columns ?? [])
        names.add(columnText(catalog, relation, column.attnum));
  };
  for (const use of uses) add(use.relation, use.attribute);
  for (const { target } of assignments) if (target !== null) add(target.relation, target.attribute);
  for (const { relation, inserted, updated } of collected.permissions)
    for (const attribute of [...inserted, ...updated]) add(relation, attribute);
  return [...names].sort();
}
