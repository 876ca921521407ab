/** The values this room gives: what a message's statements are, without asking any server. */
import type { StaticFacts } from "./facts.ts";

/**
 * The closed list of statement kinds (SPEC.md section 3, `statement.kind`). A statement is classified by its top node only:
 * `WITH x AS (DELETE …) SELECT` is a "select", `EXPLAIN DELETE` is an "explain"; what they touch is the analysis' work.
 *
 * - `ddl`: whatever PostgreSQL's log_statement=ddl would log (GRANT, COMMENT, ALTER SYSTEM, SELECT INTO, REFRESH … included)
 * - `session`: SET, RESET, SHOW, DISCARD; `transaction`: BEGIN … ROLLBACK, two-phase, SET TRANSACTION, SET CONSTRAINTS
 * - `utility`: VACUUM, ANALYZE, REINDEX, CHECKPOINT, LOAD
 * - `fetch`: FETCH and MOVE; `listen`: LISTEN and UNLISTEN
 * - `unknown`: not parsed, or a node this version does not know
 */
export const statementKinds = [
  "select",
  "insert",
  "update",
  "delete",
  "merge",
  "copy",
  "truncate",
  "ddl",
  "transaction",
  "session",
  "utility",
  "call",
  "do",
  "prepare",
  "execute",
  "deallocate",
  "declare",
  "fetch",
  "close",
  "explain",
  "lock",
  "notify",
  "listen",
  "unknown",
] as const;
export type StatementKind = (typeof statementKinds)[number];

/** What a statement does to the session's named statements and cursors. `name` is null where the kind names all of them. */
export interface NameEffect {
  readonly kind:
    | "prepare"
    | "execute"
    | "deallocate"
    | "deallocate-all"
    | "declare"
    | "fetch"
    | "close"
    | "close-all"
    | "discard-all";
  readonly name: string | null;
  /** prepare and declare: the text of the inner statement, without its trailing semicolon and comments. */
  readonly text?: string;
  /** prepare with parameter types: that text with a cast to its type around each parameter, as which EXECUTE runs it. */
  readonly typed?: string;
}

/** What all statements of equal shape (equal but for literals, comments and white space) have in common. */
export interface StatementShape {
  /**
   * The statement without literals, comments and surplus white space; each literal is a `?`. For people and for grouping:
   * `?` is also an operator of jsonb, so this text is no key.
   */
  readonly stripped: string;
  /** 16 hex digits, equal for statements that differ in literals, letter case and white space (fingerprint.ts). For grouping only, never a key. */
  readonly fingerprint: string | null;
  readonly kind: StatementKind;
  /**
   * PostgreSQL's command tag, without counts. EXECUTE and CREATE TABLE AS are named as written, though the server's
   * CommandComplete then tells the tag of what they ran; SELECT INTO is "SELECT" (its kind is "ddl"). "" when unknown.
   */
  readonly command: string;
  /** The text holds a password or the like, or may: it must not be stored anywhere. `stripped` holds none. */
  readonly secret: boolean;
  readonly names: readonly NameEffect[];
  /** "in": COPY … FROM STDIN; "out": COPY … TO STDOUT; null: everything else, COPY with files and programs too. */
  readonly copy: "in" | "out" | null;
  readonly facts: StaticFacts;
}

export interface StatementText {
  /** As it was sent. A message of one statement: the whole message; of several: up to the semicolon, trimmed. */
  readonly text: string;
  /** Where that begins in the message, in UTF-16 units. */
  readonly start: number;
  readonly shape: StatementShape;
  /** The trailing comment when it looks like sqlcommenter's, raw. What it says is claimed by the client. */
  readonly comment: string | null;
}

/**
 * Why a text could not be read: a closed list, safe to print (nothing of the text).
 *
 * - `nul`, `encoding`: a NUL or a lone surrogate; `too-large`: over the cap; `large`: ask readLarge()
 * - `comments`, `operators`, `nesting`, `tokens`: comments nested, an operator long, an expression deep, or tokens many beyond all
 *   real use
 * - `syntax`: PostgreSQL's grammar refuses it
 * - `split`: parser and lexer disagree where a statement ends
 * - `parser-failed`: the parser broke down over it and was replaced; `parser-busy`: no parser was ready (too many break-downs
 *   at once), or too many large texts wait; `timeout`: a large text took too long
 */
export type Unread =
  | "nul"
  | "encoding"
  | "too-large"
  | "large"
  | "comments"
  | "operators"
  | "nesting"
  | "tokens"
  | "syntax"
  | "split"
  | "parser-failed"
  | "parser-busy"
  | "timeout";

export interface MessageText {
  /** Empty for a message without statements. Exactly one, of kind "unknown", when not parsed. */
  readonly statements: readonly StatementText[];
  readonly parsed: boolean;
  /** null when parsed. */
  readonly reason: Unread | null;
  /** Reading it broke a parser, now or before: somebody who sends many of these means harm. */
  readonly poisoned: boolean;
}

/** Where the statements of one text are. Offsets are in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly commentStart: number;
  /** 0: no comment. */
  readonly commentEnd: number;
}

/** What reading a text anew gave; everything but the text itself. */
export interface Reading {
  readonly shapes: readonly StatementShape[];
  readonly spans: readonly Span[];
  /** For each statement but the last: which of the text's semicolons (0, 1, …) ends it. */
  readonly cuts: readonly number[];
  /**
   * True when another text of equal shape must give the same shapes, whatever its literals and comments say: nothing in them
   * depends on a literal's value, and none of them holds text.
   */
  readonly literalFree: boolean;
}
