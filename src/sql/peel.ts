/**
 * What to ask the server about a statement: the server does not analyse what EXPLAIN, DECLARE, CREATE TABLE AS, COPY, PREPARE
 * and CREATE VIEW hold, so the text inside is cut out and asked about by itself. Each cut is parsed and compared with what the wrapper's
 * tree holds: only an equal one counts.
 */
import { Tokens } from "./cut.ts";
import type { TreeText } from "./facts.ts";
import { sameTree } from "./same.ts";
import { flagAt, isObject, type JsonObject, nodeOf, numberAt, objectAt, stringAt } from "./tree.ts";
import { columnList, copyInsert, copyQuery, quoted, truncateDeletes, typeText } from "./write.ts";

/** Parses a text of one statement; null: it is none. */
export type ParseOne = (text: string) => JsonObject | null;

/** Thrown where cut and tree disagree. */
export class Disagreement extends Error {}

type Kind = TreeText["kind"];

/** INTO LOCAL TEMPORARY TABLE name */
const maxIntoWords = 4;

const queries = new Set(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** The texts to ask about. Throws Disagreement, and UnreadableSql where `parse` does. */
export function peel(
  name: string,
  node: JsonObject,
  text: string,
  start: number,
  end: number,
  parse: ParseOne,
): readonly TreeText[] {
  if (queries.has(name) && !makesTable(name, node)) return [{ text: null, kind: "statement" }];
  switch (name) {
    case "TruncateStmt":
      return truncateDeletes(node).map((text) => ({ text, kind: "expressions" }));
    case "SelectStmt":
    case "ExplainStmt":
    case "PrepareStmt":
    case "DeclareCursorStmt":
    case "CreateTableAsStmt":
    case "ViewStmt":
    case "CopyStmt":
    case "ExecuteStmt":
      return new Peeler(parse).statement(name, node, Tokens.of(text, start, end), "statement");
    default:
      return [];
  }
}

/** SELECT … INTO, also where it stands in the leftmost part of a set operation. */
export function makesTable(name: string, node: JsonObject): boolean {
  return name === "SelectStmt" && isObject(leaves(node).at(-1)?.intoClause);
}

/** The node and its left parts down to the leftmost SELECT. */
function leaves(node: JsonObject): JsonObject[] {
  const chain = [node];
  for (let left = objectAt(node, "larg"); left !== undefined; left = objectAt(left, "larg")) chain.push(left);
  return chain;
}

class Peeler {
  readonly #parse: ParseOne;

  constructor(parse: ParseOne) {
    this.#parse = parse;
  }

  /** `tokens` are those of the node alone; `kind`: the wrapper that it stands in. */
  statement(name: string, node: JsonObject, tokens: Tokens, kind: Kind): readonly TreeText[] {
    switch (name) {
      case "ExplainStmt":
        return this.#inner(node.query, explained(tokens), "explain");
      case "PrepareStmt":
        return this.#prepared(node, after(tokens, "as"));
      case "DeclareCursorStmt":
        return this.#inner(node.query, [after(tokens, "for")], "declare");
      case "CreateTableAsStmt":
        return this.#inner(node.query, tableQueries(after(tokens, "as")), "create-table");
      case "RefreshMatViewStmt":
        return [];
      case "ViewStmt":
        return this.#view(node, after(tokens, "as"));
      case "CopyStmt":
        return this.#copy(node, tokens);
      case "ExecuteStmt":
        return this.#execute(node, tokens);
      case "SelectStmt":
        if (makesTable(name, node)) return this.#into(node, tokens);
        return [{ text: tokens.source(), kind }];
      case "InsertStmt":
      case "UpdateStmt":
      case "DeleteStmt":
      case "MergeStmt":
        return [{ text: tokens.source(), kind }];
      default:
        throw new Disagreement();
    }
  }

  /** The first of the cuts that parses as `query`, peeled in turn. */
  #inner(query: unknown, cuts: readonly Tokens[], kind: Kind): readonly TreeText[] {
    const inner = nodeOf(query);
    const cut = cuts.find((tokens) => sameTree(this.#parse(tokens.source()), query));
    if (inner === null || cut === undefined) throw new Disagreement();
    return this.statement(inner.name, inner.node, cut, kind);
  }

  /** Declared parameter types decide which functions and operators are meant, so they are asked about as casts. */
  #prepared(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    const found = this.#inner(node.query, [tokens], "prepare");
    const types = Array.isArray(node.argtypes) ? (node.argtypes as unknown[]).map(typeText) : [];
    if (types.length === 0) return found;
    const [only] = found;
    if (only === undefined || found.length !== 1 || only.kind !== "prepare") throw new Disagreement();
    const unused = new Set(types.keys());
    const text = tokens.withParameters((number) => {
      const type = types[number - 1];
      unused.delete(number - 1);
      return type === undefined ? `$${number}` : ` ($${number}::${type}) `;
    });
    if (!sameTree(withoutParameterCasts(this.#parse(text), types.length), node.query))
      throw new Disagreement();
    const prepared = { text, kind: "prepare" } as const;
    if (unused.size === 0) return [prepared];
    // EXECUTE reads values for those as well.
    const rest = [...unused].map((place) => `NULL::${types[place] ?? ""}`);
    return [prepared, { text: this.#written(`SELECT ${rest.join(", ")}`), kind: "expressions" }];
  }

  /** CREATE RECURSIVE VIEW v (…) AS q stands for WITH RECURSIVE v (…) AS (q) SELECT … FROM v. */
  #view(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    const cut = withoutCheckOption(tokens);
    const view = objectAt(node, "view");
    const columns = columnList(node.aliases);
    const name = quoted(stringAt(view, "relname"));
    const recursive = `WITH RECURSIVE ${name} (${columns}) AS (${cut.source()}) SELECT ${columns} FROM ${name}`;
    for (const text of [cut.source(), tokens.source(), recursive]) {
      if (sameTree(this.#parse(text), node.query)) return [{ text, kind: "create-view" }];
    }
    throw new Disagreement();
  }

  #copy(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    if (flagAt(node, "is_from")) return this.#copyFilter(node, tokens);
    if (node.query === undefined) return [{ text: this.#written(copyQuery(node)), kind: "copy" }];
    const open = tokens.find("(");
    return this.#inner(node.query, [tokens.slice(open + 1, tokens.close(open))], "copy");
  }

  /** What is written, and by what: defaults, and COPY … FROM … WHERE, may call functions. */
  #copyFilter(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    const written = { text: this.#written(copyInsert(node)), kind: "copy-in" } as const;
    if (node.whereClause === undefined) return [written];
    const text = `${copyQuery(node)} WHERE ${after(tokens, "where").source()}`;
    const select = objectAt(this.#parse(text), "SelectStmt");
    if (!sameTree(select?.whereClause, node.whereClause)) throw new Disagreement();
    return [written, { text, kind: "expressions" }];
  }

  /** The arguments of EXECUTE, unless all of them are plain values. */
  #execute(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    const params: readonly unknown[] = Array.isArray(node.params) ? node.params : [];
    if (params.every((param) => isPlain(param))) return [];
    const open = tokens.find("(");
    const text = `SELECT ${tokens.slice(open + 1, tokens.close(open)).source()}`;
    const select = objectAt(this.#parse(text), "SelectStmt");
    const targets: readonly unknown[] = Array.isArray(select?.targetList) ? select.targetList : [];
    const values = targets.map((target) => objectAt(target, "ResTarget")?.val);
    if (!sameTree(values, params) || Object.keys(select ?? {}).some((key) => !selectOnly.has(key)))
      throw new Disagreement();
    return [{ text, kind: "expressions" }];
  }

  /** INTO [TEMP …] [TABLE] name is cut out; the tree says where the name is. */
  #into(node: JsonObject, tokens: Tokens): readonly TreeText[] {
    const relation = objectAt(objectAt(leaves(node).at(-1), "intoClause"), "rel");
    const name = tokens.at(indexOf(tokens.text, numberAt(relation, "location")));
    let into = name - 1;
    while (into > name - maxIntoWords && tokens.word(into) !== "into") into--;
    let end = nameEnd(tokens, name);
    while (tokens.word(end) === ".") end = nameEnd(tokens, end + 1);
    const text = tokens.without(into, end);
    if (name < 0 || !sameTree(this.#parse(text), { SelectStmt: withoutInto(node) })) throw new Disagreement();
    return [{ text, kind: "create-table" }];
  }

  #written(text: string): string {
    if (this.#parse(text) === null) throw new Disagreement();
    return text;
  }
}

const selectOnly = new Set(["targetList", "limitOption", "op"]);

/** What follows the first `word` outside brackets. */
function after(tokens: Tokens, word: string): Tokens {
  const at = tokens.find(word);
  return tokens.slice(at < 0 ? tokens.length : at + 1);
}

/** EXPLAIN [(options)] q, EXPLAIN [ANALYZE] [VERBOSE] q; q itself may begin with a bracket. */
function explained(tokens: Tokens): Tokens[] {
  let from = 1;
  while (/^(?:analyze|analyse|verbose)$/.test(tokens.word(from))) from++;
  const plain = tokens.slice(from);
  return tokens.word(from) === "(" ? [tokens.slice(tokens.close(from) + 1), plain] : [plain];
}

/** Without WITH [NO] DATA at the end. */
function tableQueries(tokens: Tokens): Tokens[] {
  if (tokens.word(-1) !== "data") return [tokens];
  const words = tokens.word(-2) === "no" ? 3 : 2;
  return tokens.word(-words) === "with" ? [tokens.slice(0, tokens.length - words), tokens] : [tokens];
}

/** Without WITH [LOCAL | CASCADED] CHECK OPTION at the end. */
function withoutCheckOption(tokens: Tokens): Tokens {
  if (tokens.word(-1) !== "option" || tokens.word(-2) !== "check") return tokens;
  const words = tokens.word(-3) === "with" ? 3 : 4;
  return tokens.word(-words) === "with" ? tokens.slice(0, tokens.length - words) : tokens;
}

/** Behind an identifier, U&"…" UESCAPE '…' included. */
function nameEnd(tokens: Tokens, at: number): number {
  return tokens.word(at + 1) === "uescape" ? at + 3 : at + 1;
}

/** The index of a place that the parser gives in UTF-8 bytes. */
function indexOf(text: string, bytes: number): number {
  const buffer = Buffer.from(text);
  return buffer.length === text.length ? bytes : buffer.toString("utf8", 0, bytes).length;
}

function withoutInto(node: JsonObject): JsonObject {
  const chain = leaves(node);
  const { intoClause: _, ...last } = chain.at(-1) ?? {};
  let made: JsonObject = last;
  for (let i = chain.length - 2; i >= 0; i--) made = { ...chain[i], larg: made };
  return made;
}

/** Constants and parameters. */
function isPlain(value: unknown): boolean {
  const name = nodeOf(value)?.name;
  return name === "A_Const" || name === "ParamRef";
}

/** The tree with each `$n::type` that was put in taken out again: the innermost cast around each parameter. Not recursive. */
function withoutParameterCasts(tree: unknown, count: number): unknown {
  const root: { value: unknown } = { value: tree };
  const open: object[] = [root];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const [key, value] of Object.entries(at) as [string, unknown][]) {
      const parameter = objectAt(objectAt(objectAt(value, "TypeCast"), "arg"), "ParamRef");
      const number = parameter?.number;
      if (typeof number === "number" && number >= 1 && number <= count)
        Object.assign(at, { [key]: { ParamRef: parameter } });
      else if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return root.value;
}
