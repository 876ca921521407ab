/** What a database has, as an immutable snapshot (PostgreSQL manual, "System Catalogs"). */
import type { Effect } from "../facts/effects.ts";

/** Runs one read-only statement as a simple query and gives its rows as text. Rejects when the server or the connection fails. */
export type CatalogQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** A function or relation may be used freely, or what using it brings about and why. */
export type Verdict =
  | { readonly safe: true }
  | { readonly safe: false; readonly effect: Effect; readonly reason: string };
export type FunctionVerdict = Verdict;

export interface Column {
  readonly attnum: number;
  readonly name: string;
  /** Type oid. */
  readonly type: number;
  readonly typmod: number;
  readonly notNull: boolean;
  readonly inPrimaryKey: boolean;
  /** In the partition key of a table that has a default partition. */
  readonly inDefaultKey: boolean;
  /** Attribute numbers it is computed from, sorted; [] for an ordinary column. */
  readonly generatedFrom: readonly number[];
}

/** pg_class.relkind, without indexes: table, view, materialized view, partitioned table, foreign table, sequence, TOAST table, composite type. */
export type RelationKind = "r" | "v" | "m" | "p" | "f" | "S" | "t" | "c";

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** Role oid. */
  readonly owner: number;
  /** In pg_catalog, information_schema or a TOAST schema, made by initdb. */
  readonly system: boolean;
  readonly temporary: boolean;
  /** In order of attnum; dropped columns are left out. */
  readonly columns: readonly Column[];
  /** Oids of what it inherits from or is a partition of, and of what inherits from it; direct ones only. */
  readonly parents: readonly number[];
  readonly children: readonly number[];
  /**
   * Attribute numbers that conditions of its own look at (checks, partition keys, indexes, statistics, triggers, policies), or that foreign
   * keys and triggers of PostgreSQL's own copy elsewhere. 0: any of them.
   */
  readonly conditioned: readonly number[];
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  /**
   * Writes to it run triggers that do more than look whether a key is there (of its owner, or ON DELETE CASCADE and the like), or code
   * that users made: in checks, generated columns, indexes, partition keys.
   */
  readonly runsCode: boolean;
  readonly hasRules: boolean;
  readonly securityBarrier: boolean;
  /** A view WITH CHECK OPTION: rows that are written through it must be ones that it shows. */
  readonly checksRows: boolean;
  readonly securityInvoker: boolean;
  /** What the login role may do with it: superuser rights and inherited ones count. */
  readonly privileges: RelationPrivileges;
  /** The query tree behind a view or materialized view (pg_rewrite.ev_action of its ON SELECT rule); null: none, or a system view. */
  readonly storedTree: string | null;
  /** Unsafe: whatever is read of it holds values that no label of a policy reaches (TOAST tables, pg_largeobject). */
  readonly verdict: Verdict;
}

export interface RelationPrivileges {
  /** It is the owner, or a member of the owner. */
  readonly owns: boolean;
  /** On the table or on any of its columns. */
  readonly select: boolean;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  readonly truncate: boolean;
}

export interface FunctionFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Function, procedure, aggregate, window function. */
  readonly kind: "f" | "p" | "a" | "w";
  readonly language: string;
  readonly volatility: "i" | "s" | "v";
  readonly securityDefiner: boolean;
  readonly owner: number;
  /** Made by initdb in pg_catalog or information_schema. */
  readonly system: boolean;
  readonly returnsSet: boolean;
  readonly strict: boolean;
  /** Type oids of the input arguments, and of the result. */
  readonly arguments: readonly number[];
  readonly result: number;
  /**
   * Only for functions that initdb did not make: the source text of SQL and PL/pgSQL functions, of internal ones the name of the server's
   * own; null: another language, or too long.
   */
  readonly body: string | null;
  /** pg_proc.proconfig: settings that hold while it runs, "name=value". */
  readonly config: readonly string[];
  /** The extension that it belongs to. */
  readonly extension: string | null;
  readonly verdict: FunctionVerdict;
}

export interface OperatorFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Type oids; 0: a prefix operator has no left one. */
  readonly left: number;
  readonly right: number;
  readonly result: number;
  /** Oid of the function behind it; 0: a shell operator. */
  readonly func: number;
  readonly system: boolean;
  /** That of its function. */
  readonly verdict: FunctionVerdict;
}

export interface TypeFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_type.typtype: base, composite, domain, enum, pseudo, range, multirange. */
  readonly kind: "b" | "c" | "d" | "e" | "p" | "r" | "m";
  /** pg_type.typcategory. */
  readonly category: string;
  /** The relation of a composite type; 0: none. */
  readonly relation: number;
  /** The element type of an array (or of anything that takes subscripts); 0: none. */
  readonly element: number;
  /** Its array type; 0: none. */
  readonly array: number;
  /** The type under a domain; 0: none. */
  readonly base: number;
  /** Functions that read and write its values: text in, text out, binary in, binary out; 0: none. */
  readonly input: number;
  readonly output: number;
  readonly receive: number;
  readonly send: number;
  /** Functions that the CHECK constraints of a domain call. */
  readonly constraintFunctions: readonly number[];
  readonly system: boolean;
  /** Of everything that runs when a value is read, written or checked: input, output, receive, send and constraints, of its parts too. */
  readonly verdict: FunctionVerdict;
}

export interface CastFacts {
  readonly source: number;
  readonly target: number;
  /** Oid of the function; 0: through text, or none needed. */
  readonly func: number;
  /** Explicit, in assignments, or implicit. */
  readonly context: "e" | "a" | "i";
}

export interface RoleFacts {
  readonly oid: number;
  readonly name: string;
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly createRole: boolean;
  readonly createDatabase: boolean;
  readonly replication: boolean;
  readonly bypassRowSecurity: boolean;
  readonly canLogin: boolean;
}

/** The role that the gateway's connection runs as. */
export interface LoginFacts extends RoleFacts {
  /** Names of the roles it is a member of, directly or not, sorted. */
  readonly memberOf: readonly string[];
  /** Rights in the database. */
  readonly mayCreateSchemas: boolean;
  readonly mayCreateTemporary: boolean;
  /** Schemas of no system in which it may create objects, sorted. */
  readonly mayCreateIn: readonly string[];
  /** It may keep the trees of the analysis out of the server's log (GRANT SET ON PARAMETER log_min_messages; PostgreSQL 15). */
  readonly mayQuietLog: boolean;
}

export interface CatalogSnapshot {
  readonly epoch: number;
  /** CatalogState.digest when it was taken. */
  readonly digest: string;
  /** server_version_num: 180004 is 18.4. */
  readonly serverVersion: number;
  readonly database: string;
  readonly login: LoginFacts;
  /** The schemas that unqualified names are looked up in, implicit ones first, as the gateway's connection has them. */
  readonly searchPath: readonly string[];
  relation(oid: number): Relation | undefined;
  /**
   * Whether a column may be read like any other, whoever reads it and through whatever view: not so where a system catalog holds
   * sampled values, passwords or logins (pg_statistic.stavalues1, pg_authid.rolpassword, …). Attribute 0: the whole row.
   */
  columnVerdict(relation: number, attnum: number): Verdict;
  relationNamed(schema: string, name: string): Relation | undefined;
  relations(): Iterable<Relation>;
  column(relation: number, attnum: number): Column | undefined;
  func(oid: number): FunctionFacts | undefined;
  /** Every function of that name, in any schema. */
  functionsNamed(name: string): readonly FunctionFacts[];
  functions(): Iterable<FunctionFacts>;
  operator(oid: number): OperatorFacts | undefined;
  operatorsNamed(name: string): readonly OperatorFacts[];
  type(oid: number): TypeFacts | undefined;
  typesNamed(name: string): readonly TypeFacts[];
  cast(source: number, target: number): CastFacts | undefined;
  /** Casts to json, by functions that initdb did not make. */
  readonly jsonCasts: readonly CastFacts[];
  role(oid: number): RoleFacts | undefined;
  /** Schemas that exist. */
  hasSchema(name: string): boolean;
}
