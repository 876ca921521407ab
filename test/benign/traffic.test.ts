/**
 * Start-up and browsing traffic of tools and drivers, and TPC-H, under the policy that comes with Postern and labels on one
 * table, as an agent: nothing is refused that a user would call a bug. *.jsonl was recorded on the wire, *.sql is written
 * after what the tools send.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BenignLab, send, startBenignLab, traffic } from "./support.ts";

/** Refused on purpose, while anything is protected. */
const onPurpose: readonly (readonly [RegExp, string])[] = [
  [
    /pg_get_viewdef|pg_get_ruledef|pg_get_functiondef|pg_get_function_sqlbody|views\.definition/,
    "definitions of views, rules and functions tell where protected values come from",
  ],
];
/** Refused on purpose, always. */
const always: readonly (readonly [RegExp, string])[] = [
  [
    /current_setting\(s\.name\)/,
    "which settings it reads cannot be told from the statement (\\dconfig): some name files, hosts or roles",
  ],
];
/** What PostgreSQL itself says to a tool of another version. */
const otherVersion = /^(42703|42883|42P01|42704|42601)$/;

let lab: BenignLab;
beforeAll(async () => {
  lab = await startBenignLab();
});
afterAll(async () => {
  await lab?.stop();
});

describe.each([...traffic()])("%s", (tool, statements) => {
  test("passes", async () => {
    const client = await lab.login(tool);
    let ran = 0;
    for (const statement of statements) {
      const error = await send(client, statement);
      expect(client.closed).toBe(false);
      const meant = [...onPurpose, ...always].some(([pattern]) => pattern.test(statement.sql));
      if (error === null) {
        ran++;
        expect(meant, statement.sql).toBe(false);
      } else if (error.code === null)
        expect(error.sqlstate, `${error.message}: ${statement.sql}`).toMatch(otherVersion);
      else expect(meant, `${error.code} ${error.message}: ${statement.sql}`).toBe(true);
    }
    expect(ran).toBeGreaterThan(statements.length * 0.75);
    await client.end();
  });
});

test("where nothing is protected, definitions may be read", async () => {
  const client = await lab.loginUnlabelled("definitions");
  for (const statement of [...traffic().values()].flat()) {
    if (!onPurpose.some(([pattern]) => pattern.test(statement.sql))) continue;
    expect(await send(client, statement), statement.sql).toBeNull();
  }
  await client.end();
});

describe("beside it stays refused", () => {
  test.each([
    "select set_config('statement_timeout', '0', false)",
    "select set_config('bytea_output', 'hex', false), set_config('statement_timeout', '0', false)",
    "select set_config('application_name', email, false) from shop.customers",
    "select set_config(n, v, false) from (values ('role', 'postgres')) x(n, v)",
    "select set_config('bytea_output', 'hex', false), 'set_config'::regproc",
    "select usename from pg_stat_activity",
    "select * from pg_stat_activity",
    "select a from pg_stat_activity a",
    "select to_jsonb(a) from pg_stat_activity a",
    "select count(*) from pg_stat_activity where query like 'a%'",
    "select 1 from pg_stat_activity a join pg_roles r on r.rolname = a.usename",
    "select count(*) from pg_stat_activity group by client_addr",
    "select pid from pg_stat_get_activity(null)",
    "select pid from pg_stat_replication",
    "select client_dn from pg_stat_ssl",
    "select principal from pg_stat_gssapi",
  ])("%s", async (sql) => {
    for (const client of [await lab.login("other"), await lab.loginUnlabelled("other")]) {
      expect((await send(client, { sql }))?.sqlstate).toBe("42501");
      await client.end();
    }
  });
});
