/**
 * Prepared statements and portals of one session, as the server will know them once it has carried out every message
 * sent so far. Protocol and SQL (PREPARE, EXECUTE, DECLARE, DEALLOCATE …) share these names (PROTOCOL.md E5).
 */
import type { ColumnsContext, StatementContext } from "../../audit/index.ts";
import type { StatementShape } from "../../sql/index.ts";

/** A statement's shape, or what stands for it where there is no SQL to read: "empty", "function", "replication". */
export type Shape = Omit<StatementShape, "kind"> & { readonly kind: string };

/** What is known of one statement text of this session. */
export interface PreparedStatement {
  readonly shape: Shape;
  readonly context: StatementContext;
  /** JSON object text without its closing brace, ready for parameters: `{"sql":"…"`. */
  readonly sealed: string;
  readonly bytes: number;
  /** Parameter types as Parse or a ParameterDescription gave them. */
  types: readonly number[];
  /** `[{"type":"int4"},…]` for `types`, built once. */
  typesJson: string | null;
  columns: ColumnsContext | null;
}

export interface Portal {
  readonly statement: PreparedStatement;
  /** JSON array text of the parameter values, null when there are none. */
  readonly values: string | null;
  readonly typesJson: string;
  readonly batch: number;
  /** Opened by DECLARE CURSOR rather than by Bind. */
  readonly cursor: boolean;
}

/** One change of a name that can be taken back. */
export type NameChange =
  | {
      readonly what: "statement";
      readonly name: string;
      readonly before: PreparedStatement | undefined;
      readonly after: PreparedStatement | undefined;
    }
  | {
      readonly what: "portal";
      readonly name: string;
      readonly before: Portal | undefined;
      readonly after: Portal | undefined;
    };

export interface Names {
  readonly statements: Map<string, PreparedStatement>;
  readonly portals: Map<string, Portal>;
  /** The unnamed portal: every driver's hot path, so no map entry comes and goes for it. */
  unnamed: Portal | undefined;
  /** Sum of the statements' text sizes, bytes. */
  bytes: number;
}

/** Enough for any driver's cache; a bound on what one client can make the gateway hold. */
export const maxStatements = 10_000;
export const maxPortals = 1_000;
export const maxStatementBytes = 64 * 1024 * 1024;

export function createNames(): Names {
  return { statements: new Map(), portals: new Map(), unnamed: undefined, bytes: 0 };
}

export function setStatement(
  names: Names,
  name: string,
  statement: PreparedStatement | undefined,
): NameChange {
  const before = names.statements.get(name);
  put(names, name, statement, before);
  return { what: "statement", name, before, after: statement };
}

function put(
  names: Names,
  name: string,
  after: PreparedStatement | undefined,
  before: PreparedStatement | undefined,
): void {
  names.bytes += (after?.bytes ?? 0) - (before?.bytes ?? 0);
  if (after === undefined) names.statements.delete(name);
  else names.statements.set(name, after);
}

export function getPortal(names: Names, name: string): Portal | undefined {
  return name === "" ? names.unnamed : names.portals.get(name);
}

export function setPortal(names: Names, name: string, portal: Portal | undefined): NameChange {
  const before = getPortal(names, name);
  putPortal(names, name, portal);
  return { what: "portal", name, before, after: portal };
}

function putPortal(names: Names, name: string, portal: Portal | undefined): void {
  if (name === "") names.unnamed = portal;
  else if (portal === undefined) names.portals.delete(name);
  else names.portals.set(name, portal);
}

/** Takes a change back, unless something newer already stands in its place. */
export function undo(names: Names, change: NameChange): void {
  if (change.what === "statement") {
    if (names.statements.get(change.name) !== change.after) return;
    put(names, change.name, change.before, change.after);
  } else if (getPortal(names, change.name) === change.after) putPortal(names, change.name, change.before);
}

/** The transaction that ended with `batch` took its portals with it. */
export function dropPortals(names: Names, batch: number): void {
  if (names.unnamed !== undefined && names.unnamed.batch <= batch) names.unnamed = undefined;
  if (names.portals.size === 0) return;
  for (const [name, portal] of names.portals) if (portal.batch <= batch) names.portals.delete(name);
}

/** DISCARD ALL, DEALLOCATE ALL. */
export function dropStatements(names: Names): void {
  names.statements.clear();
  names.bytes = 0;
}
