/**
 * Static analysis for servers that print no query trees (MASKING.md section 3.3): a closed subset of SELECT, held against what
 * the server's Describe says of the same statement. Everything else comes back with a problem, and is denied wherever a policy
 * asks for analysis.
 */

import type { CatalogSnapshot } from "../../catalog/index.ts";
import { columnText, relationText } from "../../catalog/index.ts";
import type { Attribute, ColumnUse, OutputColumn, Position, Touched } from "../../facts/effects.ts";
import type { FieldDescription } from "../../protocol/index.ts";
import type { JsonObject } from "../../sql/tree.ts";
import { nodeOf, stringAt } from "../../sql/tree.ts";
import { ExpressionReader } from "./expression.ts";
import { dotted, integer, list, node, OutsideSubset, only, outside } from "./node.ts";
import { type FoundColumn, readFrom, TableScope } from "./scope.ts";

export interface FallbackOptions {
  /** The schemas of the session's search_path in order, pg_catalog where it is searched (current_schemas(true)). */
  readonly searchPath: readonly string[];
  /** The session has, or may have, temporary objects: they hide tables. */
  readonly temporaryObjects: boolean;
  /** What Parse and Describe of the very statement gave under the same search_path (AskResult). */
  readonly described: {
    readonly parameterTypes: readonly number[];
    readonly columns: readonly FieldDescription[] | null;
  };
}

/** Stable code of every problem that comes from here. */
export const fallbackCode = "NOT_ANALYSED";

const nothing: Touched = {
  reads: [],
  writes: [],
  columns: [],
  functions: [],
  effects: [],
  uses: [],
  outputs: null,
  assignments: [],
  inspected: [],
  unsafe: [],
  parameterTypes: [],
  problems: [],
};

/**
 * Reads one statement's node as libpg-query gives it. Never throws: what it does not follow is a problem of the result.
 * Positions are as strict as can be: what is not a bare output, put together from outputs, or a plain equality, is a predicate.
 */
export function readStatic(statement: unknown, snapshot: CatalogSnapshot, options: FallbackOptions): Touched {
  try {
    return new SelectReader(snapshot, options).read(statement);
  } catch (error) {
    if (!(error instanceof OutsideSubset)) throw error;
    return {
      ...nothing,
      parameterTypes: options.described.parameterTypes,
      problems: [
        {
          code: fallbackCode,
          message: `this server prints no query trees, and the static analysis does not follow ${error.message}`,
          object: error.object,
        },
      ],
    };
  }
}

interface Output {
  readonly name: string | null;
  readonly columns: readonly FoundColumn[];
  /** The bare column. */
  readonly plain: boolean;
  /** Nothing but values put together. */
  readonly joined: boolean;
}

const selectMembers = [
  "distinctClause",
  "targetList",
  "fromClause",
  "whereClause",
  "groupClause",
  "havingClause",
  "sortClause",
  "limitOffset",
  "limitCount",
  "limitOption",
  "op",
];

class SelectReader {
  readonly #snapshot: CatalogSnapshot;
  readonly #options: FallbackOptions;
  readonly #scope: TableScope;
  readonly #expressions: ExpressionReader;
  readonly #uses = new Map<string, ColumnUse>();

  constructor(snapshot: CatalogSnapshot, options: FallbackOptions) {
    this.#snapshot = snapshot;
    this.#options = options;
    this.#scope = new TableScope(snapshot, options.searchPath);
    this.#expressions = new ExpressionReader(snapshot, this.#scope);
  }

  read(statement: unknown): Touched {
    const { name, node: select } = nodeOf(statement) ?? outside("this statement");
    if (name !== "SelectStmt") outside("anything but SELECT");
    only(select, "a SELECT", selectMembers);
    if (stringAt(select, "op") !== "SETOP_NONE") outside("UNION, INTERSECT and EXCEPT");
    if (this.#options.temporaryObjects) outside("sessions with temporary objects");
    const limit = stringAt(select, "limitOption");
    if (limit !== "LIMIT_OPTION_DEFAULT" && limit !== "LIMIT_OPTION_COUNT") outside("WITH TIES");

    const conditions = list(select, "fromClause").flatMap((item) => readFrom(item, this.#scope));
    for (const condition of conditions) this.#predicate(condition);
    if (select.whereClause !== undefined) this.#where(select.whereClause);
    if (select.havingClause !== undefined) this.#predicate(select.havingClause);
    for (const part of [select.limitOffset, select.limitCount]) {
      if (part !== undefined && !["A_Const", "ParamRef"].includes(node(part).name))
        outside("a LIMIT that is computed");
    }
    const outputs = list(select, "targetList").flatMap((target) => this.#target(target));
    this.#compared(select, outputs);
    for (const output of outputs) {
      const position: Position = output.plain ? "output" : output.joined ? "derived" : "predicate";
      for (const column of output.columns) this.#use(column, position);
    }
    return this.#result(this.#checked(outputs));
  }

  #use({ entry, column }: FoundColumn, position: Position): void {
    const use = { relation: entry.relation.oid, attribute: column.attnum, position };
    this.#uses.set(`${use.relation}.${use.attribute}.${position}`, use);
  }

  #predicate(expression: unknown): void {
    for (const column of this.#expressions.read(expression).columns) this.#use(column, "predicate");
  }

  /** A conjunction's plain equalities are told apart from all other conditions. */
  #where(condition: unknown): void {
    const work: unknown[] = [condition];
    for (let next = work.pop(); next !== undefined; next = work.pop()) {
      const { name, node: inner } = node(next);
      if (name === "BoolExpr" && stringAt(inner, "boolop") === "AND_EXPR") {
        only(inner, "a condition", ["boolop", "args"]);
        work.push(...list(inner, "args"));
        continue;
      }
      const equality = name === "A_Expr" ? plainEquality(inner) : null;
      const position = equality === null ? "predicate" : "equality";
      for (const column of this.#expressions.read(next).columns) this.#use(column, position);
    }
  }

  #target(target: unknown): Output[] {
    const { name, node: inner } = node(target);
    if (name !== "ResTarget") outside("such an output");
    only(inner, "an output", ["name", "val"]);
    const value = node(inner.val);
    if (value.name === "ColumnRef") {
      const fields = list(value.node, "fields");
      if (nodeOf(fields.at(-1))?.name === "A_Star") return this.#star(fields.slice(0, -1));
    }
    const { columns, plain } = this.#expressions.read(inner.val);
    const named = stringAt(inner, "name");
    const bare = value.name === "ColumnRef";
    return [
      {
        name: named !== "" ? named : bare ? (columns[0]?.column.name ?? null) : null,
        columns,
        plain: bare,
        joined: plain,
      },
    ];
  }

  #star(qualification: readonly unknown[]): Output[] {
    const entries = this.#scope.table(dotted(qualification, "such a star"));
    return entries.flatMap((entry) =>
      this.#scope.all(entry).map((found) => ({
        name: found.column.name,
        columns: [found],
        plain: true,
        joined: true,
      })),
    );
  }

  /** DISTINCT, GROUP BY and ORDER BY compare their values, and those of outputs that they name by name or number. */
  #compared(select: JsonObject, outputs: readonly Output[]): void {
    const distinct = list(select, "distinctClause");
    // Plain DISTINCT is a list of one null node.
    const all = distinct.some((item) => nodeOf(item) === null);
    if (all)
      for (const output of outputs) for (const column of output.columns) this.#use(column, "predicate");
    const sorted = list(select, "sortClause").map((item) => {
      const { name, node: inner } = node(item);
      if (name !== "SortBy") outside("such an ORDER BY");
      only(inner, "ORDER BY", ["node", "sortby_dir", "sortby_nulls"]);
      if (stringAt(inner, "sortby_dir") === "SORTBY_USING") outside("ORDER BY USING");
      return inner.node;
    });
    for (const item of [...(all ? [] : distinct), ...list(select, "groupClause"), ...sorted]) {
      const named = this.#namedOutputs(item, outputs);
      for (const output of named) for (const column of output.columns) this.#use(column, "predicate");
      // A name may mean an output as well as a column: then both count.
      if (named.length === 0 || node(item).name === "ColumnRef")
        this.#predicateIfColumn(item, named.length > 0);
    }
  }

  #namedOutputs(item: unknown, outputs: readonly Output[]): readonly Output[] {
    const { name, node: inner } = node(item);
    if (name === "A_Const") {
      const number = integer(inner);
      const output = number === null ? undefined : outputs[number - 1];
      return output === undefined ? outside("such a place in GROUP BY or ORDER BY") : [output];
    }
    if (name !== "ColumnRef") return [];
    const parts = dotted(list(inner, "fields"), "a star in GROUP BY or ORDER BY");
    return parts.length === 1 ? outputs.filter((output) => output.name === parts[0]) : [];
  }

  #predicateIfColumn(item: unknown, known: boolean): void {
    try {
      this.#predicate(item);
    } catch (error) {
      if (!known || !(error instanceof OutsideSubset)) throw error;
    }
  }

  /** The server's own description must agree: names, origins, number. */
  #checked(outputs: readonly Output[]): OutputColumn[] {
    const described = this.#options.described.columns;
    if (described === null || described.length !== outputs.length)
      outside("a result that the server describes otherwise");
    return outputs.map((output, i) => {
      const field = described[i];
      const [only] = output.columns;
      const origin: Attribute =
        output.plain && only !== undefined ? attribute(only) : { relation: 0, attribute: 0 };
      if (
        field === undefined ||
        field.table !== origin.relation ||
        field.column !== origin.attribute ||
        (output.name !== null && !sameName(output.name, field.name)) ||
        (output.plain && only !== undefined && !sameType(only.column.type, field.typeOid, this.#snapshot))
      )
        outside("a result that the server describes otherwise");
      return {
        name: field.name,
        type: field.typeOid,
        origin,
        sources: unique(output.columns),
        plain: output.plain,
      };
    });
  }

  #result(outputs: readonly OutputColumn[]): Touched {
    const uses = [...this.#uses.values()];
    const reads = this.#scope.entries.map((entry) => relationText(this.#snapshot, entry.relation.oid));
    return {
      ...nothing,
      reads: sorted(reads),
      columns: sorted(uses.map((use) => columnText(this.#snapshot, use.relation, use.attribute))),
      functions: sorted([...this.#expressions.functions]),
      effects: reads.length === 0 ? [] : ["read"],
      uses,
      // What compares them is not told apart here.
      inspected: uses.flatMap(({ relation, attribute, position }) =>
        position === "predicate" && this.#snapshot.relation(relation)?.system === true
          ? [{ relation, attribute, by: "a condition", parameter: null }]
          : [],
      ),
      outputs,
      parameterTypes: this.#options.described.parameterTypes,
    };
  }
}

/** `column = constant` or `column IN (constants)`, either way round; null: anything else. */
function plainEquality(expression: JsonObject): true | null {
  const kind = stringAt(expression, "kind");
  if (kind !== "AEXPR_OP" && kind !== "AEXPR_IN") return null;
  const name = list(expression, "name");
  if (name.length !== 1 || dotted(name, "such an operator")[0] !== "=") return null;
  const sides = [expression.lexpr, expression.rexpr].map((side) => nodeOf(side));
  const columns = sides.filter((side) => side?.name === "ColumnRef").length;
  return columns === 1 && sides.every((side) => side?.name === "ColumnRef" || isGiven(side)) ? true : null;
}

function isGiven(side: ReturnType<typeof nodeOf>): boolean {
  switch (side?.name) {
    case "A_Const":
    case "ParamRef":
      return true;
    case "List":
      return list(side.node, "items").every((item) =>
        ["A_Const", "ParamRef"].includes(nodeOf(item)?.name ?? ""),
      );
    default:
      return false;
  }
}

function attribute({ entry, column }: FoundColumn): Attribute {
  return { relation: entry.relation.oid, attribute: column.attnum };
}

function unique(columns: readonly FoundColumn[]): Attribute[] {
  return [
    ...new Map(columns.map((c) => [`${c.entry.relation.oid}.${c.column.attnum}`, attribute(c)])).values(),
  ];
}

/** Names are cut at 63 bytes by the server. */
function sameName(name: string, described: string): boolean {
  return name === described || Buffer.byteLength(name) > 63;
}

/** RowDescription names the type under a domain. */
function sameType(type: number, described: number, snapshot: CatalogSnapshot): boolean {
  let at = type;
  for (let depth = 0; depth < 32; depth++) {
    if (at === described) return true;
    const facts = snapshot.type(at);
    if (facts?.kind !== "d") return false;
    at = facts.base;
  }
  return false;
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
