/** Reads a text anew: checks, parse, and what each statement is. Pure but for the parser's instance. */
import { classify } from "./kinds.ts";
import { type SqlLimits, UnreadableSql } from "./limits.ts";
import { nameEffects } from "./names.ts";
import type { ParserPool, RawStatement } from "./parser.ts";
import { type LiteralPlace, scan } from "./scan.ts";
import { looksSecret, mentionsSecret, nodeSecret, secretLiteralLength } from "./secrets.ts";
import { strippedSecret } from "./stripsecret.ts";
import { flagAt, isObject, type JsonObject, nodeOf, numberAt, stringAt } from "./tree.ts";
import type { Reading, Span, StatementShape } from "./types.ts";

/**
 * Reads `text`, which passed checkText(). Throws UnreadableSql.
 * Statements are cut where the parser says (byte places), and the lexer must agree that a semicolon stands there.
 */
export function readStatements(text: string, bytes: number, parsers: ParserPool, limits: SqlLimits): Reading {
  const { stripped, literals, marks } = scan(text, limits);
  const raw = parsers.parse(text);
  if (raw.length === 0) return { shapes: [], spans: [], cuts: [], literalFree: true };
  const places = new Places(text, bytes === text.length);
  const cuts = raw.slice(0, -1).map((statement) => {
    const cut = marks.semicolons.indexOf(places.index(statement.location + statement.length));
    if (statement.length === 0 || cut < 0) throw new UnreadableSql("split");
    return cut;
  });
  const spans = marks.spans(text, cuts);
  const constants = new Set<number>();
  let literalFree = true;
  const shapes = raw.map((statement, i) => {
    const span = spans[i];
    if (span === undefined) throw new UnreadableSql("split");
    const alone = raw.length === 1;
    const own = alone ? stripped : scan(text, limits, span.start, span.end).stripped;
    const { shape, free } = readShape(statement, text, span, own, constants, parsers);
    literalFree &&= free;
    return shape;
  });
  literalFree &&= allConstants(literals, constants, new Places(text, bytes === text.length));
  return { shapes, spans, cuts, literalFree };
}

/** What a text is that could not be read. It is judged by its words alone. */
export function unreadShape(text: string): StatementShape {
  return {
    stripped: "",
    fingerprint: null,
    kind: "unknown",
    command: "",
    secret: mentionsSecret(text),
    names: [],
    copy: null,
  };
}

function readShape(
  raw: RawStatement,
  text: string,
  span: Span,
  stripped: string,
  constants: Set<number>,
  parsers: ParserPool,
): { shape: StatementShape; free: boolean } {
  const top = nodeOf(raw.node);
  if (top === null) throw new UnreadableSql("parser-failed");
  const walked = walk(raw.node, constants);
  const names = nameEffects(top.name, top.node, text, span.start, span.end);
  const shape: StatementShape = {
    stripped: walked.setting ? strippedSecret(stripped) : stripped,
    fingerprint: parsers.fingerprint(text.slice(span.start, span.end)),
    ...classify(top.name, top.node),
    secret: walked.secret,
    names,
    copy: top.name === "CopyStmt" ? copyDirection(top.node) : null,
  };
  return { shape, free: walked.free && names.every((effect) => effect.text === undefined) };
}

function copyDirection(node: JsonObject): "in" | "out" | null {
  if (stringAt(node, "filename") !== "" || flagAt(node, "is_program")) return null;
  return flagAt(node, "is_from") ? "in" : "out";
}

/**
 * One pass over a statement's tree, without recursion. Collects the places of its constants, and tells whether it is secret
 * and whether that is independent of its literals.
 */
function walk(
  tree: JsonObject,
  constants: Set<number>,
): { secret: boolean; setting: boolean; free: boolean } {
  let secret = false;
  let setting = false;
  let free = true;
  const open: (JsonObject | readonly unknown[])[] = [tree];
  const visit = (value: unknown): void => {
    if (typeof value === "string") secret ||= value.length >= secretLiteralLength && looksSecret(value);
    else if (Array.isArray(value) || isObject(value)) open.push(value);
  };
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (!isObject(value)) {
      for (const item of value) visit(item);
      continue;
    }
    for (const name in value) {
      const inner = value[name];
      visit(inner);
      if (!isObject(inner)) continue;
      if (name === "A_Const") constants.add(numberAt(inner, "location"));
      const found = nodeSecret(name, inner);
      secret ||= found.secret;
      setting ||= found.setting;
      free &&= !found.literal;
    }
  }
  return { secret, setting, free };
}

/**
 * True when each literal of the text became a constant of the tree (A_Const), and nothing else. Where one went elsewhere
 * (FETCH 5, float(24), COPY … FROM 'file', an option's value), the tree's other parts may depend on it.
 */
function allConstants(
  literals: readonly LiteralPlace[],
  constants: ReadonlySet<number>,
  places: Places,
): boolean {
  return literals.every(({ sign, start }) => {
    const signed = sign >= 0 && constants.has(places.bytes(sign));
    return constants.has(places.bytes(start)) || signed;
  });
}

/** Turns byte places into indexes and back. Each direction must be asked in ascending order; linear over all questions. */
class Places {
  readonly #text: string;
  readonly #ascii: boolean;
  #index = 0;
  #bytes = 0;

  constructor(text: string, ascii: boolean) {
    this.#text = text;
    this.#ascii = ascii;
  }

  index(bytes: number): number {
    if (this.#ascii) return bytes;
    while (this.#bytes < bytes && this.#index < this.#text.length) this.#step();
    return this.#bytes === bytes ? this.#index : -1;
  }

  bytes(index: number): number {
    if (this.#ascii) return index;
    while (this.#index < index) this.#step();
    return this.#bytes;
  }

  #step(): void {
    const code = this.#text.codePointAt(this.#index) ?? 0;
    this.#index += code > 0xffff ? 2 : 1;
    this.#bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code > 0xffff ? 4 : 3;
  }
}
