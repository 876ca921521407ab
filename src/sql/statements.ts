/** Reads a text anew: checks, parse, and what each statement is. Pure but for the parser's instance. */

import { opaqueFacts, type StaticFacts } from "./facts.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { classify } from "./kinds.ts";
import { type SqlLimits, UnreadableSql } from "./limits.ts";
import { nameEffects } from "./names.ts";
import type { ParserPool, RawStatement } from "./parser.ts";
import { staticFacts } from "./read.ts";
import { type LiteralPlace, scan, withoutBridges } from "./scan.ts";
import { mentionsSecret } from "./secrets.ts";
import { strippedSecret } from "./stripsecret.ts";
import { flagAt, type JsonObject, nodeOf, stringAt } from "./tree.ts";
import type { Reading, Span, StatementShape } from "./types.ts";
import { Walk } from "./walk.ts";

/**
 * Reads `sent`, a text that passed checkText(). Throws UnreadableSql.
 * Statements are cut where the parser says (byte places), and the lexer must agree that a semicolon stands there.
 */
export function readStatements(sent: string, bytes: number, parsers: ParserPool, limits: SqlLimits): Reading {
  const { stripped, literals, marks, bridged, doubt } = scan(sent, limits);
  const text = withoutBridges(sent, bridged);
  const raw = parsers.parse(text);
  if (raw.length === 0) return { shapes: [], spans: [], cuts: [], literalFree: true };
  const places = new Places(text, bytes === text.length);
  const cuts = raw.slice(0, -1).map((statement) => {
    const cut = marks.semicolons.indexOf(places.index(statement.location + statement.length));
    if (statement.length === 0 || cut < 0) throw new UnreadableSql("split");
    return cut;
  });
  const spans = marks.spans(text, cuts);
  const constants = new Map<number, boolean>();
  const drafts = raw.map((statement, i) => {
    const span = spans[i];
    if (span === undefined) throw new UnreadableSql("split");
    const alone = raw.length === 1;
    const own = alone ? stripped : scan(text, limits, span.start, span.end).stripped;
    return readShape(statement, text, span, own, constants, parsers);
  });
  const bound = literalSpans(literals, spans, constants, new Places(text, bytes === text.length));
  let literalFree = doubt === null;
  const shapes = drafts.map((draft, i) => {
    const found = bound[i];
    const literalSensitive =
      found === undefined || found.sensitive || (found.literals && (draft.literal || !draft.free));
    literalFree &&= !literalSensitive && draft.free && !holdsText(draft.shape, draft.facts);
    const refusal =
      draft.facts.refusal ??
      (doubt === null ? null : ({ code: "STATEMENT_NOT_UNDERSTOOD", message: doubt } as const));
    return { ...draft.shape, facts: { ...draft.facts, refusal, literalSensitive } };
  });
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
    facts: opaqueFacts,
  };
}

interface Draft {
  readonly shape: Omit<StatementShape, "facts">;
  readonly facts: Omit<StaticFacts, "literalSensitive">;
  /** Values of literals went into the facts. */
  readonly literal: boolean;
  /** They did not go into anything else. */
  readonly free: boolean;
}

function readShape(
  raw: RawStatement,
  text: string,
  span: Span,
  stripped: string,
  constants: Map<number, boolean>,
  parsers: ParserPool,
): Draft {
  const top = nodeOf(raw.node);
  if (top === null) throw new UnreadableSql("parser-failed");
  const walk = new Walk(constants).run(top.name, top.node);
  const names = nameEffects(top.name, top.node, text, span.start, span.end);
  const { facts, literal } = staticFacts(top.name, top.node, walk, { text, ...span }, (inner) =>
    parseOne(inner, parsers),
  );
  const typed = top.name === "PrepareStmt" ? facts.tree[0]?.text : null;
  const shown = walk.secretSetting ? strippedSecret(stripped) : stripped;
  return {
    shape: {
      stripped: shown,
      fingerprint: fingerprintOf(shown),
      ...classify(top.name, top.node),
      secret: walk.secret,
      names: names.map((one) => (typed == null || typed === one.text ? one : { ...one, typed })),
      copy: top.name === "CopyStmt" ? copyDirection(top.node) : null,
    },
    facts,
    literal,
    free: walk.free,
  };
}

/** The tree of a text of one statement; null: the grammar refuses it, or it is not one. */
function parseOne(text: string, parsers: ParserPool): JsonObject | null {
  if (text === "") return null;
  try {
    const raw = parsers.parse(text);
    return raw.length === 1 ? (raw[0]?.node ?? null) : null;
  } catch (error) {
    if (error instanceof UnreadableSql && error.reason === "syntax") return null;
    throw error;
  }
}

/** A shape that holds a piece of its text must not be shared: another text's comments and names would come with it. */
function holdsText({ names }: Draft["shape"], { tree }: Draft["facts"]): boolean {
  return names.some((effect) => effect.text !== undefined) || tree.some(({ text }) => text !== null);
}

function copyDirection(node: JsonObject): "in" | "out" | null {
  if (stringAt(node, "filename") !== "" || flagAt(node, "is_program")) return null;
  return flagAt(node, "is_from") ? "in" : "out";
}

/**
 * For each statement whether it has literals, and whether their values matter: one that did not become a constant of the tree
 * (FETCH 5, float(24), COPY … FROM 'file', an option's value) may be anywhere in it, and one that did may stand where it matters.
 */
function literalSpans(
  literals: readonly LiteralPlace[],
  spans: readonly Span[],
  constants: ReadonlyMap<number, boolean>,
  places: Places,
): { literals: boolean; sensitive: boolean }[] {
  const found = spans.map(() => ({ literals: false, sensitive: false }));
  let i = 0;
  for (const { sign, start } of literals) {
    while (i < spans.length - 1 && start >= (spans[i]?.end ?? 0)) i++;
    const at = found[i];
    if (at === undefined) continue;
    const signed = sign >= 0 ? constants.get(places.bytes(sign)) : undefined;
    const matters = constants.get(places.bytes(start)) ?? signed ?? true;
    at.literals = true;
    at.sensitive ||= matters || signed === true;
  }
  return found;
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
