/** What a condition says by its form: true for every row, for none, or for rows that it names. */
import {
  columnName,
  columnPath,
  elements,
  lastString,
  mentionsTarget,
  plainNumber,
  type Scope,
  steady,
} from "./columns.ts";
import { compare } from "./same.ts";
import { booleanValue } from "./settings/values.ts";
import { flagAt, isObject, type JsonObject, nodeOf, numberAt, objectAt, stringAt } from "./tree.ts";

/** `always` also stands for whatever names no column, as nobody can tell it from constantly true. */
export type Truth = "always" | "never" | "rows";

export interface Condition {
  readonly truth: Truth;
  /** Whether it is `always` depends on the value of a literal. */
  readonly literal: boolean;
}

/** A condition nested deeper than this counts as `always`, whatever it says. */
const deepest = 200;

/** Judges a WHERE or ON; undefined: there is none. */
export function condition(node: unknown, scope: Scope | null): Condition {
  const judge = new Judge(scope);
  const truth = judge.truth(node, 0);
  return {
    truth: judge.tooDeep ? "always" : truth,
    literal: judge.literal && !namesRowsAnyway(node, scope),
  };
}

/**
 * Of parts that all must hold, one names rows whatever its literals are, and none may answer otherwise each time: then the
 * whole is `rows` or, where two of them exclude each other, `never`, and not `always` for any value. Nobody asks for more.
 * So a range of dates, or a LIKE beside another condition, does not make each text a statement of its own.
 */
function namesRowsAnyway(value: unknown, scope: Scope | null): boolean {
  const node = objectAt(value, "BoolExpr");
  if (node === undefined || stringAt(node, "boolop") !== "AND_EXPR" || !Array.isArray(node.args))
    return false;
  const args: readonly unknown[] = node.args;
  const named = args.some((arg) => {
    const judge = new Judge(scope);
    return judge.truth(arg, 1) === "rows" && !judge.literal && !judge.tooDeep;
  });
  return named && args.every(steady);
}

class Judge {
  literal = false;
  tooDeep = false;
  readonly #scope: Scope | null;

  constructor(scope: Scope | null) {
    this.#scope = scope;
  }

  truth(value: unknown, level: number): Truth {
    const at = nodeOf(value);
    if (level > deepest) this.tooDeep = true;
    if (at === null || level > deepest) return "always";
    const { name, node } = at;
    switch (name) {
      case "BoolExpr":
        return this.#connective(node, level);
      case "A_Const":
        return this.#constant(node);
      case "TypeCast":
        return this.#mentions(node.arg) ? "rows" : this.truth(node.arg, level + 1);
      case "NullTest":
        return this.#nullTest(node);
      case "BooleanTest":
        return this.#booleanTest(node, level);
      case "A_Expr":
        return this.#operator(node);
      case "CaseExpr":
        return this.#cases(node, level);
      case "SubLink":
        return this.#subLink(node, level);
      case "CurrentOfExpr":
        return "rows";
      default:
        return this.#mentions(value) ? "rows" : "always";
    }
  }

  #connective(node: JsonObject, level: number): Truth {
    const args: readonly unknown[] = Array.isArray(node.args) ? node.args : [];
    const kind = stringAt(node, "boolop");
    if (kind === "NOT_EXPR") {
      const inner = this.truth(args[0], level + 1);
      // What cannot be told from true cannot be told from false either.
      return inner === "rows" ? "rows" : inner === "never" || !this.#plain(args[0]) ? "always" : "never";
    }
    const truths = args.map((arg) => this.truth(arg, level + 1));
    if (kind === "OR_EXPR") {
      if (truths.includes("always") || this.#complementary(args)) return "always";
      return truths.includes("rows") ? "rows" : "never";
    }
    if (truths.includes("never")) return "never";
    if (this.#complementary(args)) return args.every(steady) ? "never" : "always";
    return truths.includes("rows") ? "rows" : "always";
  }

  #constant(node: JsonObject): Truth {
    if (flagAt(node, "isnull")) return "never";
    if (isObject(node.boolval)) return flagAt(node.boolval, "boolval") ? "always" : "never";
    this.literal = true;
    if (isObject(node.sval))
      return booleanValue(stringAt(node.sval, "sval").trim()) === false ? "never" : "always";
    if (isObject(node.ival)) return numberAt(node.ival, "ival") === 0 ? "never" : "always";
    return "always";
  }

  #nullTest(node: JsonObject): Truth {
    const isNull = stringAt(node, "nulltesttype") === "IS_NULL";
    if (this.#mentions(node.arg)) {
      // System columns are never NULL.
      return systemColumns.has(columnName(node.arg) ?? "") ? (isNull ? "never" : "always") : "rows";
    }
    const arg = nodeOf(node.arg);
    if (arg?.name !== "A_Const") return "always";
    return flagAt(arg.node, "isnull") === isNull ? "always" : "never";
  }

  #booleanTest(node: JsonObject, level: number): Truth {
    const inner = this.truth(node.arg, level + 1);
    switch (stringAt(node, "booltesttype")) {
      case "IS_TRUE":
        return inner;
      case "IS_FALSE":
      case "IS_NOT_TRUE":
      case "IS_NOT_FALSE":
      case "IS_UNKNOWN":
        // `never` may be NULL.
        return inner === "rows" ? "rows" : "always";
      default:
        // IS NOT UNKNOWN: true for every row without NULLs.
        return "always";
    }
  }

  #operator(node: JsonObject): Truth {
    const { lexpr, rexpr } = node;
    const kind = stringAt(node, "kind");
    const operator = lastString(node.name);
    if (!this.#mentions(node)) return kind === "AEXPR_OP" ? this.#compared(operator, lexpr, rexpr) : "always";
    const same = this.#same(lexpr, rexpr);
    switch (kind) {
      case "AEXPR_DISTINCT":
        if (same) return steady(lexpr) ? "never" : "always";
        break;
      case "AEXPR_NOT_DISTINCT":
        if (same) return "always";
        break;
      case "AEXPR_OP":
        if (same && (operator === "=" || operator === "<=" || operator === ">=")) return "always";
        if (same && (operator === "<>" || operator === "!=" || operator === "<" || operator === ">"))
          return steady(lexpr) ? "never" : "always";
        if (operator === "=" && this.#selfJoin(lexpr, rexpr)) return "always";
        break;
      case "AEXPR_IN":
      case "AEXPR_OP_ANY":
      case "AEXPR_BETWEEN":
      case "AEXPR_BETWEEN_SYM":
        if (operator !== "<>" && elements(rexpr).some((item) => this.#same(lexpr, item))) return "always";
        break;
      default:
    }
    return this.#matchesAll(operator, rexpr) ? "always" : "rows";
  }

  /** Two constants. What cannot be told counts as true. */
  #compared(operator: string, left: unknown, right: unknown): Truth {
    const a = plainNumber(left);
    const b = plainNumber(right);
    if (a === null || b === null) return "always";
    this.literal = true;
    const answer = comparisons.get(operator)?.(a, b) ?? true;
    return answer ? "always" : "never";
  }

  /** Patterns that everything matches. */
  #matchesAll(operator: string, pattern: unknown): boolean {
    const everything = matchAll.get(operator);
    if (everything === undefined) return false;
    let at = nodeOf(pattern);
    while (at?.name === "TypeCast") at = nodeOf(at.node.arg);
    if (at?.name !== "A_Const" || !isObject(at.node.sval)) return false;
    this.literal = true;
    return everything.test(stringAt(at.node.sval, "sval"));
  }

  /** t.id = other.id, where the other is the same relation once more. */
  #selfJoin(left: unknown, right: unknown): boolean {
    const scope = this.#scope;
    if (scope === null) return false;
    const [a, b] = [columnPath(left), columnPath(right)];
    if (a === null || b === null || a.length < 2 || b.length < 2 || a.at(-1) !== b.at(-1)) return false;
    const [x, y] = [a.at(-2) ?? "", b.at(-2) ?? ""];
    return (
      (x === scope.target && scope.others.get(y) === true) ||
      (y === scope.target && scope.others.get(x) === true)
    );
  }

  #cases(node: JsonObject, level: number): Truth {
    const results = Array.isArray(node.args)
      ? (node.args as unknown[]).map((arg) => this.truth(objectAt(arg, "CaseWhen")?.result, level + 1))
      : [];
    results.push(node.defresult === undefined ? "never" : this.truth(node.defresult, level + 1));
    const [first] = results;
    if (first !== undefined && results.every((result) => result === first)) return first;
    return this.#mentions(node) ? "rows" : "always";
  }

  #subLink(node: JsonObject, level: number): Truth {
    const select = objectAt(node.subselect, "SelectStmt");
    const all =
      select !== undefined &&
      select.larg === undefined &&
      select.havingClause === undefined &&
      select.groupClause === undefined &&
      select.limitCount === undefined &&
      select.limitOffset === undefined &&
      this.#unfiltered(select.whereClause, level);
    switch (stringAt(node, "subLinkType")) {
      case "EXISTS_SUBLINK":
        if (all) return "always";
        break;
      case "ANY_SUBLINK":
        if (all && node.operName === undefined && this.#allKeys(select, node.testexpr)) return "always";
        break;
      default:
    }
    return this.#mentions(node) ? "rows" : "always";
  }

  /** The condition of a sub-select, whose own columns name rows. */
  #unfiltered(where: unknown, level: number): boolean {
    const inner = new Judge(null);
    const truth = inner.truth(where, level + 1);
    this.literal ||= inner.literal;
    this.tooDeep ||= inner.tooDeep;
    return truth === "always";
  }

  /** x IN (SELECT x FROM the target itself) */
  #allKeys(select: JsonObject, test: unknown): boolean {
    const from: readonly unknown[] = Array.isArray(select.fromClause) ? select.fromClause : [];
    const targets: readonly unknown[] = Array.isArray(select.targetList) ? select.targetList : [];
    const relation = objectAt(from[0], "RangeVar");
    if (from.length !== 1 || targets.length !== 1 || relation === undefined) return false;
    const column = columnName(objectAt(targets[0], "ResTarget")?.val);
    return column !== null && column === columnName(test) && this.#scope?.isTarget(relation) === true;
  }

  /** Equal but for their places in the text. */
  #same(a: unknown, b: unknown): boolean {
    const { same, literal } = compare(a, b);
    this.literal ||= literal;
    return same;
  }

  /** x and NOT x; x IS NULL and x IS NOT NULL; x = y and x <> y. */
  #complementary(args: readonly unknown[]): boolean {
    const parts = args.slice(0, 32).map(partOf);
    for (let i = 0; i < parts.length; i++) {
      for (let j = i + 1; j < parts.length; j++) {
        const [a, b] = [parts[i], parts[j]];
        if (a == null || b == null) continue;
        if (this.#opposite(a, b) || this.#opposite(b, a)) return true;
      }
    }
    return false;
  }

  #opposite(left: Part, right: Part): boolean {
    if (
      right.name === "BoolExpr" &&
      stringAt(right.node, "boolop") === "NOT_EXPR" &&
      Array.isArray(right.node.args)
    )
      return this.#same(left.value, right.node.args[0]);
    if (left.name !== right.name) return false;
    if (left.name === "NullTest")
      return left.node.nulltesttype !== right.node.nulltesttype && this.#same(left.node.arg, right.node.arg);
    if (left.name === "BooleanTest")
      return left.node.booltesttype !== right.node.booltesttype && this.#same(left.node.arg, right.node.arg);
    if (left.name !== "A_Expr" || left.node.kind !== "AEXPR_OP" || right.node.kind !== "AEXPR_OP")
      return false;
    return (
      negations.get(left.operator) === (right.operator === "!=" ? "<>" : right.operator) &&
      this.#same(left.node.lexpr, right.node.lexpr) &&
      this.#same(left.node.rexpr, right.node.rexpr)
    );
  }

  /** Its truth is certain, not just taken for `always`: so its negation is known as well. */
  #plain(value: unknown): boolean {
    const at = nodeOf(value);
    if (at === null) return false;
    const { name, node } = at;
    if (name === "A_Const") return true;
    if (name === "NullTest") return nodeOf(node.arg)?.name === "A_Const" || this.#mentions(node.arg);
    if (name === "BoolExpr") return Array.isArray(node.args) && node.args.every((arg) => this.#plain(arg));
    if (name !== "A_Expr") return false;
    if (this.#mentions(value)) return true;
    return (
      stringAt(node, "kind") === "AEXPR_OP" &&
      comparisons.has(lastString(node.name)) &&
      plainNumber(node.lexpr) !== null &&
      plainNumber(node.rexpr) !== null
    );
  }

  #mentions(value: unknown): boolean {
    return mentionsTarget(value, this.#scope);
  }
}

/** A member of AND or OR. */
interface Part {
  readonly value: unknown;
  readonly name: string;
  readonly node: JsonObject;
  /** Of an A_Expr; "" for others. */
  readonly operator: string;
}

function partOf(value: unknown): Part | null {
  const at = nodeOf(value);
  if (at === null) return null;
  const { name, node } = at;
  return { value, name, node, operator: name === "A_Expr" ? lastString(node.name) : "" };
}

const comparisons: ReadonlyMap<string, (a: number, b: number) => boolean> = new Map([
  ["=", (a, b) => a === b],
  ["<>", (a, b) => a !== b],
  ["!=", (a, b) => a !== b],
  ["<", (a, b) => a < b],
  [">", (a, b) => a > b],
  ["<=", (a, b) => a <= b],
  [">=", (a, b) => a >= b],
]);
const systemColumns = new Set(["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"]);
const matchAll: ReadonlyMap<string, RegExp> = new Map([
  ["~~", /^%+$/],
  ["~~*", /^%+$/],
  ["~", /^\^?(?:\.\*)?\$?$/],
  ["~*", /^\^?(?:\.\*)?\$?$/],
]);

const negations: ReadonlyMap<string, string> = new Map([
  ["=", "<>"],
  ["<", ">="],
  [">", "<="],
]);
