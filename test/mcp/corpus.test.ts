/**
 * The visible half of the corpus through the query tool and through explain. The oracles are those of the wire: the database is as it
 * was, no protected value came back, and the record says what happened.
 */
import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, cases, type Lab, leaks, startLab } from "../corpus/lab.ts";
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

test("what is expensive ends within its limits", async () => {
  for (const one of statements.filter(({ expected }) => expected === "LIMIT")) {
    const got = await query(one);
    expect(got.text.length, one.id).toBeLessThan(128 * 1024);
    expect(leaks(got.text, one.sql)).toEqual([]);
  }
  expect(await lab.digest()).toBe(untouched);
}, 60_000);

test("explain says of every statement what query would do, and runs none of them", async () => {
  for (const one of statements) {
    const said = await call(client, "explain", { database: "lab", sql: one.sql });
    expect(leaks(said.text, one.sql), one.id).toEqual([]);
    if (one.expected === "LIMIT") continue;
    const ran = await query(one);
    if (ran.code === "COPY_REFUSED") continue;
    // What people must approve is said as such, or why it could not run even then; what is denied is denied with the same code.
    if (said.verdict === "approve" || said.code === "NOT_COUNTABLE")
      expect(ran.code, one.id).toMatch(/^(?:NEEDS_APPROVAL|NOT_COUNTABLE)$/);
    else if (ran.error && ran.code !== "SERVER_ERROR") expect(said.code, one.id).toBe(ran.code);
    else if (!ran.error) expect(said, one.id).toMatchObject({ error: false, verdict: "allow" });
  }
  expect(await lab.digest()).toBe(untouched);
}, 180_000);

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
