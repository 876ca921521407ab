/**
 * The visible half of the corpus through the query tool and through explain. The oracles are those of the wire: the database is as it
 * was, no protected value came back, and the record says what happened.
 */
import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, cases, type Lab, leaks, secondCases, startLab } from "../corpus/lab.ts";
import { binaries } from "../support/binaries.ts";
import { call, openDoor } from "./support.ts";

const statements = cases().filter((one) => one.kind === "sql");

let lab: Lab;
let door: Awaited<ReturnType<typeof openDoor>>;
let client: Client;
let untouched: string;
beforeAll(async () => {
  lab = await startLab();
  door = await openDoor(lab.postern);
  client = await door.connect("modern", await lab.postern.token({ groups: ["testers", "agents"] }));
  untouched = await lab.digest();
});
afterAll(async () => {
  await door?.stop();
  await lab?.stop();
});

const query = (one: Case) => call(client, "query", { database: "lab", sql: one.sql, max_rows: 1000 });

describe.each(statements.filter((one) => one.expected !== "LIMIT"))("$id $expected: $sql", (one) => {
  test("query", async () => {
    const got = await query(one);
    expect(leaks(got.text, one.sql), "protected values").toEqual([]);
    const { error, sqlstate, code } = got;
    // COPY has no rows to give; several statements in one text are none that can be prepared.
    const notHere = code === "COPY_REFUSED" || sqlstate === "42601";
    switch (one.expected) {
      case "ALLOW":
      case "MASK":
        if (!notHere) expect(error, got.text).toBe(false);
        break;
      case "DENY-MASK":
        break;
      default:
        expect(error, got.text).toBe(true);
    }
    expect(String(sqlstate ?? "")).not.toMatch(/^XX/);
    expect(await lab.digest(), "the database").toBe(untouched);
  });
});

// The wire has all of them (corpus/second.test.ts); here it is one in three, unless POSTERN_CORPUS_WAYS=all.
test("the second set of the same classes", async () => {
  const { major } = await binaries();
  const step = process.env.POSTERN_CORPUS_WAYS === "all" ? 1 : 3;
  for (const one of secondCases().filter((_, nth) => nth % step === 0)) {
    if (one.kind !== "sql" || one.expected === "LIMIT" || (one.from ?? 0) > major) continue;
    const got = await call(client, "query", { database: "lab", sql: one.sql, max_rows: 1000 });
    const where = `${one.id} ${one.sql} ${got.text.slice(0, 300)}`;
    expect(leaks(got.text, one.sql), where).toEqual([]);
    // Several statements, COPY and transactions have no place here.
    const notHere = got.code === "COPY_REFUSED" || got.sqlstate === "42601" || one.sql.includes(";");
    if (one.expected === "ALLOW" || one.expected === "MASK") {
      if (!notHere && /^\W*(select|with|table|values|explain)/i.test(one.sql))
        expect(got.error, where).toBe(false);
    } else if (one.expected !== "DENY-MASK") expect(got.error, where).toBe(true);
    expect(String(got.sqlstate ?? "")).not.toMatch(/^58/);
  }
  expect(await lab.digest()).toBe(untouched);
}, 240_000);

test("what is expensive ends within its limits", async () => {
  for (const one of statements.filter(({ expected }) => expected === "LIMIT")) {
    const got = await query(one);
    expect(got.text.length, one.id).toBeLessThan(128 * 1024);
    expect(leaks(got.text, one.sql)).toEqual([]);
  }
  expect(await lab.digest()).toBe(untouched);
}, 60_000);

test("explain says of every statement what query would do, and runs none of them", async () => {
  await explainAgrees(client, "NEEDS_APPROVAL");
  expect(await lab.digest()).toBe(untouched);
}, 180_000);

test("explain agrees with query where people can be asked, too", async () => {
  const asking = await startLab(undefined, true);
  const entry = await openDoor(asking.postern);
  try {
    const before = await asking.digest();
    // Open requests of one agent are few.
    const several = async (n: number) =>
      entry.connect(
        "modern",
        await asking.postern.token({ sub: `agent-${n}`, groups: ["testers", "agents"] }),
      );
    expect(await explainAgrees(several, "APPROVAL_REQUIRED")).toBeGreaterThan(0);
    expect(await asking.digest()).toBe(before);
  } finally {
    await entry.stop();
    await asking.stop();
  }
}, 180_000);

/** `held`: the code of what people must agree to. Gives how many such statements there were. */
async function explainAgrees(
  who: Client | ((n: number) => Promise<Client>),
  held: "NEEDS_APPROVAL" | "APPROVAL_REQUIRED",
): Promise<number> {
  let asked = 0;
  for (const [n, one] of statements.entries()) {
    const agent = typeof who === "function" ? await who(n) : who;
    const said = await call(agent, "explain", { database: "lab", sql: one.sql });
    expect(leaks(said.text, one.sql), one.id).toEqual([]);
    if (one.expected === "LIMIT") continue;
    const ran = await call(agent, "query", { database: "lab", sql: one.sql, max_rows: 1000 });
    if (ran.code === "COPY_REFUSED") continue;
    if (ran.code === held) asked++;
    // What people must approve is said as such, what is denied is denied with the same code, and the other way round.
    expect(said.verdict === "approve", one.id).toBe(ran.code === held);
    if (ran.code === held) expect(said.error, one.id).toBe(false);
    else if (ran.error && ran.code !== "SERVER_ERROR") expect(said.code, one.id).toBe(ran.code);
    else if (said.error) expect([said.code, said.sqlstate], one.id).toEqual([ran.code, ran.sqlstate]);
    else if (!ran.error) expect(said, one.id).toMatchObject({ verdict: "allow" });
  }
  return asked;
}

test("values of parameters are never part of a statement", async () => {
  for (const one of statements.slice(0, 60)) {
    const got = await call(client, "query", {
      database: "lab",
      sql: "select $1::text as said",
      params: [one.sql],
    });
    expect(got.rows).toEqual([[one.sql]]);
  }
  expect(await lab.digest()).toBe(untouched);
}, 60_000);

test("every call is on the record, each in a session of its own by this door", async () => {
  const records = await lab.postern.records();
  const intents = records.filter(({ type }) => type === "statement.intent");
  const outcomes = records.filter(({ type }) => type === "statement.outcome");
  expect(intents.length).toBeGreaterThan(statements.length);
  expect(outcomes.length).toBe(intents.length);
  expect(intents.every(({ client: from }) => (from as { via: string }).via === "mcp")).toBe(true);
});
