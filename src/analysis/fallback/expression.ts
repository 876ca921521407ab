/**
 * Expressions of the static fallback: columns, constants, parameters, and what the server's own immutable functions and
 * operators make of them. Types are not worked out: a name counts only when everything that bears it is harmless.
 */
import type { CatalogSnapshot } from "../../catalog/index.ts";
import { qualified } from "../../catalog/index.ts";
import type { JsonObject } from "../../sql/tree.ts";
import { objectAt, stringAt } from "../../sql/tree.ts";
import { dotted, list, node, only, outside } from "./node.ts";
import type { FoundColumn, TableScope } from "./scope.ts";

/** What is found in an expression. */
export interface Found {
  readonly columns: FoundColumn[];
  /** It does nothing with its columns but put their values together: `||` and COALESCE. */
  plain: boolean;
}

/** Reads expressions, and notes the functions they call. */
export class ExpressionReader {
  readonly functions = new Set<string>();
  readonly #snapshot: CatalogSnapshot;
  readonly #scope: TableScope;

  constructor(snapshot: CatalogSnapshot, scope: TableScope) {
    this.#snapshot = snapshot;
    this.#scope = scope;
  }

  /** All columns in an expression. Throws OutsideSubset for whatever is not in the closed list. */
  read(expression: unknown): Found {
    const found: Found = { columns: [], plain: true };
    const work: unknown[] = [expression];
    for (let next = work.pop(); next !== undefined; next = work.pop()) {
      const { name, node: inner } = node(next);
      work.push(...this.#parts(name, inner, found));
    }
    return found;
  }

  /** The parts of one node that are to be read. */
  #parts(name: string, inner: JsonObject, found: Found): readonly unknown[] {
    switch (name) {
      case "ColumnRef":
        only(inner, "a column", ["fields"]);
        found.columns.push(this.#scope.column(dotted(list(inner, "fields"), "a star among values")));
        return [];
      case "A_Const":
      case "ParamRef":
        return [];
      case "SQLValueFunction":
        return [];
      case "A_Expr":
        return this.#operator(inner, found);
      case "BoolExpr":
        only(inner, "a condition", ["boolop", "args"]);
        found.plain = false;
        return list(inner, "args");
      case "NullTest":
        only(inner, "IS NULL", ["arg", "nulltesttype"]);
        found.plain = false;
        return [inner.arg];
      case "BooleanTest":
        only(inner, "IS TRUE", ["arg", "booltesttype"]);
        found.plain = false;
        return [inner.arg];
      case "CoalesceExpr":
        only(inner, "COALESCE", ["args"]);
        return list(inner, "args");
      case "CaseExpr":
        only(inner, "CASE", ["arg", "args", "defresult"]);
        found.plain = false;
        if (inner.arg !== undefined) this.#checkOperator("=");
        return [inner.arg, ...list(inner, "args"), inner.defresult].filter((part) => part !== undefined);
      case "CaseWhen":
        only(inner, "WHEN", ["expr", "result"]);
        return [inner.expr, inner.result];
      case "TypeCast":
        found.plain = false;
        this.#checkType(inner);
        return [inner.arg];
      case "List":
        only(inner, "a list", ["items"]);
        return list(inner, "items");
      case "A_ArrayExpr":
        only(inner, "ARRAY", ["elements", "list_start", "list_end"]);
        found.plain = false;
        return list(inner, "elements");
      case "FuncCall":
        found.plain = false;
        return this.#call(inner);
      default:
        return outside(name);
    }
  }

  #operator(inner: JsonObject, found: Found): readonly unknown[] {
    only(inner, "an operator", ["kind", "name", "lexpr", "rexpr", "rexpr_list_start", "rexpr_list_end"]);
    const names = dotted(list(inner, "name"), "such an operator");
    const name = names.at(-1) ?? "";
    const kind = stringAt(inner, "kind");
    if (names.length > 1 && names[0] !== "pg_catalog") outside("operators of a schema");
    switch (kind) {
      case "AEXPR_BETWEEN":
      case "AEXPR_NOT_BETWEEN":
        for (const one of ["<", "<=", ">", ">="]) this.#checkOperator(one);
        break;
      case "AEXPR_OP":
      case "AEXPR_OP_ANY":
      case "AEXPR_OP_ALL":
      case "AEXPR_DISTINCT":
      case "AEXPR_NOT_DISTINCT":
      case "AEXPR_NULLIF":
      case "AEXPR_IN":
      case "AEXPR_LIKE":
      case "AEXPR_ILIKE":
        this.#checkOperator(name);
        break;
      default:
        outside(`the operator ${name} in this form`);
    }
    if (kind !== "AEXPR_OP" || name !== "||") found.plain = false;
    return [inner.lexpr, inner.rexpr].filter((part) => part !== undefined);
  }

  #checkOperator(name: string): void {
    const all = this.#snapshot.operatorsNamed(name);
    if (all.length === 0) outside(`the operator ${name}, which the catalog does not hold`);
    for (const operator of all) {
      const func = this.#snapshot.func(operator.func);
      if (!operator.verdict.safe || func === undefined || func.volatility === "v")
        outside(`the operator ${name}, which is not known to be harmless`, qualified(operator.schema, name));
    }
  }

  #checkType(inner: JsonObject): void {
    only(inner, "a cast", ["arg", "typeName"]);
    const type = objectAt(inner, "typeName") ?? outside("such a cast");
    only(type, "a type", ["names", "typemod", "typmods", "arrayBounds"]);
    const names = dotted(list(type, "names"), "such a type");
    const name = names.at(-1) ?? "";
    if (names.length > 1 && names[0] !== "pg_catalog") outside("types of a schema", names.join("."));
    const all = this.#snapshot.typesNamed(name);
    // Names that hide object names in a string: what they stand for would have to be looked up.
    if (/^reg[a-z]+$/.test(name)) outside(`casts to ${name}`);
    if (all.length === 0 || !all.every((one) => one.system && one.verdict.safe))
      outside(`the type ${name}, which is not only the server's own`);
  }

  #call(inner: JsonObject): readonly unknown[] {
    only(inner, "a function call", ["funcname", "args", "agg_star", "funcformat"]);
    const names = dotted(list(inner, "funcname"), "such a function");
    const name = names.at(-1) ?? "";
    if (names.length > 1 && (names.length > 2 || names[0] !== "pg_catalog"))
      outside("functions of a schema", names.join("."));
    const all = this.#snapshot
      .functionsNamed(name)
      .filter((f) => names.length === 1 || f.schema === "pg_catalog");
    if (all.length === 0) outside(`the function ${name}, which the catalog does not hold`);
    for (const func of all) {
      if (
        !func.system ||
        func.volatility !== "i" ||
        !func.verdict.safe ||
        func.returnsSet ||
        func.kind === "w"
      )
        outside("a function that is not known to only compute a value", qualified(func.schema, name));
    }
    this.functions.add(qualified("pg_catalog", name));
    return list(inner, "args");
  }
}
