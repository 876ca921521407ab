/**
 * A catalog in pieces: what one kind of objects has between two oids, with the state that it was read in. A piece whose state is still
 * the same is not read again; all else is. So a change costs what is near it, and what did not change are the same objects as before.
 */
import type { CatalogState } from "./digest.ts";
import { tooLarge } from "./errors.ts";
import { pieceOf, type Range, rangeOf, systemPiece } from "./queries.ts";
import type { Aggregate } from "./read.ts";
import type { RawFunction, RawOperator, RawType } from "./snapshot.ts";
import type { CastFacts, Relation, RoleFacts } from "./types.ts";
import type { Kind } from "./watched.ts";

/** What a piece of each kind holds. */
export interface Facts {
  readonly relations: readonly Relation[];
  readonly functions: {
    readonly functions: readonly RawFunction[];
    readonly aggregates: readonly Aggregate[];
  };
  readonly operators: readonly RawOperator[];
  readonly types: readonly RawType[];
  readonly casts: readonly CastFacts[];
}

interface Piece<F> {
  readonly state: string;
  readonly facts: F;
}

export type Pieces = { readonly [K in Kind]: ReadonlyMap<number, Piece<Facts[K]>> };

/** A catalog as it was read under one login. */
export interface Kept {
  readonly login: string;
  readonly others: string;
  /** Names by oid. */
  readonly schemas: ReadonlyMap<number, string>;
  readonly roles: readonly RoleFacts[];
  readonly pieces: Pieces;
}

/** Beyond it everything is read in one go: a condition must not grow without bound. */
const maxRanges = 64;

/**
 * What must be read of one kind so that its pieces are those of `state`: nothing, some oids, or all.
 * @param mark pieces that have rows of this catalog are read whatever their state.
 */
export function outdated(
  kind: Kind,
  state: CatalogState,
  kept: Pieces | null,
  mark: string | null = null,
): Range[] {
  const known = kept?.[kind];
  const read = [...state.pieces[kind]]
    .filter(([piece, now]) => known?.get(piece)?.state !== now || (mark !== null && isMarked(now, mark)))
    .map(([piece]) => piece)
    .sort((a, b) => a - b);
  const ranges: { from: number; to: number }[] = [];
  for (const piece of read) {
    const { from, to } = rangeOf(piece);
    const last = ranges.at(-1);
    if (last !== undefined && last.to + 1 === from) last.to = to;
    else ranges.push({ from, to });
  }
  const [first] = ranges;
  const last = ranges.at(-1);
  return ranges.length > maxRanges && first !== undefined && last !== undefined
    ? [{ from: first.from, to: last.to }]
    : ranges;
}

function inRanges(ranges: readonly Range[], piece: number): boolean {
  return ranges.some(({ from, to }) => pieceOf(from) <= piece && piece <= pieceOf(to));
}

/** The pieces of `state`: those of the ranges as they were read, and of the others those that are kept. */
export function joined<F>(
  state: ReadonlyMap<number, string>,
  kept: ReadonlyMap<number, Piece<F>> | undefined,
  ranges: readonly Range[],
  read: ReadonlyMap<number, F>,
  nothing: F,
): Map<number, Piece<F>> {
  const pieces = new Map<number, Piece<F>>();
  for (const [piece, now] of state) {
    const old = inRanges(ranges, piece) ? undefined : kept?.get(piece);
    pieces.set(piece, old ?? { state: now, facts: read.get(piece) ?? nothing });
  }
  // Made between the digest and the reading: of no state, so that it is read again.
  for (const [piece, facts] of read) if (!pieces.has(piece)) pieces.set(piece, { state: "", facts });
  return pieces;
}

/** Whether what is to be read has rows of a catalog that initdb's own objects need none of. */
export function hasRows(state: ReadonlyMap<number, string>, ranges: readonly Range[], mark: string): boolean {
  for (const [piece, text] of state)
    if (piece !== systemPiece && isMarked(text, mark) && inRanges(ranges, piece)) return true;
  return false;
}

function isMarked(state: string, mark: string): boolean {
  return ` ${state}`.includes(` ${mark}/`);
}

/** Objects that initdb made only. */
export function systemOnly(kept: Kept): Kept {
  const only = <F>(pieces: ReadonlyMap<number, Piece<F>>) =>
    new Map([...pieces].filter(([piece]) => piece === systemPiece));
  const { relations, functions, operators, types, casts } = kept.pieces;
  return {
    ...kept,
    pieces: {
      relations: only(relations),
      functions: only(functions),
      operators: only(operators),
      types: only(types),
      casts: only(casts),
    },
  };
}

/** How much of a catalog is held; beyond it there is none, and what needs one is refused. */
export interface CatalogLimits {
  readonly relations: number;
  readonly columns: number;
  readonly functions: number;
  /** Types; operators, casts, roles and schemas are bounded by the same number. */
  readonly types: number;
  /** Bytes of the query trees of views, all together. */
  readonly treeBytes: number;
  /** Bytes of the bodies of functions, all together. */
  readonly bodyBytes: number;
}

export const defaultCatalogLimits: CatalogLimits = {
  relations: 100_000,
  columns: 2_000_000,
  functions: 100_000,
  types: 300_000,
  treeBytes: 128 * 1024 * 1024,
  bodyBytes: 64 * 1024 * 1024,
};

/** Throws CatalogError ("catalog-too-large") when the pieces together hold too much. */
export function checkSize(pieces: Pieces, limits: CatalogLimits): void {
  const sizes: Record<keyof CatalogLimits, number> = {
    relations: 0,
    columns: 0,
    functions: 0,
    types: 0,
    treeBytes: 0,
    bodyBytes: 0,
  };
  for (const { facts } of pieces.relations.values()) {
    sizes.relations += facts.length;
    for (const { columns, storedTree } of facts) {
      sizes.columns += columns.length;
      sizes.treeBytes += storedTree?.length ?? 0;
    }
  }
  for (const { facts } of pieces.functions.values()) {
    sizes.functions += facts.functions.length;
    for (const { body } of facts.functions) sizes.bodyBytes += body?.length ?? 0;
  }
  for (const { facts } of pieces.types.values()) sizes.types += facts.length;
  for (const what of limitNames)
    if (sizes[what] > limits[what]) throw tooLarge(sizeNames[what], limits[what]);
}

export const limitNames = ["relations", "columns", "functions", "types", "treeBytes", "bodyBytes"] as const;
export const sizeNames: Readonly<Record<keyof CatalogLimits, string>> = {
  relations: "relations",
  columns: "columns",
  functions: "functions",
  types: "types",
  treeBytes: "bytes of views",
  bodyBytes: "bytes of functions",
};

/** Whether schemas that are still there bear the names that they had. */
export function sameNames(before: ReadonlyMap<number, string>, now: ReadonlyMap<number, string>): boolean {
  for (const [oid, name] of now) if ((before.get(oid) ?? name) !== name) return false;
  return true;
}

interface Named {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** Whether a function, operator or type that is still there has another name, or lies in another schema. */
export function renames(before: Pieces, now: Pieces): boolean {
  const itself = (list: readonly Named[]) => list;
  return (
    renamesIn(before.functions, now.functions, ({ functions }) => functions) ||
    renamesIn(before.operators, now.operators, itself) ||
    renamesIn(before.types, now.types, itself)
  );
}

function renamesIn<F>(
  before: ReadonlyMap<number, Piece<F>>,
  now: ReadonlyMap<number, Piece<F>>,
  listed: (facts: F) => readonly Named[],
): boolean {
  for (const [piece, { facts }] of now) {
    const old = before.get(piece)?.facts;
    if (old === undefined || old === facts) continue;
    const known = new Map(listed(old).map((one) => [one.oid, one]));
    for (const { oid, schema, name } of listed(facts)) {
      const was = known.get(oid);
      if (was !== undefined && (was.name !== name || was.schema !== schema)) return true;
    }
  }
  return false;
}
