/** The snapshot's look-ups: maps by oid and by name, and verdicts that are worked out when first asked for. */
import { type NameLookup, userFunctionVerdict } from "./functions/user.ts";
import { type LocalVerdict, localVerdict, refused, safe } from "./functions/verdict.ts";
import { firstNormalOid } from "./queries.ts";
import { columnVerdict } from "./relations.ts";
import { append } from "./rows.ts";
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

/** No function has this oid. */
const unknownOid = 0xffffffff;

/** A function whose verdict is not yet known. */
export type RawFunction = Omit<FunctionFacts, "verdict">;
export type RawType = Omit<TypeFacts, "verdict"> & {
  /** Range types: the subtype and the function that brings values into one form; 0: none. */
  readonly subtype: number;
  readonly canonical: number;
};

export interface SnapshotParts {
  readonly epoch: number;
  readonly digest: string;
  readonly serverVersion: number;
  readonly database: string;
  readonly login: LoginFacts;
  readonly searchPath: readonly string[];
  readonly schemas: ReadonlySet<string>;
  readonly roles: readonly RoleFacts[];
  readonly relations: readonly Relation[];
  readonly functions: readonly RawFunction[];
  readonly aggregates: ReadonlyMap<number, readonly number[]>;
  readonly operators: readonly Omit<OperatorFacts, "verdict">[];
  readonly types: readonly RawType[];
  readonly casts: readonly CastFacts[];
}

/**
 * Facts with a `verdict` that is computed once, when it is first read. The getter is the class's, so that all objects of one
 * kind are of one shape to the engine: they are looked at for every statement.
 */
class Judged {
  readonly #judge: () => FunctionVerdict;
  #known: FunctionVerdict | null = null;

  constructor(facts: object, judge: () => FunctionVerdict) {
    Object.assign(this, facts);
    this.#judge = judge;
  }

  get verdict(): FunctionVerdict {
    this.#known ??= this.#judge();
    return this.#known;
  }
}

function withVerdict<T extends object>(facts: T, judge: () => FunctionVerdict): T & Judged {
  return new Judged(facts, judge) as T & Judged;
}

export function buildSnapshot(parts: SnapshotParts, trust: FunctionTrust): CatalogSnapshot {
  const relations = new Map(parts.relations.map((relation) => [relation.oid, relation]));
  const relationsByName = new Map(parts.relations.map((r) => [`${r.schema}\0${r.name}`, r]));
  const roles = new Map(parts.roles.map((role) => [role.oid, role]));
  const casts = new Map(parts.casts.map((cast) => [`${cast.source}>${cast.target}`, cast]));
  const trusted = new Set(trust.trusted);

  const functions = new Map<number, FunctionFacts>();
  const functionsByName = new Map<string, FunctionFacts[]>();
  const operators = new Map<number, OperatorFacts>();
  const operatorsByName = new Map<string, OperatorFacts[]>();
  const types = new Map<number, TypeFacts>();
  const typesByName = new Map<string, TypeFacts[]>();

  const superusers = new Set(parts.roles.flatMap((role) => (role.superuser ? [role.oid] : [])));
  const rawTypes = new Map(parts.types.map((type) => [type.oid, type]));

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
    relationNamed: (schema, name) => relationsByName.get(`${schema}\0${name}`),
    relations: () => relations.values(),
    column: (relation, attnum) => columnOf(relations.get(relation), attnum),
    func: (oid) => functions.get(oid),
    functionsNamed: (name) => functionsByName.get(name) ?? [],
    functions: () => functions.values(),
    operator: (oid) => operators.get(oid),
    operatorsNamed: (name) => operatorsByName.get(name) ?? [],
    type: (oid) => types.get(oid),
    typesNamed: (name) => typesByName.get(name) ?? [],
    cast: (source, target) => casts.get(`${source}>${target}`),
    role: (oid) => roles.get(oid),
    hasSchema: (name) => parts.schemas.has(name),
  };

  const locals = new Map<number, LocalVerdict>();
  const unknown: LocalVerdict = {
    verdict: refused("is a function that the catalog does not hold"),
    calls: [],
  };

  function local(oid: number): LocalVerdict {
    const known = locals.get(oid);
    if (known !== undefined) return known;
    const func = functions.get(oid);
    if (func === undefined) return unknown;
    const found = localVerdict(func, {
      isTrusted: (f) => trusted.has(`${f.schema}.${f.name}`),
      isSuperusers: (f) => superusers.has(f.owner),
      parts: (f) => parts.aggregates.get(f.oid),
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
      const type = rawTypes.get(oid);
      if (type === undefined) return [unknownOid];
      found.push(
        type.input,
        type.output,
        type.receive,
        type.send,
        type.canonical,
        ...type.constraintFunctions,
      );
      const columns = relations.get(type.relation)?.columns ?? [];
      for (const part of [type.element, type.base, type.subtype, ...columns.map((column) => column.type)])
        if (part !== 0) reached.add(part);
    }
    return found;
  }

  const inSchema = <T extends { readonly schema: string }>(all: readonly T[], schema: string | null) =>
    schema === null ? all : all.filter((one) => one.schema === schema);
  const names: NameLookup = {
    functionsNamed: (name, schema) => inSchema(snapshot.functionsNamed(name), schema).map((f) => f.oid),
    operatorsNamed: (name, schema) => inSchema(snapshot.operatorsNamed(name), schema).map((o) => o.func),
    typesNamed(name, schema) {
      const all = inSchema(snapshot.typesNamed(name), schema);
      return all.length === 0 ? null : all.flatMap((type) => typeFunctions(type.oid)).concat(castsOf(["e"]));
    },
    typeFunctions,
    hiddenCasts: () => castsOf(["a", "i"]),
  };
  /** Functions of casts that others than initdb made. */
  function castsOf(contexts: readonly CastFacts["context"][]): number[] {
    return parts.casts.flatMap((cast) =>
      cast.func >= firstNormalOid && contexts.includes(cast.context) ? [cast.func] : [],
    );
  }

  for (const raw of parts.functions) {
    const func = withVerdict(raw, () => closure([raw.oid]));
    functions.set(func.oid, func);
    append(functionsByName, func.name, func);
  }
  for (const raw of parts.operators) {
    const operator = withVerdict(raw, () =>
      raw.func === 0 ? refused("is an operator without a function") : closure([raw.func]),
    );
    operators.set(operator.oid, operator);
    append(operatorsByName, operator.name, operator);
  }
  for (const raw of parts.types) {
    const { subtype: _subtype, canonical: _canonical, ...facts } = raw;
    const type = withVerdict(facts, () => closure(typeFunctions(raw.oid)));
    types.set(type.oid, type);
    append(typesByName, type.name, type);
  }
  return snapshot;
}

function columnOf(relation: Relation | undefined, attnum: number): Column | undefined {
  if (relation === undefined) return undefined;
  // Without dropped columns the place is the number.
  const guess = relation.columns[attnum - 1];
  return guess?.attnum === attnum ? guess : relation.columns.find((column) => column.attnum === attnum);
}
