/** What a statement's own text entails, read without any server (SPEC.md section 3; MASKING.md sections 1.5 and 6). */
import type { Effect } from "../facts/effects.ts";
import type { SettingUse } from "./settings/judge.ts";

/**
 * A text whose server tree tells what the statement touches. `text` is null where it is the statement's own text as it stands
 * (StatementText.text): shapes are shared by texts with other literals, so they hold no text. treeTexts() fills it in.
 *
 * - `statement`: the statement itself
 * - `explain`, `declare`, `prepare`, `create-table` (CREATE TABLE AS, CREATE MATERIALIZED VIEW, SELECT INTO), `create-view`, `copy`
 *   (COPY (query) TO, and COPY table TO as the SELECT that it stands for): the query that the wrapper holds. Of nested
 *   wrappers the innermost names the kind; StaticFacts.explain tells of an EXPLAIN around it
 * - `expressions`: what tells of a utility statement: a SELECT of the expressions that it evaluates (arguments of EXECUTE and CALL, COPY FROM …
 *   WHERE), an INSERT or DELETE for the tables that COPY FROM and TRUNCATE write. Its functions and tables count; its outputs go nowhere
 */
export interface TreeText {
  readonly text: string | null;
  readonly kind:
    | "statement"
    | "explain"
    | "declare"
    | "create-table"
    | "copy"
    | "prepare"
    | "create-view"
    | "expressions"
    /** The INSERT that a COPY … FROM resembles: values of its columns' types are read from the client. */
    | "copy-in";
}

/** A name as it is written, not resolved; null: not qualified. Folded and unquoted as PostgreSQL does. */
export interface QualifiedName {
  readonly schema: string | null;
  readonly name: string;
}

/** A relation that a utility statement names: DDL, TRUNCATE, LOCK, VACUUM, COPY … The server tree does not show these. */
export interface NamedRelation extends QualifiedName {
  readonly catalog: string | null;
}

export interface ExplainFacts {
  readonly analyze: boolean;
  readonly verbose: boolean;
  /** EXPLAIN (SETTINGS) prints settings that differ from their defaults. */
  readonly settings: boolean;
  readonly serialize: boolean;
  readonly format: "text" | "json" | "xml" | "yaml";
}

export interface CopyFacts {
  /** "in": COPY … FROM; "out": COPY … TO. */
  readonly direction: "in" | "out";
  readonly target: "client" | "file" | "program";
  readonly format: "text" | "csv" | "binary";
  /** null: COPY (query). */
  readonly relation: NamedRelation | null;
  /** As written, in order; null: no list, which is every column but generated ones. */
  readonly columns: readonly string[] | null;
  /** Effective values: PostgreSQL's defaults where the statement says nothing. */
  readonly delimiter: string;
  readonly null: string;
  readonly header: boolean;
  readonly quote: string;
  readonly escape: string;
  /** Columns that csv output always quotes; "*": all of them. */
  readonly forceQuote: readonly string[] | "*";
  /** Upper case as written; null: the session's client_encoding. */
  readonly encoding: string | null;
}

export type Renames = "relations" | "others" | null;

/** What a definition (DDL) runs, keeps or moves by itself; names as they are written, not resolved. */
export interface Definition {
  /** Code or conditions that nobody reads: a function's body, a policy with a query in it, a view made as a rule, a schema's elements. */
  readonly made: "function" | "policy" | "view" | "schema" | null;
  /**
   * What loses its name, its schema or its parent: `names` are columns, attributes of a type (and columns of the tables that are of
   * it) or schemas; "relation" and "parent": the subjects.
   */
  readonly moved: {
    readonly what: "relation" | "column" | "attribute" | "schema" | "parent";
    readonly names: readonly string[];
  } | null;
  /** In defaults, checks, generated columns, indexes, USING, WHEN … */
  readonly functions: readonly QualifiedName[];
  readonly operators: readonly QualifiedName[];
  readonly types: readonly QualifiedName[];
  /** Parts of names that may be columns, whole rows, or calls in attribute notation. */
  readonly columns: readonly string[];
  /** The relations whose columns those are. */
  readonly subjects: readonly NamedRelation[];
  /** What its foreign keys look up; no columns: the primary key. */
  readonly references: readonly { readonly relation: NamedRelation; readonly columns: readonly string[] }[];
  /** Whose partitions it makes: what lies in the default partition is held against their bounds. */
  readonly partitioned: readonly NamedRelation[];
  /** Columns of the subjects that get another type; `to`: null where that has a length, a precision or dimensions. */
  readonly retyped: readonly { readonly column: string; readonly to: QualifiedName | null }[];
  /** Attributes of a composite type that get another type: tables of that type have them as columns. */
  readonly attributes: readonly string[];
  /** A domain that gets a check, or whose check is tried on all values. */
  readonly domain: QualifiedName | null;
}

export type TransactionAction =
  | "begin"
  | "commit"
  | "rollback"
  | "savepoint"
  | "release"
  | "rollback-to"
  /** PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED */
  | "prepare"
  /** SET TRANSACTION and SET SESSION CHARACTERISTICS */
  | "set";

export interface StaticRefusal {
  /** Stable code of docs/errors.md. */
  readonly code: "STATEMENT_NOT_UNDERSTOOD";
  /** Holds no literal of the text. */
  readonly message: string;
}

export interface StaticFacts {
  /**
   * What the statement's own nodes entail, sorted, each once; "read" and what functions do are the server tree's to say.
   * Statements inside PREPARE, DECLARE and CTEs count, those inside EXPLAIN without ANALYZE and in the bodies of functions and rules
   * do not: nothing of them runs because of this statement. LISTEN and NOTIFY are "session" (both reach beyond the statement),
   * UNLISTEN is nothing. A setting is "session" where its judgement says so.
   */
  readonly effects: readonly Effect[];
  /** What to ask the server; empty: nothing. */
  readonly tree: readonly TreeText[];
  /** Not null: it cannot be understood exactly and must be denied. */
  readonly refusal: StaticRefusal | null;
  readonly settings: readonly SettingUse[];
  readonly transaction: TransactionAction | null;
  /** BEGIN and SET TRANSACTION: READ ONLY, READ WRITE; null: not said. */
  readonly readOnly: boolean | null;
  /** COMMIT or ROLLBACK … AND CHAIN: a new transaction begins at once. */
  readonly chain: boolean;
  /** Of SAVEPOINT, RELEASE, ROLLBACK TO. */
  readonly savepoint: string | null;
  /** The statement (within its wrapper) has a WHERE that is not constantly true; of set operations each part has. MERGE: its ON. */
  readonly hasWhere: boolean;
  /** LIMIT or FETCH FIRST with a number or parameter; FETCH and MOVE of a bounded count. */
  readonly hasLimit: boolean;
  /**
   * Some UPDATE, DELETE or MERGE that counts for `effects` has no WHERE that names rows of its target (absent, constant, or
   * true for every row by its form alone), or it is a TRUNCATE.
   */
  readonly unboundedWrite: boolean;
  /** UPDATE, DELETE, INSERT, MERGE parts that count for `effects`; a command tag counts the rows of the main one only. */
  readonly modifications: number;
  /** false: what it holds does not run now (EXPLAIN without ANALYZE, PREPARE, DECLARE, CREATE VIEW, CREATE FUNCTION, CREATE RULE). */
  readonly executes: boolean;
  readonly explain: ExplainFacts | null;
  readonly copy: CopyFacts | null;
  /** DECLARE. */
  readonly cursor: { readonly hold: boolean; readonly binary: boolean } | null;
  /** The procedure of CALL. */
  readonly procedure: QualifiedName | null;
  /** Relations that a utility statement names, in order, each once. Empty for SELECT and DML: the server tree says it. */
  readonly relations: readonly NamedRelation[];
  /** DDL only; null: nothing that its other facts do not say. */
  readonly definition: Definition | null;
  /**
   * What it gives another name or schema, so that definitions behind it speak of something else: relations (their columns, too), or
   * others, that is functions, types, whole schemas.
   */
  readonly renames: Renames;
  /** It makes temporary objects, or names their schema: only the session itself can see them. */
  readonly temporary: boolean;
  /**
   * What is found out about one text may not hold for another that differs in its literals only (MASKING.md section 1.5). Such a
   * shape is never shared: whatever is kept per shape object is right either way.
   */
  readonly literalSensitive: boolean;
}

const nothing = {
  effects: [],
  tree: [],
  refusal: null,
  settings: [],
  transaction: null,
  readOnly: null,
  chain: false,
  savepoint: null,
  hasWhere: false,
  hasLimit: false,
  unboundedWrite: false,
  modifications: 0,
  executes: true,
  explain: null,
  copy: null,
  cursor: null,
  procedure: null,
  relations: [],
  definition: null,
  renames: null,
  temporary: false,
  literalSensitive: false,
} as const satisfies StaticFacts;

/** Of a message without statements: it does nothing. */
export const emptyFacts: StaticFacts = nothing;

/** Of a text that nobody could read: it may do anything, and must be denied where that matters. */
export const opaqueFacts: StaticFacts = {
  ...nothing,
  effects: ["admin", "ddl", "execute", "file", "lock", "network", "read", "session", "write"],
  refusal: { code: "STATEMENT_NOT_UNDERSTOOD", message: "the statement could not be read" },
  unboundedWrite: true,
  modifications: 1,
  temporary: true,
  literalSensitive: true,
};
