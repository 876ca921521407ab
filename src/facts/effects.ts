/** What a statement does and touches (SPEC.md section 3, `statement`), as the analysis hands it to the policy. */

/** What running a statement may bring about. Records and policies hold them sorted, each once. */
export type Effect = "admin" | "ddl" | "execute" | "file" | "lock" | "network" | "read" | "session" | "write";

/** One column of a relation, by the server's own numbers; `attribute` 0 is the whole row. */
export interface Attribute {
  readonly relation: number;
  readonly attribute: number;
}

/**
 * Where a column stands in a statement, from harmless to revealing:
 *
 * - `output`: the bare expression of an output column at a level where nothing compares or sorts it
 * - `equality`: operand of a plain `=` or `IN` against parameters or literals in a WHERE that is a conjunction
 * - `derived`: inside an expression that reaches nothing but outputs, and neither fails nor branches by the value
 * - `assigned`: inside an expression that is written to a column (INSERT … SELECT, UPDATE … SET, CREATE TABLE AS)
 * - `arbiter`: the bare column by which ON CONFLICT names a unique index of the table that is written: it chooses an index that judges the
 *   row whether it is named or not, and compares nothing itself
 * - `owner`: in a condition that the table's owner put in (row-level security, security-barrier view), out of the caller's reach
 * - `predicate`: anywhere else (conditions, joins, grouping, ordering, aggregates, functions)
 */
export type Position = "output" | "equality" | "derived" | "assigned" | "arbiter" | "owner" | "predicate";

export interface ColumnUse extends Attribute {
  readonly position: Position;
}

/** A plain equality of a column with parameters or literals. */
export interface Comparison extends Attribute {
  /** How many values it is compared with, but for those of a list that is a parameter. */
  readonly values: number;
  /** The parameter that holds such a list; null: none does. */
  readonly list: number | null;
}

/** One column of the result. */
export interface OutputColumn {
  readonly name: string;
  /** Type oid. */
  readonly type: number;
  /** What RowDescription must say of it: table oid and attribute number; zeros when it is no plain column. */
  readonly origin: Attribute;
  /** Every column whose value may reach it. */
  readonly sources: readonly Attribute[];
  /** It is one of its sources as it stands (through views, sub-selects, UNION ALL), not computed from it. */
  readonly plain: boolean;
}

/** A column that the statement writes, and the columns whose values may reach it. */
export interface Assignment {
  /** null: a table that does not exist yet (CREATE TABLE AS); then `name` is the new column's. */
  readonly target: Attribute | null;
  readonly name: string;
  readonly sources: readonly Attribute[];
}

/** A function of the server's tree that is not on the allow-list. */
export interface UnsafeFunction {
  readonly oid: number;
  /** schema.name */
  readonly name: string;
  readonly effect: Effect;
  readonly reason: string;
}

/** Why a statement cannot be understood exactly. Closed list in docs/errors.md. */
export interface AnalysisProblem {
  readonly code: string;
  /** What it is and what would be understood, for the caller. Holds no value of the database. */
  readonly message: string;
  /** The relation, column, function or node that it is about; null: the whole statement. */
  readonly object: string | null;
}

/** A place where a name that a relation of the system holds is looked into, rather than compared as a whole. */
export interface Inspection extends Attribute {
  /** The operator, function or clause. */
  readonly by: string;
  /** By LIKE with this parameter as its pattern: its value may show that the name is compared as a whole. */
  readonly parameter: number | null;
}

/** What the server's own tree says of one statement. Independent of policy and principal: it may be cached and shared. */
export interface Touched {
  /** "schema.relation", quoted as PostgreSQL quotes, sorted, each once; views and what they stand for both. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** "schema.relation.column". */
  readonly columns: readonly string[];
  /** "schema.function". */
  readonly functions: readonly string[];
  readonly effects: readonly Effect[];
  readonly uses: readonly ColumnUse[];
  /** null: it gives no rows. */
  readonly outputs: readonly OutputColumn[] | null;
  readonly assignments: readonly Assignment[];
  /** Each "equality" among the uses, as often as it stands there; absent: once each. */
  readonly comparisons?: readonly Comparison[];
  /** Of columns of the system's relations only. */
  readonly inspected: readonly Inspection[];
  readonly unsafe: readonly UnsafeFunction[];
  /** Types of its parameters ($1, …) as the server inferred them. */
  readonly parameterTypes: readonly number[];
  /** What rows hold that come beside those of `outputs`: a rule's. They cannot be masked. Absent: there are none. */
  readonly beside?: readonly Attribute[];
  /** Types of the database's own that its values have, by oid; absent: not known. */
  readonly valueTypes?: readonly number[];
  /** It calls set_config() once, for the setting that a condition on PostgreSQL's own pg_settings names. */
  readonly settingRow?: true;
  /** A rule changes rows besides what the statement's command tag counts, or in its place. */
  readonly uncounted?: true;
  /** The value of a literal decided: it holds for this text alone, not for others of its shape. */
  readonly byValue?: true;
  /** Not empty: not understood. It may only run where the policy asks for no analysis and nothing is protected. */
  readonly problems: readonly AnalysisProblem[];
}

/** The facts of one statement that conditions may speak of. */
export interface StatementFacts {
  readonly kind: string;
  readonly command: string;
  readonly effects: readonly Effect[];
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly columns: readonly string[];
  readonly functions: readonly string[];
  readonly labels: readonly string[];
  readonly labelsInPredicates: readonly string[];
  readonly unboundedWrite: boolean;
  readonly hasWhere: boolean;
  readonly hasLimit: boolean;
  /** How many statements its message holds. */
  readonly statements: number;
  readonly inTransaction: boolean;
  readonly bytes: number;
  readonly fingerprint: string | null;
}

export type Mask =
  | { readonly kind: "null" | "redact" | "partial" | "hash" }
  | { readonly kind: "keep"; readonly first: number; readonly last: number }
  | { readonly kind: "date"; readonly unit: "year" | "month" | "day" };

/** How one output column is hidden. */
export interface ColumnMask {
  readonly mask: Mask;
  readonly label: string;
  /** "schema.relation.column" it comes from, for the record; several: the first by name. */
  readonly column: string;
  /** Values of equal domain hash alike: so that results can be joined. */
  readonly domain: string;
}

/** One entry for each output column; null: passes as it is. */
export interface MaskPlan {
  readonly columns: readonly (ColumnMask | null)[];
  /** Error and notice texts may hold protected values: they are replaced, SQLSTATE stays. */
  readonly scrub: boolean;
}
