/**
 * Reading the body of an SQL function of the database: it is safe when all it can do is compute a value. Closed list: every
 * node that is not named here refuses it. Names are not resolved (the caller's search_path may decide): a name counts as safe
 * only when everything that bears it, in any schema, is.
 */
import type { ParseSql } from "../snapshot.ts";
import { plpgsqlExpressions } from "./plpgsql.ts";
import { type Facts, type LocalVerdict, refused, safe } from "./verdict.ts";

type Node = Readonly<Record<string, unknown>>;

/** Nodes of expressions and of SELECT without a table; all their members are looked into. */
const plain: ReadonlySet<string> = new Set([
  "SelectStmt",
  "ResTarget",
  "ParamRef",
  "BoolExpr",
  "CaseWhen",
  "CoalesceExpr",
  "NullTest",
  "BooleanTest",
  "A_ArrayExpr",
  "RowExpr",
  "A_Indices",
  "A_Star",
  "SQLValueFunction",
  "List",
  "RangeSubselect",
  "RangeFunction",
  "NamedArgExpr",
  "WindowDef",
  "CollateClause",
  "Alias",
]);

/** Members that hold one node without its name around it, as libpg-query writes fields whose type is fixed. */
const embedded: ReadonlySet<string> = new Set(["typeName", "alias", "over", "larg", "rarg"]);

/** What a name may stand for, in any schema or in one. */
export interface NameLookup {
  functionsNamed(name: string, schema: string | null): readonly number[];
  /** Oids of the functions behind the operators. */
  operatorsNamed(name: string, schema: string | null): readonly number[];
  /** Oids of the functions that run when values of these types are read, written or checked; null: no such type. */
  typesNamed(name: string, schema: string | null): readonly number[] | null;
  typeFunctions(oid: number): readonly number[];
  /** Functions of casts that may run wherever a value meets another type. */
  hiddenCasts(): readonly number[];
}

/**
 * What its body says of a function: why it is not safe, or which functions it may call, on which it then depends.
 * `func` must be neither SECURITY DEFINER nor VOLATILE.
 */
export function userFunctionVerdict(func: Facts, names: NameLookup, parse: ParseSql): LocalVerdict {
  if (func.body === null) return { verdict: refused("has a body that cannot be read"), calls: [] };
  const texts = func.language === "plpgsql" ? plpgsqlExpressions(func.body) : [sqlBody(func.body)];
  if (texts === null)
    return {
      verdict: refused("has a body that does more than compute a value, or cannot be read"),
      calls: [],
    };
  const reader = new BodyReader(names);
  reader.calls(names.hiddenCasts());
  for (const type of [...func.arguments, func.result]) reader.calls(names.typeFunctions(type));
  for (const text of texts) {
    const statements = parse(text);
    if (statements === null || statements.length === 0)
      return { verdict: refused("has a body that cannot be read"), calls: [] };
    for (const statement of statements) reader.statement(statement);
  }
  return {
    verdict: reader.objection === null ? safe : refused(reader.objection),
    calls: [...reader.called],
  };
}

/** The statements of a body; pg_get_function_sqlbody() prints those in SQL-standard form as RETURN or BEGIN ATOMIC. */
function sqlBody(body: string): string {
  const text = body.trim();
  if (/^RETURN\s/i.test(text)) return `SELECT ${text.slice(7)}`;
  const atomic = /^BEGIN\s+ATOMIC\s([\s\S]*)END$/i.exec(text);
  return atomic?.[1] ?? text;
}

class BodyReader {
  /** The first thing found that speaks against it. */
  objection: string | null = null;
  readonly called = new Set<number>();
  readonly #names: NameLookup;

  constructor(names: NameLookup) {
    this.#names = names;
  }

  calls(oids: readonly number[]): void {
    for (const oid of oids) this.called.add(oid);
  }

  statement(statement: unknown): void {
    const node = named(statement);
    if (node?.name !== "SelectStmt") this.#object("has a body with more than SELECT in it");
    else this.#node(node.name, node.node);
  }

  #object(why: string): void {
    this.objection ??= why;
  }

  /** Iterative: bodies may be deep. */
  #node(first: string, value: Node): void {
    const work: (readonly [string, Node])[] = [[first, value]];
    for (let next = work.pop(); next !== undefined && this.objection === null; next = work.pop()) {
      const [name, node] = next;
      if (this.#inspect(name, node)) this.#members(node, work);
    }
  }

  /** Checks one node by its name; true: its members are to be looked into. */
  #inspect(name: string, node: Node): boolean {
    switch (name) {
      case "A_Const":
      case "String":
      case "Integer":
        return false;
      case "FuncCall":
        this.#functions(node.funcname);
        return true;
      case "A_Expr":
        // The forms of BETWEEN are spelled otherwise than the operators they use.
        if (String(node.kind).includes("BETWEEN")) this.#comparisons(["<", "<=", ">", ">="]);
        else this.#operator(node.name);
        return true;
      case "CaseExpr":
        if (node.arg !== undefined) this.#comparisons(["="]);
        return true;
      case "MinMaxExpr":
        this.#comparisons(["<"]);
        return true;
      case "SubLink":
        if (node.operName === undefined) this.#comparisons(["="]);
        else this.#operator(node.operName);
        return true;
      case "SortBy":
        if (node.useOp !== undefined) this.#operator(node.useOp);
        return true;
      case "TypeCast":
        return true;
      case "TypeName":
        this.#type(node);
        return true;
      case "ColumnRef":
        this.#attributes(node.fields, 1);
        return false;
      case "A_Indirection":
        this.#attributes(node.indirection, 0);
        return true;
      default:
        if (plain.has(name)) return true;
        this.#object(`has a body that the gateway does not follow (${name})`);
        return false;
    }
  }

  #members(node: Node, work: (readonly [string, Node])[]): void {
    for (const [key, member] of Object.entries(node)) {
      if (key === "intoClause" || key === "lockingClause" || key === "withClause") {
        this.#object("has a body that does more than compute a value");
        return;
      }
      // Function, operator and type names were looked at with their node.
      if (key === "funcname" || key === "operName" || key === "names") continue;
      for (const item of Array.isArray(member) ? member : [member]) {
        if (typeof item !== "object" || item === null) continue;
        if (embedded.has(key)) work.push([embeddedName(key), item as Node]);
        else {
          const inner = named(item);
          if (inner === null) {
            // An empty object is a null node in a list.
            if (Object.keys(item).length > 0) this.#object("has a body that cannot be read");
          } else if (!(key === "name" && inner.name === "String")) work.push([inner.name, inner.node]);
        }
      }
    }
  }

  #functions(list: unknown): void {
    this.#name(list);
    const all = this.#names.functionsNamed(lastName(list), schemaName(list));
    if (all.length === 0) this.#object("has a body that calls a function which the catalog does not hold");
    this.calls(all);
  }

  /** A name is made of strings and nothing else. */
  #name(list: unknown): void {
    if (!Array.isArray(list) || list.length === 0 || !list.every((item) => stringOf(item) !== null))
      this.#object("has a body that cannot be read");
  }

  #operator(list: unknown): void {
    this.#name(list);
    this.#operators(lastName(list), schemaName(list));
  }

  #comparisons(names: readonly string[]): void {
    for (const name of names) this.#operators(name, null);
  }

  #operators(name: string, schema: string | null): void {
    const all = this.#names.operatorsNamed(name, schema);
    if (all.length === 0) this.#object("has a body that uses an operator which the catalog does not hold");
    this.calls(all);
  }

  #type(node: Node): void {
    this.#name(node.names);
    const all = this.#names.typesNamed(lastName(node.names), schemaName(node.names));
    if (all === null || node.pct_type === true)
      this.#object("has a body that names a type which the catalog does not hold");
    else this.calls(all);
  }

  /** x.name may be a call of name(x) (manual, "Value Expressions", section "Field Selection"). */
  #attributes(list: unknown, from: number): void {
    if (!Array.isArray(list)) {
      this.#object("has a body that cannot be read");
      return;
    }
    list.forEach((item: unknown, i) => {
      const inner = named(item);
      switch (inner?.name) {
        case "String":
          if (i >= from) this.calls(this.#names.functionsNamed(stringOf(item) ?? "", null));
          break;
        case "A_Indices":
          this.#node(inner.name, inner.node);
          break;
        case "A_Star":
          break;
        default:
          this.#object("has a body that cannot be read");
      }
    });
  }
}

function embeddedName(key: string): string {
  switch (key) {
    case "typeName":
      return "TypeName";
    case "alias":
      return "Alias";
    case "over":
      return "WindowDef";
    default:
      return "SelectStmt";
  }
}

function named(value: unknown): { readonly name: string; readonly node: Node } | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) return null;
  const [name, node] = entry;
  if (typeof node !== "object" || node === null || !/^[A-Z]/.test(name)) return null;
  return { name, node: node as Node };
}

function stringOf(value: unknown): string | null {
  const inner = named(value);
  if (inner?.name !== "String") return null;
  return typeof inner.node.sval === "string" ? inner.node.sval : "";
}

/** The last of a dotted name; "" when there is none. */
function lastName(list: unknown): string {
  return (Array.isArray(list) ? stringOf(list.at(-1)) : null) ?? "";
}

/** The schema in front of it; null: unqualified, and so any. */
function schemaName(list: unknown): string | null {
  return Array.isArray(list) && list.length > 1 ? stringOf(list.at(-2)) : null;
}
