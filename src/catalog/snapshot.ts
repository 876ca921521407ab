/** The snapshot's look-ups: maps by oid and by name, and verdicts that are worked out when first asked for. */
import { partReaders } from "./functions/effects.ts";
import { type NameLookup, userFunctionVerdict } from "./functions/user.ts";
import { type LocalVerdict, localVerdict, refused, safe } from "./functions/verdict.ts";
import type { Pieces } from "./pieces.ts";
import { firstNormalOid, systemPiece } from "./queries.ts";
import { columnVerdict } from "./relations.ts";
import { append, sortedUnique } from "./rows.ts";
import { SystemFacts, Versions } from "./shared.ts";
import type {
  CastFacts,
  CatalogSnapshot,
  Column,
  FunctionFacts,
  FunctionVerdict,
  LoginFacts,
  OperatorFacts,
  Relation,
  RoleFacts,
  TypeFacts,
} from "./types.ts";

/** A statement's nodes as libpg-query gives them ({ "SelectStmt": { … } }, …); null: not SQL. */
export type ParseSql = (sql: string) => readonly unknown[] | null;

/** How functions of the database are judged. */
export interface FunctionTrust {
  /** "schema.function" as it stands in pg_proc, unquoted, that the operator vouches for. */
  readonly trusted: readonly string[];
  /** null: no body is read. */
  readonly parse: ParseSql | null;
}

/** Object identifier of type json. */
const json = 114;
/** No function has this oid. */
const unknownOid = 0xffffffff;

/** A function whose verdict is not yet known. */
export type RawFunction = Omit<FunctionFacts, "verdict">;
export type RawType = Omit<TypeFacts, "verdict"> & {
  /** Range types: the subtype and the function that brings values into one form; 0: none. */
  readonly subtype: number;
  readonly canonical: number;
};

export type RawOperator = Omit<OperatorFacts, "verdict">;

const systems = new Versions(() => new SystemFacts<RawFunction, RawOperator, RawType>());

/** What servers of one version (server_version_num) have in common. */
export function systemOf(serverVersion: number): SystemFacts<RawFunction, RawOperator, RawType> {
  return systems.of(serverVersion);
}

/** Temporary objects that only their session may use. */
export interface Temporary {
  readonly relations: readonly Relation[];
  readonly types: readonly RawType[];
}

export const noTemporary: Temporary = { relations: [], types: [] };

export interface SnapshotParts {
  readonly epoch: number;
  readonly digest: string;
  readonly serverVersion: number;
  readonly database: string;
  readonly login: LoginFacts;
  readonly searchPath: readonly string[];
  /** Names by oid. */
  readonly schemas: ReadonlyMap<number, string>;
  readonly roles: readonly RoleFacts[];
  /** What did not change is shared with the snapshots before and after this one. */
  readonly pieces: Pieces;
  readonly temporary: Temporary;
}

/**
 * Facts with a `verdict` that is worked out when it is first read. The getter is the class's, so that all objects of one kind are of
 * one shape to the engine: they are looked at for every statement.
 */
class WithVerdict {
  readonly #judge: () => FunctionVerdict;
  #known: FunctionVerdict | null = null;

  /** Takes a copy of the facts: what was loaded may belong to several catalogs. */
  constructor(facts: object, judge: () => FunctionVerdict) {
    Object.assign(this, facts);
    this.#judge = judge;
  }

  get verdict(): FunctionVerdict {
    this.#known ??= this.#judge();
    return this.#known;
  }
}

/** Makes facts of what was loaded when they are first asked for: few of a catalog's objects ever are. */
class Judged<Raw extends { readonly oid: number }, Facts extends { readonly verdict: FunctionVerdict }> {
  private readonly known = new Map<number, Facts>();
  private readonly facts: (raw: Raw) => Omit<Facts, "verdict">;
  private readonly judge: (raw: Raw) => FunctionVerdict;

  constructor(facts: (raw: Raw) => Omit<Facts, "verdict">, judge: (raw: Raw) => FunctionVerdict) {
    this.facts = facts;
    this.judge = judge;
  }

  readonly of = (raw: Raw): Facts => {
    let found = this.known.get(raw.oid);
    if (found === undefined) {
      found = new WithVerdict(this.facts(raw), () => this.judge(raw)) as unknown as Facts;
      this.known.set(raw.oid, found);
    }
    return found;
  };

  ofAny(raw: Raw | undefined): Facts | undefined {
    return raw === undefined ? undefined : this.of(raw);
  }
}

/** The facts of the system's piece, and of the others. */
function listsOf<F>(pieces: ReadonlyMap<number, { readonly facts: F }>): {
  readonly system: F | undefined;
  readonly own: readonly F[];
} {
  return {
    system: pieces.get(systemPiece)?.facts,
    own: [...pieces].flatMap(([piece, { facts }]) => (piece === systemPiece ? [] : [facts])),
  };
}

const none: readonly never[] = [];

/** Relations that have children, as they were last built. */
const families = new WeakMap<Relation, Relation>();

/** All relations by oid, each with its children, which may be of other pieces. What did not change is the same object as before. */
function relationsOf(
  pieces: Pieces["relations"],
  temporary: readonly Relation[],
): ReadonlyMap<number, Relation> {
  const children = new Map<number, number[]>();
  const relations = new Map<number, Relation>();
  for (const list of [...[...pieces.values()].map(({ facts }) => facts), temporary])
    for (const one of list) {
      relations.set(one.oid, one);
      for (const parent of one.parents) append(children, parent, one.oid);
    }
  for (const [parent, unsorted] of children) {
    const one = relations.get(parent);
    if (one === undefined) continue;
    const list = sortedUnique(unsorted);
    let whole = families.get(one);
    if (whole === undefined || whole.children.join() !== list.join()) {
      whole = { ...one, children: list };
      families.set(one, whole);
    }
    relations.set(parent, whole);
  }
  return relations;
}

export function buildSnapshot(parts: SnapshotParts, trust: FunctionTrust): CatalogSnapshot {
  // The snapshot must not keep `parts`: none of its functions may name it.
  const schemas = new Set(parts.schemas.values());
  const system = systemOf(parts.serverVersion);
  const { pieces, temporary } = parts;
  const functionPieces = listsOf(pieces.functions);
  const aggregates = new Map(functionPieces.own.flatMap((facts) => facts.aggregates));
  const castPieces = listsOf(pieces.casts);
  const castList = [...(castPieces.system ?? none), ...castPieces.own.flat()];
  const relations = relationsOf(pieces.relations, temporary.relations);
  let relationsByName: ReadonlyMap<string, Relation> | null = null;
  const roles = new Map(parts.roles.map((role) => [role.oid, role]));
  const casts = new Map(castList.map((cast) => [`${cast.source}>${cast.target}`, cast]));
  const jsonCasts = castList.filter(({ target, func }) => target === json && func >= firstNormalOid);
  const trusted = new Set(trust.trusted);

  const functions = system.functions.objects(
    functionPieces.system?.functions ?? none,
    functionPieces.own.flatMap((facts) => facts.functions),
  );
  const operatorPieces = listsOf(pieces.operators);
  const operators = system.operators.objects(operatorPieces.system ?? none, operatorPieces.own.flat());
  const typePieces = listsOf(pieces.types);
  const types = system.types.objects(typePieces.system ?? none, [
    ...typePieces.own.flat(),
    ...temporary.types,
  ]);
  const judgedFunctions = new Judged<RawFunction, FunctionFacts>(
    (raw) => raw,
    ({ oid }) => closure([oid]),
  );
  const judgedOperators = new Judged<RawOperator, OperatorFacts>(
    (raw) => raw,
    ({ func }) => (func === 0 ? refused("is an operator without a function") : closure([func])),
  );
  const judgedTypes = new Judged<RawType, TypeFacts>(
    ({ subtype: _subtype, canonical: _canonical, ...facts }) => facts,
    ({ oid }) => closure(typeFunctions(oid)),
  );

  const superusers = new Set(parts.roles.flatMap((role) => (role.superuser ? [role.oid] : [])));

  const snapshot: CatalogSnapshot = {
    epoch: parts.epoch,
    digest: parts.digest,
    serverVersion: parts.serverVersion,
    database: parts.database,
    login: parts.login,
    searchPath: parts.searchPath,
    relation: (oid) => relations.get(oid),
    columnVerdict(oid, attnum) {
      const relation = relations.get(oid);
      if (relation === undefined) return refused("is of a relation that the catalog does not hold");
      if (!relation.verdict.safe) return relation.verdict;
      const read = attnum === 0 ? relation.columns : relation.columns.filter((c) => c.attnum === attnum);
      const verdicts = read.map((column) => columnVerdict(relation.schema, relation.name, column.name));
      return verdicts.find((verdict) => !verdict.safe) ?? safe;
    },
    relationNamed(schema, name) {
      relationsByName ??= new Map([...relations.values()].map((one) => [`${one.schema}\0${one.name}`, one]));
      return relationsByName.get(`${schema}\0${name}`);
    },
    relations: () => relations.values(),
    column: (relation, attnum) => columnOf(relations.get(relation), attnum),
    func: (oid) => judgedFunctions.ofAny(functions.get(oid)),
    functionsNamed: (name) => functions.named(name).map(judgedFunctions.of),
    functions: () => functions.values(judgedFunctions.of),
    operator: (oid) => judgedOperators.ofAny(operators.get(oid)),
    operatorsNamed: (name) => operators.named(name).map(judgedOperators.of),
    type: (oid) => judgedTypes.ofAny(types.get(oid)),
    typesNamed: (name) => types.named(name).map(judgedTypes.of),
    cast: (source, target) => casts.get(`${source}>${target}`),
    jsonCasts,
    role: (oid) => roles.get(oid),
    hasSchema: (name) => schemas.has(name),
  };

  const locals = new Map<number, LocalVerdict>();
  const unknown: LocalVerdict = {
    verdict: refused("is a function that the catalog does not hold"),
    calls: [],
  };

  function local(oid: number): LocalVerdict {
    const known = locals.get(oid);
    if (known !== undefined) return known;
    const func = snapshot.func(oid);
    if (func === undefined) return unknown;
    const found = localVerdict(func, {
      isTrusted: (f) => trusted.has(`${f.schema}.${f.name}`),
      isSuperusers: (f) => superusers.has(f.owner),
      parts: (f) => aggregates.get(f.oid),
      readBody: (f) =>
        trust.parse === null
          ? { verdict: refused("is a function of this database whose body is not read"), calls: [] }
          : userFunctionVerdict(f, names, trust.parse),
    });
    locals.set(oid, found);
    return found;
  }

  /** Of these functions and of all that they may call; a function may call itself. */
  function closure(start: readonly number[]): FunctionVerdict {
    const first = new Set(start);
    const reached = new Set(start);
    for (const oid of reached) {
      if (oid === 0) continue;
      const { verdict, calls } = local(oid);
      if (!verdict.safe)
        return first.has(oid)
          ? verdict
          : refused(`may call ${functions.get(oid)?.name ?? "a function"}, which ${verdict.reason}`);
      for (const call of calls) reached.add(call);
    }
    return safe;
  }

  /** Functions of a type and of all that it is made of. Row types may hold arrays of themselves. */
  function typeFunctions(start: number): number[] {
    const found: number[] = [];
    const reached = new Set([start]);
    for (const oid of reached) {
      const type = types.get(oid);
      if (type === undefined) return [unknownOid];
      // Those of rows, arrays, ranges and domains only call what their parts bring along, which is looked at here.
      const reading = [type.input, type.receive].filter((oid) => !readsParts(functions.get(oid)));
      found.push(...reading, type.output, type.send, type.canonical, ...type.constraintFunctions);
      const columns = relations.get(type.relation)?.columns ?? [];
      for (const part of [type.element, type.base, type.subtype, ...columns.map((column) => column.type)])
        if (part !== 0) reached.add(part);
    }
    return found;
  }

  const inSchema = <T extends { readonly schema: string }>(found: readonly T[], schema: string | null) =>
    schema === null ? found : found.filter((one) => one.schema === schema);
  const names: NameLookup = {
    functionsNamed: (name, schema) => inSchema(functions.named(name), schema).map((f) => f.oid),
    operatorsNamed: (name, schema) => inSchema(operators.named(name), schema).map((o) => o.func),
    typesNamed(name, schema) {
      const found = inSchema(types.named(name), schema);
      return found.length === 0
        ? null
        : found.flatMap((type) => typeFunctions(type.oid)).concat(castsOf(["e"]));
    },
    typeFunctions,
    // Whatever writes json looks for a cast to it.
    hiddenCasts: () => [...castsOf(["a", "i"]), ...jsonCasts.map(({ func }) => func)],
  };
  /** Functions of casts that others than initdb made. */
  function castsOf(contexts: readonly CastFacts["context"][]): number[] {
    return castList.flatMap((cast) =>
      cast.func >= firstNormalOid && contexts.includes(cast.context) ? [cast.func] : [],
    );
  }

  return snapshot;
}

function readsParts(func: RawFunction | undefined): boolean {
  return func?.schema === "pg_catalog" && partReaders.has(func.name);
}

function columnOf(relation: Relation | undefined, attnum: number): Column | undefined {
  if (relation === undefined) return undefined;
  // Without dropped columns the place is the number.
  const guess = relation.columns[attnum - 1];
  return guess?.attnum === attnum ? guess : relation.columns.find((column) => column.attnum === attnum);
}
