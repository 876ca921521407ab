/** Which columns labels reach, on a real server's catalog. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resolveProtected } from "../../src/analysis/protected.ts";
import type { CatalogSnapshot } from "../../src/catalog/index.ts";
import { sharedCluster } from "../support/cluster.ts";
import { type Analyst, analyst, label, lineageSchema } from "./lineage-support.ts";

const extra = `
  create table gen (id int, raw text, low text generated always as (lower(raw)) stored, shown text);
  create table deep_root (a int, secret text) partition by list (a);
  create table deep_mid partition of deep_root for values in (1) partition by list (a);
  create table deep_leaf (secret text, a int);
  alter table deep_mid attach partition deep_leaf for values in (1);
  create materialized view mv_deep as select count(*) as n, max(low) as top from gen;
  create materialized view mv_over as select top || 'x' as t, n from mv_deep;
  create view v_over as select t from mv_over;
  create view v_rec as with recursive r(x, y) as (select raw, shown from gen union all select y, x from r where false) select x, y from r;
  create materialized view mv_row as select row_to_json(g) as j, 1 as one from gen g;
  create table walked (id int, up int, hush text, name text);
  create materialized view mv_cycle as with recursive r(id, n) as (select id, name from walked union all select w.id, w.name from r join walked w on w.up = r.id)
    cycle id set round using path select id, n, round, path::text from r;
  create materialized view mv_search as with recursive r(id, h, n) as (select id, hush, name from walked union all select w.id, w.hush, w.name from r join walked w on w.up = r.id)
    search depth first by id, h set place select id, n, place::text from r;
  create table "Q.T" ("a.b" text, "c""d" text);`;

let by: Analyst;
let drop: () => Promise<void>;

beforeAll(async () => {
  const cluster = await sharedCluster();
  const database = await cluster.createDatabase();
  await cluster.query(database, lineageSchema);
  await cluster.query(database, extra);
  by = await analyst(cluster.url(database));
  drop = () => cluster.dropDatabase(database);
});

afterAll(async () => {
  await by?.end();
  await drop?.();
});

function reached(columns: string, catalog: CatalogSnapshot = by.catalog): Record<string, string> {
  const set = resolveProtected(catalog, [label("pii", columns)], "shop");
  return Object.fromEntries(set.columns.map((column) => [column.name, column.why.join("; ")]));
}

describe("the closure of a label", () => {
  test("views and materialized views, by lineage", () => {
    expect(reached("public.users.email")).toEqual({
      "public.users.email": "label pii",
      "public.mv_users.email": "materialized view over public.users.email",
      "public.v_agg.mx": "view over public.users.email",
      "public.v_nested.c2": "view over public.v_users.contact",
      "public.v_star.email": "view over public.users.email",
      "public.v_users.contact": "view over public.users.email",
    });
  });

  test("children, partitions and what they belong to, by name, whatever their order", () => {
    expect(Object.keys(reached("public.parent.email"))).toEqual([
      "public.child.email",
      "public.parent.email",
    ]);
    expect(reached("public.part1.email")).toMatchObject({
      "public.part1.email": "label pii",
      "public.part.email": "shows rows of public.part1.email",
      "public.part2.email": "inherits public.part.email",
    });
    expect(Object.keys(reached("public.deep_leaf.secret"))).toEqual([
      "public.deep_leaf.secret",
      "public.deep_mid.secret",
      "public.deep_root.secret",
    ]);
  });

  test("generated columns, and materialized views over materialized views", () => {
    expect(reached("public.gen.raw")).toEqual({
      "public.gen.raw": "label pii",
      "public.gen.low": "generated from public.gen.raw",
      "public.mv_deep.top": "materialized view over public.gen.low",
      "public.mv_over.t": "materialized view over public.mv_deep.top",
      "public.v_over.t": "view over public.mv_over.t",
      "public.mv_row.j": "materialized view over public.gen.raw",
      "public.v_rec.x": "view over public.gen.raw",
      "public.v_rec.y": "view over public.gen.raw",
    });
  });

  test("names are quoted as PostgreSQL quotes them", () => {
    expect(Object.keys(reached("public.Q.T.a.b"))).toEqual([]);
    const set = resolveProtected(
      by.catalog,
      [{ ...label("pii", "x.y.z"), matches: (_, relation) => relation === "Q.T" }],
      "shop",
    );
    expect(set.columns.map((column) => column.name)).toEqual(['public."Q.T"."a.b"', 'public."Q.T"."c""d"']);
    expect(set.ofName('public."Q.T"')).toHaveLength(2);
  });

  test("a column has every label that reaches it", () => {
    const set = resolveProtected(
      by.catalog,
      [label("pii", "public.users.email"), label("low", "public.v_users.contact"), label("any", "*.*.ssn")],
      "shop",
    );
    const found = set.columns.find((column) => column.name === "public.v_users.contact");
    expect(found?.labels.map((entry) => entry.label)).toEqual(["pii", "low"]);
    expect(found?.why).toEqual(["label low", "view over public.users.email"]);
    expect(set.columns.some((column) => column.name === "public.v_nested.c2")).toBe(true);
  });

  test("recursions with SEARCH and CYCLE in materialized views: what they add is made of all columns", () => {
    expect(reached("public.walked.hush")).toEqual({
      "public.walked.hush": "label pii",
      "public.mv_search.place": "materialized view over public.walked.hush",
    });
    expect(Object.keys(reached("public.walked.name"))).toEqual([
      "public.mv_cycle.n",
      "public.mv_cycle.path",
      "public.mv_cycle.round",
      "public.mv_search.n",
      "public.mv_search.place",
      "public.walked.name",
    ]);
  });

  test("a materialized view that is not understood is protected whole", () => {
    const view = by.catalog.relationNamed("public", "mv_users");
    if (view === undefined) throw new Error("no mv_users");
    for (const storedTree of [null, "({QUERY", view.storedTree?.replace("{VAR ", "{FUTURE ") ?? null]) {
      const broken: CatalogSnapshot = {
        ...by.catalog,
        *relations() {
          for (const relation of by.catalog.relations())
            yield relation.oid === view.oid ? { ...relation, storedTree } : relation;
        },
      };
      const why = "a materialized view whose definition is not understood";
      expect(reached("hr.emp.salary", broken)).toMatchObject({
        "public.mv_users.id": why,
        "public.mv_users.email": why,
      });
    }
    expect(reached("hr.emp.salary")).toEqual({ "hr.emp.salary": "label pii" });
  });
});

describe("system relations", () => {
  test("are refused only once something is protected", () => {
    const none = resolveProtected(by.catalog, [label("pii", "public.nothing.x")], "shop");
    expect(none.empty).toBe(true);
    expect(none.refused).toEqual([]);
    const set = resolveProtected(by.catalog, [label("pii", "hr.emp.salary")], "shop");
    const refusal = (relation: string, column: string): string | null => {
      const [schema = "", name = ""] = relation.split(".");
      const found = by.catalog.relationNamed(schema, name);
      const attribute = found?.columns.find((candidate) => candidate.name === column)?.attnum;
      if (found === undefined || attribute === undefined) throw new Error(`${relation}.${column}`);
      return set.refusal(found.oid, attribute);
    };
    for (const [relation, column] of [
      ["pg_catalog.pg_stats", "most_common_vals"],
      ["pg_catalog.pg_stats", "histogram_bounds"],
      ["pg_catalog.pg_statistic", "stavalues1"],
      ["pg_catalog.pg_stats_ext", "most_common_vals"],
      ["pg_catalog.pg_statistic_ext_data", "stxdmcv"],
      ["pg_catalog.pg_stat_activity", "query"],
      ["pg_catalog.pg_stat_activity", "application_name"],
      ["pg_catalog.pg_prepared_statements", "statement"],
      ["pg_catalog.pg_cursors", "statement"],
      ["pg_catalog.pg_largeobject", "data"],
      ["pg_catalog.pg_user_mapping", "umoptions"],
      ["pg_catalog.pg_user_mappings", "umoptions"],
      ["pg_catalog.pg_authid", "rolpassword"],
    ] as const)
      expect(refusal(relation, column), `${relation}.${column}`).toMatch(/^it /);
    for (const [relation, column] of [
      ["pg_catalog.pg_stats", "tablename"],
      ["pg_catalog.pg_stat_activity", "pid"],
      ["pg_catalog.pg_class", "relname"],
      ["pg_catalog.pg_roles", "rolname"],
    ] as const)
      expect(refusal(relation, column), `${relation}.${column}`).toBeNull();
  });

  test("TOAST tables are refused whole", () => {
    const set = resolveProtected(by.catalog, [label("pii", "hr.emp.salary")], "shop");
    const toast = [...by.catalog.relations()].filter((relation) => relation.kind === "t");
    for (const relation of toast) expect(set.refusal(relation.oid, 3)).toMatch(/stored pieces/);
  });
});
