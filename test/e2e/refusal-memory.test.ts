/** Refusals that help, that remember, and that end in a pause; on the wire and through MCP alike. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, type McpHouse, startHouse } from "../mcp/support.ts";
import { rawLogin } from "../support/raw.ts";
import { field, query } from "./messages.ts";

const policy = `
version: 1
labels:
  - { label: pii, columns: ["*.*.people.email"], mask: redact }
rules:
  - name: reads
    when: 'statement.effects == ["read"]'
    then: allow
  - name: writes
    when: '"write" in statement.effects'
    then: approve
    approvers: { groups: [stewards], count: 2, ticket: true }
`;
const pauseSeconds = 2;

let house: McpHouse;
beforeAll(async () => {
  house = await startHouse({
    schema: "create table people(id int, email text)",
    policy,
    limits: { refusals: { same: 5, session: 12, principal: 30, pauseSeconds } },
  });
});
afterAll(async () => {
  await house?.stop();
});

async function login(sub: string) {
  return rawLogin(house.postern, await house.postern.token({ sub }));
}

async function send(client: Awaited<ReturnType<typeof login>>, sql: string) {
  client.send(query(sql));
  const got = await client.ready();
  const error = got.find((message) => message.type === "E");
  if (error === undefined) return null;
  const detail = field(error, "D");
  return {
    sqlstate: field(error, "C"),
    hint: field(error, "H") ?? "",
    ...(detail === undefined ? {} : (JSON.parse(detail) as Record<string, unknown>)),
  } as Record<string, unknown> & { hint: string };
}

const bad = "select id from people where email = 'x'";

describe("a refusal", () => {
  it("says what would be allowed instead, and who may approve", async () => {
    const client = await login("asks-once");
    expect(await send(client, bad)).toMatchObject({
      code: "PROTECTED_PREDICATE",
      allowed: expect.stringContaining("plain output column"),
      retryable: false,
    });
    expect(await send(client, "delete from people where id = 1")).toMatchObject({
      code: "NEEDS_APPROVAL",
      approvers: [{ groups: ["stewards"], count: 2 }],
    });
    await client.end();
  });

  it("says so when it is the same again, whatever the literals", async () => {
    const client = await login("asks-again");
    for (let n = 1; n <= 2; n++) expect(await send(client, bad)).not.toHaveProperty("repeated");
    const third = await send(client, "select id from people where email = 'y'");
    expect(third).toMatchObject({ repeated: 3, hint: expect.stringContaining("refused 3 times") });
    // In another session, too, and through another door.
    const agent = await house.connect("modern", await house.postern.token({ sub: "asks-again" }));
    expect(await call(agent, "query", { database: "shop", sql: bad })).toMatchObject({ repeated: 4 });
    // Somebody else's are not counted with it.
    const other = await login("another");
    expect(await send(other, bad)).not.toHaveProperty("repeated");
    await Promise.all([client.end(), other.end()]);
  });
});

describe("the circuit breaker", () => {
  it("opens for a principal who repeats one refused statement, closes again, and is on the record", async () => {
    const client = await login("loops");
    for (let n = 0; n < 5; n++)
      expect(await send(client, bad)).toMatchObject({ code: "PROTECTED_PREDICATE" });
    expect(await send(client, "select 1")).toMatchObject({
      code: "CIRCUIT_OPEN",
      sqlstate: "53400",
      retryable: true,
    });
    const second = await login("loops");
    expect(await send(second, "select 1")).toMatchObject({ code: "CIRCUIT_OPEN" });
    const free = await login("does-not");
    expect(await send(free, "select 1")).toBeNull();
    const record = (await house.postern.records()).findLast((r) => r.type === "circuit.opened");
    expect(record).toMatchObject({
      principal: { subject: "loops", kind: "agent" },
      cause: "same",
      code: "PROTECTED_PREDICATE",
      seconds: pauseSeconds,
      via: "wire",
    });
    await expect.poll(() => send(client, "select 1"), { timeout: 10_000 }).toBeNull();
    await Promise.all([client.end(), second.end(), free.end()]);
  });

  it("opens for a session that is refused one thing after the other, and lets a transaction end", async () => {
    const client = await login("tries-doors");
    expect(await send(client, "begin")).toBeNull();
    for (let n = 0; n < 12; n++) {
      const got = await send(client, `select id as c${n} from people where email || '${n}' = 'x'`);
      expect(got?.code).toMatch(/PROTECTED_|TRANSACTION_ABORTED/);
      if (got?.code === "TRANSACTION_ABORTED") break;
      await send(client, "rollback");
      await send(client, "begin");
    }
    expect(await send(client, "select 1")).toMatchObject({ code: "CIRCUIT_OPEN" });
    expect(await send(client, "rollback")).toBeNull();
    const beside = await login("tries-doors");
    expect(await send(beside, "select 1")).toBeNull();
    await Promise.all([client.end(), beside.end()]);
  });

  it("does not count what needs approval: an agent may look again and again", async () => {
    const client = await login("waits");
    for (let n = 0; n < 40; n++)
      expect(await send(client, "delete from people where id = 1")).toMatchObject({ code: "NEEDS_APPROVAL" });
    expect(await send(client, "select 1")).toBeNull();
    await client.end();
  });
});
