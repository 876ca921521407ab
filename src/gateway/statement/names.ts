/**
 * Prepared statements and portals of one session, as the server will know them once it has carried out every message
 * sent so far. Protocol and SQL (PREPARE, EXECUTE, DECLARE, DEALLOCATE …) share these names (PROTOCOL.md E5).
 *
 * What stands here can be relied on as long as the server knows no name that is missing here: a name that it has dropped
 * meanwhile does no harm, but one that it has and we have not could be used under another text.
 */
import type { ColumnsContext } from "../../audit/index.ts";
import type { FieldDescription } from "../../protocol/index.ts";
import type { StatementShape } from "../../sql/index.ts";
import type { Delivered } from "./guard.ts";
import type { Pass } from "./holding.ts";
import type { Judgement } from "./judgement.ts";
import type { Expected } from "./queue.ts";

/** A statement's shape, or what stands for it where there is no SQL to read: "empty", "function", "replication". */
export type Shape = Omit<StatementShape, "kind"> & { readonly kind: string };

/** What is known of one statement text of this session. */
export interface PreparedStatement {
  readonly shape: Shape;
  /** JSON object text without its closing brace, ready for parameters: `{"sql":"…"`; null: not needed yet (sealedOf). */
  sealed: string | null;
  readonly text: string;
  /** What the server is asked about: the text, or the same with casts where PREPARE gave types to parameters. */
  readonly asked: string;
  readonly bytes: number;
  /** PostgreSQL's grammar refuses it, as far as we know. */
  syntaxError: boolean;
  /** The text was not read, and may make or drop names. */
  readonly hides: boolean;
  /** It may change how the server reads texts. */
  readonly unsettles: boolean;
  /** Parameter types as Parse gave them; 0: the server is to find out. */
  declared: readonly number[];
  /** Parameter types as Parse or a ParameterDescription gave them. */
  types: readonly number[];
  /** `[{"type":"int4"},…]` for `types`, built once. */
  typesJson: string | null;
  columns: ColumnsContext | null;
  /** Its sqlcommenter comment, if it may be one. */
  readonly comment: string | null;
  /** What was decided of it last. */
  judged: Judgement | null;
}

/** That a portal may run, and as what it was judged when people agreed. */
export interface Agreed {
  readonly pass: Pass;
  readonly judged: string;
}

export interface Portal {
  readonly statement: PreparedStatement;
  /** JSON array text of the parameter values, null when there are none. */
  readonly values: string | null;
  /** The formats of its columns that Bind asked for; null: opened by SQL. */
  readonly formats: readonly number[] | null;
  readonly typesJson: string;
  readonly batch: number;
  /** Opened by DECLARE CURSOR rather than by Bind. */
  readonly cursor: boolean;
  /** WITH HOLD: it outlives its transaction. */
  readonly hold: boolean;
  /** What it has given so far. */
  readonly delivered: Delivered;
  /** What was decided of it when its names were looked up: at its Bind or DECLARE. null: nothing. */
  readonly bound: Judgement | null;
  /** Values in the lists that its judgement counts. null: not known, as its parameters are SQL's. */
  readonly compared: number | null;
  /** A Describe of it has been sent; its answer comes before any row. */
  described: boolean;
  /** People have agreed to it; null: nobody was asked. */
  readonly agreed: Agreed | null;
  fields: readonly FieldDescription[] | null;
}

interface Change<What, Thing> {
  readonly what: What;
  readonly name: string;
  before: Thing | undefined;
  readonly after: Thing | undefined;
  /** The next change of the same name, if it was made before this one was answered. */
  later: Change<What, Thing> | null;
}
/** One change of a name that can be taken back. */
export type NameChange = Change<"statement", PreparedStatement> | Change<"portal", Portal>;

/** The newest message that changes each name and has no answer yet: the server may skip it. */
interface Pending {
  unnamed: Expected | null;
  readonly named: Map<string, Expected>;
}

export interface Names {
  readonly statements: Map<string, PreparedStatement>;
  readonly portals: Map<string, Portal>;
  /** The unnamed portal: every driver's hot path, so no map entry comes and goes for it. */
  unnamed: Portal | undefined;
  readonly pending: { readonly statement: Pending; readonly portal: Pending };
  /** A text that was not read may have made names that are not here. */
  hidden: boolean;
  /** Sum of the sizes of the statements' texts and the portals' parameters, bytes. */
  bytes: number;
}

/** Enough for any driver's cache; a bound on what one client can make the gateway hold. */
export const maxStatements = 10_000;
export const maxPortals = 1_000;
export const maxStatementBytes = 64 * 1024 * 1024;

/** PostgreSQL keeps statements and portals by the first NAMEDATALEN - 1 bytes of their names (dynahash.c). */
const nameBytes = 63;

/**
 * The name under which the server keeps `name`, which came in a message of the protocol.
 * `utf8`: client_encoding is UTF8. null: that depends on encodings, and cannot be told.
 */
export function serverName(name: string, utf8: boolean): string | null {
  const bytes = Buffer.byteLength(name);
  if (bytes === name.length) return bytes <= nameBytes ? name : name.slice(0, nameBytes);
  return utf8 && bytes <= nameBytes ? name : null;
}

/** Whether the names that these statements make may still be kept. */
export function roomForNames(
  names: Names,
  statements: readonly { readonly shape: Pick<Shape, "names"> }[],
): boolean {
  let [prepared, declared, bytes] = [0, 0, 0];
  for (const { shape } of statements) {
    for (const { kind, text } of shape.names) {
      if (kind === "prepare") prepared++;
      else if (kind === "declare") declared++;
      bytes += text?.length ?? 0;
    }
  }
  return (
    (prepared === 0 || names.statements.size + prepared <= maxStatements) &&
    (declared === 0 || names.portals.size + declared <= maxPortals) &&
    (bytes === 0 || names.bytes + bytes <= maxStatementBytes)
  );
}

export function createNames(): Names {
  const pending = (): Pending => ({ unnamed: null, named: new Map() });
  return {
    statements: new Map(),
    portals: new Map(),
    unnamed: undefined,
    pending: { statement: pending(), portal: pending() },
    hidden: false,
    bytes: 0,
  };
}

export function setStatement(
  names: Names,
  name: string,
  statement: PreparedStatement | undefined,
): NameChange {
  const before = names.statements.get(name);
  put(names, name, statement, before);
  return { what: "statement", name, before, after: statement, later: null };
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

/** A statement that EXECUTE names may itself be an EXECUTE or FETCH; nobody needs more levels than this. */
export const maxLevels = 4;

/** The cursor whose rows a statement sends: of its FETCH, or of the one that it EXECUTEs. Limits hold for all that a cursor gives. */
export function cursorIn(names: Names, shape: Pick<Shape, "names">, level = 0): Portal | undefined {
  for (const { kind, name } of shape.names) {
    if (name === null) continue;
    if (kind === "fetch") return getPortal(names, name);
    const used = kind === "execute" && level < maxLevels ? names.statements.get(name) : undefined;
    if (used !== undefined) return cursorIn(names, used.shape, level + 1);
  }
  return undefined;
}

export function setPortal(names: Names, name: string, portal: Portal | undefined): NameChange {
  const before = getPortal(names, name);
  putPortal(names, name, portal, before);
  return { what: "portal", name, before, after: portal, later: null };
}

function putPortal(names: Names, name: string, after: Portal | undefined, before: Portal | undefined): void {
  names.bytes += portalBytes(after) - portalBytes(before);
  if (name === "") names.unnamed = after;
  else if (after === undefined) names.portals.delete(name);
  else names.portals.set(name, after);
}

/** A portal keeps its statement, too, when the statement's name is gone. */
function portalBytes(portal: Portal | undefined): number {
  return portal === undefined ? 0 : (portal.values?.length ?? 0) + portal.statement.bytes;
}

/** `entry.change` is on its way to the server; until it is answered, nobody knows whether it happens. */
export function awaitChange(names: Names, entry: Expected): void {
  const { change } = entry;
  if (change === null) return;
  const before = newest(names, change.what, change.name)?.change;
  if (before?.what === "statement" && change.what === "statement") before.later = change;
  else if (before?.what === "portal" && change.what === "portal") before.later = change;
  const pending = names.pending[change.what];
  if (change.name === "") pending.unnamed = entry;
  else pending.named.set(change.name, entry);
}

function newest(names: Names, what: NameChange["what"], name: string): Expected | null {
  const pending = names.pending[what];
  if (name === "") return pending.unnamed;
  return pending.named.size === 0 ? null : (pending.named.get(name) ?? null);
}

/** The server has answered `entry`, or skipped it. */
export function settleChange(names: Names, entry: Expected): void {
  const { change } = entry;
  if (change === null || newest(names, change.what, change.name) !== entry) return;
  const pending = names.pending[change.what];
  if (change.name === "") pending.unnamed = null;
  else pending.named.delete(change.name);
}

/**
 * The message that decides what `name` stands for in batch `batch`, if that is open: one of an earlier batch that has no
 * answer yet. (One of the same batch, if it fails, takes whatever is behind it along.)
 */
export function undecided(
  names: Names,
  what: NameChange["what"],
  name: string,
  batch: number,
): Expected | null {
  const entry = newest(names, what, name);
  return entry !== null && entry.batch !== batch ? entry : null;
}

/** Takes a change back. What was put in its place before it was known to fail goes back, should it fail too, to the same. */
export function undo(names: Names, change: NameChange): void {
  if (change.what === "statement") {
    if (change.later !== null) change.later.before = change.before;
    else if (names.statements.get(change.name) === change.after)
      put(names, change.name, change.before, change.after);
  } else if (change.later !== null) change.later.before = change.before;
  else if (getPortal(names, change.name) === change.after)
    putPortal(names, change.name, change.before, change.after);
}

/** The transaction that ended with `batch` took its portals with it. */
export function dropPortals(names: Names, batch: number): void {
  dropWhere(names, (portal) => portal.batch <= batch && !portal.hold);
}

/** CLOSE ALL; `all`: DISCARD ALL. */
export function dropCursors(names: Names, all: boolean): void {
  dropWhere(names, (portal) => all || portal.cursor);
}

function dropWhere(names: Names, test: (portal: Portal) => boolean): void {
  const { unnamed } = names;
  if (unnamed !== undefined && test(unnamed)) putPortal(names, "", undefined, unnamed);
  if (names.portals.size === 0) return;
  for (const [name, portal] of names.portals) if (test(portal)) putPortal(names, name, undefined, portal);
}

/** DEALLOCATE ALL, DISCARD ALL: every statement but the unnamed one. */
export function dropStatements(names: Names): void {
  for (const [name, statement] of names.statements) if (name !== "") put(names, name, undefined, statement);
}

/** A text that was not read may have given any name to anything: `unknown()` stands for each from now on. */
export function forget(names: Names, unknown: () => PreparedStatement): void {
  names.hidden = true;
  for (const [name, statement] of names.statements) if (name !== "") put(names, name, unknown(), statement);
  for (const [name, portal] of names.portals)
    putPortal(names, name, { ...portal, statement: unknown(), values: null, typesJson: "[]" }, portal);
}
