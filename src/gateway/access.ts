/**
 * What a caller may see and do in a database, told before anything is asked: the policy's own judgement of the statements that a
 * caller would write first, over the catalog as the caller's login sees it. Nothing is told of what the policy hides. It promises
 * nothing: each statement is decided by itself.
 */
import { type CatalogSnapshot, qualified, quoteIdentifier, type Relation } from "../catalog/index.ts";
import type { ApproverDemand, DecisionLimits } from "../facts/decision.ts";
import type { Effect, Mask, StatementFacts } from "../facts/effects.ts";
import type { Principal } from "../facts/principal.ts";
import type { Budget, PolicyDecision, SessionFacts } from "../policy/index.ts";
import { typeName } from "../protocol/index.ts";
import type { View } from "./analyst/index.ts";

/** `depends`: on more of the statement than its table. */
export type May = "yes" | "approval" | "no" | "depends";

export interface AccessColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** How its values are hidden; null: they are shown. */
  readonly mask: Mask["kind"] | null;
  /** Where it may stand beside the list of outputs; null: anywhere. */
  readonly use: "output" | "equality" | "derived" | null;
}

export interface AccessTable {
  /** "schema.table", quoted as PostgreSQL quotes. */
  readonly name: string;
  readonly oid: number;
  readonly kind: "table" | "view" | "materialized view" | "foreign table";
  readonly columns: readonly AccessColumn[];
  /** Some columns may not be read, and are not listed: `*` is refused. */
  readonly partial: boolean;
  readonly read: May;
  readonly insert: May;
  readonly update: May;
  readonly delete: May;
  /** Of reading; null: not decided by the table alone. */
  readonly limits: DecisionLimits | null;
  /** Whom to ask where a write needs approval. */
  readonly approvers: readonly Pick<ApproverDemand, "groups" | "count">[];
  /** Rates that such statements count against. */
  readonly budgets: readonly Budget[];
}

const kinds: Partial<Record<Relation["kind"], AccessTable["kind"]>> = {
  r: "table",
  p: "table",
  v: "view",
  m: "materialized view",
  f: "foreign table",
};

/** How much a mask hides, when several apply (as in analysis/plan.ts). */
const strength: readonly Mask["kind"][] = ["partial", "keep", "date", "hash", "redact", "null"];

/** The tables that a principal may read or change something of, by name. Pure. */
export function tablesFor(view: View, principal: Principal, session: SessionFacts): AccessTable[] {
  const tables: AccessTable[] = [];
  for (const relation of view.catalog.relations()) {
    const table = tableFor(view, relation, principal, session);
    if (table !== null) tables.push(table);
  }
  return tables.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** One of them; null: there is none that the principal may know of. */
export function tableFor(
  view: View,
  relation: Relation,
  principal: Principal,
  session: SessionFacts,
): AccessTable | null {
  const kind = kinds[relation.kind];
  const { select, insert, update, delete: remove } = relation.privileges;
  if (kind === undefined || relation.system || relation.temporary) return null;
  if (!select && !insert && !update && !remove) return null;
  const name = qualified(relation.schema, relation.name);
  const judge = (facts: Partial<StatementFacts>) =>
    view.policy.judge({ principal, session, statement: facts, now: new Date() });
  const readable = relation.columns.filter(
    ({ attnum }) =>
      view.protectedSet.column(relation.oid, attnum)?.labels.some(({ access }) => access === "none") !== true,
  );
  const full = (names: readonly string[]) => names.map((column) => `${name}.${quoteIdentifier(column)}`);
  const labelsOf = (names: readonly string[]) => {
    const found = new Set<string>();
    for (const column of view.protectedSet.ofRelation(relation.oid)) {
      const own = view.catalog.column(relation.oid, column.attribute)?.name;
      if (own !== undefined && names.includes(own)) for (const { label } of column.labels) found.add(label);
    }
    return [...found].sort();
  };
  const reading = (names: readonly string[]): Partial<StatementFacts> => ({
    kind: "select",
    command: "SELECT",
    effects: kind === "foreign table" ? ["network", "read"] : ["read"],
    reads: [name],
    writes: [],
    columns: full(names).sort(),
    functions: [],
    labels: labelsOf(names),
    labelsInPredicates: [],
    unboundedWrite: false,
    statements: 1,
    inTransaction: false,
  });
  const all = readable.map((column) => column.name);
  let shown = readable;
  let whole = select && all.length > 0 ? judge(reading(all)) : null;
  if (whole?.determined === true && whole.decision.verdict === "deny") {
    // Perhaps only for some of its columns.
    shown = readable.filter((column) => {
      const one = judge(reading([column.name]));
      return !one.determined || one.decision.verdict !== "deny";
    });
    whole =
      shown.length > 0 && shown.length < readable.length
        ? judge(reading(shown.map((column) => column.name)))
        : whole;
  }
  const writing = (command: "INSERT" | "UPDATE" | "DELETE", effects: readonly Effect[]) =>
    judge({
      kind: command.toLowerCase(),
      command,
      effects,
      reads: command === "INSERT" ? [] : [name],
      writes: [name],
      unboundedWrite: false,
      hasWhere: command !== "INSERT",
      statements: 1,
      inTransaction: false,
    });
  const may = (granted: boolean, judgement: ReturnType<typeof judge> | null): May =>
    !granted || judgement === null ? "no" : mayOf(judgement);
  const writes = {
    insert: writing("INSERT", ["write"]),
    update: writing("UPDATE", ["read", "write"]),
    delete: writing("DELETE", ["read", "write"]),
  };
  const table = {
    read: may(select, whole),
    insert: may(insert, writes.insert),
    update: may(update, writes.update),
    delete: may(remove, writes.delete),
  };
  // What may not be touched is not there.
  if (Object.values(table).every((answer) => answer === "no")) return null;
  const decision = whole?.determined === true ? whole.decision : null;
  // What the login has no right to needs nobody's leave.
  const granted = [
    select ? whole : null,
    insert ? writes.insert : null,
    update ? writes.update : null,
    remove ? writes.delete : null,
  ];
  const known = granted.flatMap((judgement) => (judgement?.determined === true ? [judgement.decision] : []));
  return {
    name,
    oid: relation.oid,
    kind,
    columns: (table.read === "no" ? [] : shown).map((column) => ({
      name: column.name,
      type: typeText(view.catalog, column.type),
      notNull: column.notNull,
      ...maskOf(view, relation.oid, column.attnum, decision),
    })),
    partial: shown.length < relation.columns.length,
    ...table,
    limits: decision?.limits ?? null,
    approvers: unique(known.flatMap(({ approvers }) => approvers)),
    budgets: known.flatMap(({ budgets }) => budgets),
  };
}

function mayOf(judgement: ReturnType<View["policy"]["judge"]>): May {
  if (!judgement.determined) return judgement.possible.every((one) => one === "deny") ? "no" : "depends";
  const { verdict } = judgement.decision;
  return verdict === "allow" ? "yes" : verdict === "approve" ? "approval" : "no";
}

function maskOf(
  view: View,
  relation: number,
  attribute: number,
  decision: PolicyDecision | null,
): Pick<AccessColumn, "mask" | "use"> {
  const labels = (view.protectedSet.column(relation, attribute)?.labels ?? []).filter(
    ({ label }) => decision?.unmask.includes(label) !== true,
  );
  if (labels.length === 0) return { mask: null, use: null };
  const masks = labels.map(({ mask }) => mask.kind).sort((a, b) => strength.indexOf(b) - strength.indexOf(a));
  const uses = labels.map(({ label, use }) => decision?.relax.get(label) ?? use);
  const bounded = uses.filter((use) => use !== "any");
  const narrow = bounded.includes("output") ? "output" : (bounded[0] ?? null);
  return { mask: masks[0] ?? null, use: narrow };
}

function unique(demands: readonly ApproverDemand[]): AccessTable["approvers"] {
  const seen = new Map(
    demands.map(({ groups, count }) => [JSON.stringify([groups, count]), { groups, count }]),
  );
  return [...seen.values()];
}

/** A type as people write it: built-in ones by pg_type's short names, others with their schema where it is not public. */
export function typeText(catalog: CatalogSnapshot, oid: number): string {
  const built = typeName(oid);
  if (built.startsWith("_")) return `${built.slice(1)}[]`;
  if (!built.startsWith("oid:")) return built;
  const type = catalog.type(oid);
  if (type === undefined) return "unknown";
  if (type.element !== 0 && catalog.type(type.element)?.array === oid)
    return `${typeText(catalog, type.element)}[]`;
  return type.schema === "public" || type.schema === "pg_catalog"
    ? quoteIdentifier(type.name)
    : qualified(type.schema, type.name);
}
