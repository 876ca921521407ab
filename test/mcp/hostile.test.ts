/** Agents against agents, through MCP. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, type McpHouse, startHouse } from "./support.ts";

const policy = `
version: 1
labels:
  - { label: secret, columns: ["*.*.people.zyx_*"], access: none }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: writes
    when: '"write" in statement.effects'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 15m, ticket: true }
`;

let house: McpHouse;
beforeAll(async () => {
  house = await startHouse({
    schema:
      "create table people(id int primary key, name text, zyx_token text); comment on table people is 'zyx_token is for nobody'; comment on column people.name is 'of zyx_token'; insert into people values (1, 'Ann', 's')",
    policy,
    approvals: true,
    limits: { refusals: { same: 4, session: 1000, principal: 1000, pauseSeconds: 30 } },
  });
});
afterAll(async () => {
  await house?.stop();
});

const agent = async (sub: string, act?: string) =>
  house.connect(
    "modern",
    await house.postern.token({ sub, ...(act === undefined ? {} : { act: { sub: act } }) }),
  );
const ask = (client: Awaited<ReturnType<typeof agent>>, sql: string) =>
  call(client, "query", { database: "shop", sql });

describe("two agents of one person", () => {
  it("do not see each other's approvals", async () => {
    const [one, two] = [await agent("ann", "bot-1"), await agent("ann", "bot-2")];
    const told = await ask(one, "delete from people where id = 1");
    expect(told).toMatchObject({ status: "approval_required" });
    const { id } = told.approval as { id: string };
    expect(await call(one, "approval_status", { id })).toMatchObject({ state: "pending" });
    for (const other of [two, await agent("ann")])
      expect(await call(other, "approval_status", { id })).toMatchObject({ code: "UNKNOWN_APPROVAL" });
  });

  it("do not stop each other, nor the person, by running into refusals", async () => {
    const loop = await agent("ben", "bot-1");
    for (let i = 0; i < 6; i++) await ask(loop, "select zyx_token from people");
    expect(await ask(loop, "select 1")).toMatchObject({ code: "CIRCUIT_OPEN" });
    for (const other of [await agent("ben", "bot-2"), await agent("ben")])
      expect(await ask(other, "select 1")).toMatchObject({ status: "ok" });
  });
});

describe("an agent that looks for columns that nobody may read", () => {
  it("is told their names by no tool, comment or refusal", async () => {
    const client = await agent("carl");
    const shop = { database: "shop" };
    const answers = [
      await call(client, "describe_access"),
      await call(client, "list_tables", shop),
      await call(client, "describe_table", { ...shop, table: "public.people" }),
      await call(client, "my_activity"),
    ];
    expect(answers[2]).toMatchObject({ comment: "******** is for nobody" });
    for (const sql of [
      "select * from people",
      "select * from jsonb_populate_record(null::people, '{}')",
      "select obj_description('people'::regclass)",
      "select pg_describe_object('pg_class'::regclass, 'people'::regclass, 3)",
    ])
      answers.push(
        await call(client, "query", { ...shop, sql }),
        await call(client, "explain", { ...shop, sql }),
      );
    for (const { text } of answers) expect(text).not.toContain("zyx");
  });
});
