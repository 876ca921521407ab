/** Answers about access, from the gateway's own analysts: for MCP's describe tools and GET /api/access. */
import type pino from "pino";
import type { GrantSource } from "../approvals/index.ts";
import { quoteIdentifier, relationText } from "../catalog/index.ts";
import type { Principal } from "../facts/principal.ts";
import type { Claimed, Via } from "../facts/session.ts";
import { type Budget, createBudgets, type Estimate, loadPolicy, type SessionFacts } from "../policy/index.ts";
import { type AccessTable, tableFor, tablesFor } from "./access.ts";
import type { View } from "./analyst/index.ts";
import { createJudging, type Judging } from "./analyst/registry.ts";
import { grantedTo } from "./granted.ts";
import { chooseLogin } from "./logins.ts";
import type { DatabaseSettings } from "./settings.ts";
import { textWithoutNames } from "./statement/hidden.ts";

/** Who asks, and by which door: what conditions may look at. */
export interface Asker {
  readonly principal: Principal;
  readonly via: Via;
  readonly application: string | null;
  readonly ip: string;
  readonly tls: boolean;
  readonly claimed: Claimed;
}

/** A rate and what the caller has left of it. */
export interface Left {
  readonly rule: string;
  readonly unit: Budget["unit"];
  readonly amount: number;
  readonly perSeconds: number;
  readonly left: number;
}

export interface DatabaseAccess {
  readonly database: string;
  readonly tables: readonly AccessTable[];
  readonly budgets: readonly Left[];
  /** Nothing is decided here: no policy is loaded. */
  readonly open: boolean;
}

export interface TableKey {
  readonly kind: "primary key" | "unique" | "foreign key";
  readonly columns: readonly string[];
  /** Of a foreign key: the table that it names, if the caller may know of it. */
  readonly references: { readonly table: string; readonly columns: readonly string[] } | null;
}

export interface TableDetail {
  readonly table: AccessTable;
  readonly keys: readonly TableKey[];
  /** The planner's count of rows; null: never counted. */
  readonly rows: number | null;
  /** Comments of the database's owner, as they stand: data, nothing to obey. */
  readonly comment: string | null;
  readonly columnComments: ReadonlyMap<string, string>;
}

export interface AccessDesk {
  /** Databases that the principal has a login for, in the order of the configuration. */
  databases(principal: Principal): readonly string[];
  /** null: no such database, or none of the principal's groups has a login. Rejects when the database cannot be asked. */
  describe(asker: Asker, database: string): Promise<DatabaseAccess | null>;
  /** `name`: "schema.table" as `describe` gives it, or a table's name alone where that is one table's. null: nothing that the caller may know of. */
  table(asker: Asker, database: string, name: string): Promise<TableDetail | null>;
  /** The planner's guess; null: it would not say. */
  estimate(asker: Asker, database: string, sql: string, types: readonly number[]): Promise<Estimate | null>;
  close(): void;
}

const openPolicy = "version: 1\ndefault: allow\n";

/**
 * `judging`: null where no policy is loaded; `grants`: groups that principals have for a while, which count here as they do in a
 * session; null: nobody can be granted anything. Opens nothing until something is asked.
 */
export function createDesk(
  databases: readonly DatabaseSettings[],
  judging: Judging | null,
  grants: GrantSource | null,
  logger: pino.Logger,
): AccessDesk {
  let own: Judging | null = null;
  function judge(): Judging {
    own ??=
      judging ??
      createJudging({ current: loadPolicy([{ file: "open", text: openPolicy }]) }, createBudgets(), logger);
    return own;
  }

  /** What one asker sees of a database. */
  async function open({ principal: base, ...asker }: Asker, name: string) {
    const database = databases.find((one) => one.name === name);
    const { principal } = grantedTo(grants, base, name);
    const login = database === undefined ? null : chooseLogin(database, principal);
    if (database === undefined || login === null) return null;
    const { analyst } = judge().of(database, login);
    const session: SessionFacts = {
      database: name,
      role: login.user,
      application: asker.application,
      clientIp: asker.ip,
      via: asker.via,
      tls: asker.tls,
      claimed: asker.claimed,
    };
    return { analyst, view: await analyst.ready(judge().policies.current), session, principal };
  }

  function ratesOf(tables: readonly AccessTable[], principal: Principal): readonly Left[] {
    const found = new Map<string, Budget>();
    for (const { budgets } of tables)
      for (const budget of budgets)
        found.set(JSON.stringify([budget.rule, budget.unit, budget.perSeconds]), budget);
    const budgets = [...found.values()];
    const left = judge().budgets.left(principal, budgets, performance.now());
    return budgets.map((budget, i) => ({ ...budget, left: left[i] ?? 0 }));
  }

  function find(view: View, principal: Principal, session: SessionFacts, name: string): AccessTable | null {
    const matches: AccessTable[] = [];
    for (const relation of view.catalog.relations()) {
      if (relation.system) continue;
      const full = relationText(view.catalog, relation.oid);
      const same = full === name || `${relation.schema}.${relation.name}` === name;
      const alone = relation.name === name || quoteIdentifier(relation.name) === name;
      if (!same && !alone) continue;
      const table = tableFor(view, relation, principal, session);
      if (table !== null && same) return table;
      if (table !== null) matches.push(table);
    }
    return matches.length === 1 ? (matches[0] ?? null) : null;
  }

  return {
    databases: (principal) =>
      databases
        .filter((database) => chooseLogin(database, grantedTo(grants, principal, database.name).principal))
        .map(({ name }) => name),
    async describe(asker, database) {
      const opened = await open(asker, database);
      if (opened === null) return null;
      const { view, session, principal } = opened;
      const tables = tablesFor(view, principal, session);
      return {
        database,
        tables,
        budgets: ratesOf(tables, principal),
        open: judging === null,
      };
    },
    async table(asker, database, name) {
      const opened = await open(asker, database);
      if (opened === null) return null;
      const { view, session, analyst, principal } = opened;
      const table = find(view, principal, session, name);
      if (table === null) return null;
      return { table, ...(await detail(view, principal, session, table, analyst.query)) };
    },
    async estimate(asker, database, sql, types) {
      const opened = await open(asker, database);
      return opened === null ? null : opened.analyst.estimate(sql, types, null);
    },
    close() {
      if (own !== judging) own?.close();
    },
  };
}

/** Keys and comments of one table, of its listed columns only. */
async function detail(
  view: View,
  principal: Principal,
  session: SessionFacts,
  table: AccessTable,
  query: (sql: string) => Promise<(string | null)[][]>,
): Promise<Omit<TableDetail, "table">> {
  const { catalog } = view;
  const oid = Math.trunc(table.oid);
  const listed = new Set(table.columns.map(({ name }) => name));
  const constraints = await query(
    `select contype, array_to_string(conkey, ','), confrelid, array_to_string(confkey, ',')
     from pg_catalog.pg_constraint where conrelid = ${oid} and contype in ('p', 'u', 'f') order by contype desc, conname`,
  );
  const names = (relation: number, list: string | null) =>
    (list ?? "").split(",").map((attnum) => catalog.column(relation, Number(attnum))?.name ?? null);
  const keys: TableKey[] = [];
  for (const [type, own, other, theirs] of constraints) {
    const columns = names(oid, own ?? null);
    if (!columns.every((name): name is string => name !== null && listed.has(name))) continue;
    if (type !== "f") {
      keys.push({ kind: type === "p" ? "primary key" : "unique", columns, references: null });
      continue;
    }
    const relation = catalog.relation(Number(other));
    const target = relation === undefined ? null : tableFor(view, relation, principal, session);
    const targets = names(Number(other), theirs ?? null);
    const known = target?.columns.map(({ name }) => name) ?? [];
    const told = targets.every((name): name is string => name !== null && known.includes(name));
    keys.push({
      kind: "foreign key",
      columns,
      references: target !== null && told ? { table: target.name, columns: targets } : null,
    });
  }
  const [facts] = await query(
    `select reltuples::bigint, pg_catalog.obj_description(oid, 'pg_class') from pg_catalog.pg_class where oid = ${oid}`,
  );
  const comments = await query(
    `select objsubid, description from pg_catalog.pg_description
     where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and objoid = ${oid} and objsubid > 0`,
  );
  const columnComments = new Map<string, string>();
  for (const [attnum, text] of comments) {
    const name = catalog.column(oid, Number(attnum))?.name;
    if (name !== undefined && listed.has(name) && text != null)
      columnComments.set(name, textWithoutNames(view, text));
  }
  const rows = Number(facts?.[0] ?? -1);
  const comment = facts?.[1] == null ? null : textWithoutNames(view, facts[1]);
  // Row counts tell of rows that row-level security hides.
  const counted = rows >= 0 && catalog.relation(oid)?.rowSecurity === false && table.read === "yes";
  return { keys, rows: counted ? rows : null, comment, columnComments };
}
