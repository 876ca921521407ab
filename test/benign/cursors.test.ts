/** Cursors as ODBC opens them (Tableau, Power BI): BEGIN, DECLARE … WITH HOLD and the first FETCH in one message. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { field, query, types } from "../e2e/messages.ts";
import type { RawClient } from "../support/raw.ts";
import { type BenignLab, send, startBenignLab } from "./support.ts";

let lab: BenignLab;
beforeAll(async () => {
  lab = await startBenignLab();
});
afterAll(async () => {
  await lab?.stop();
});

const declare = (what: string) => `declare "SQL_CUR1" cursor with hold for ${what}`;
const fetch_ = (count: number) => `fetch ${count} in "SQL_CUR1"`;

async function ask(client: RawClient, sql: string): Promise<{ types: string; text: string; code: string }> {
  client.send(query(sql));
  const got = await client.ready();
  const detail = field(
    got.find(({ type }) => type === "E"),
    "D",
  );
  return {
    types: types(got),
    text: got.map(({ body }) => body.toString("latin1")).join("\n"),
    code: detail === undefined ? "" : (JSON.parse(detail) as { code: string }).code,
  };
}

test("the rows come, masked, and the cursor goes on", async () => {
  const client = await lab.login("odbc");
  const first = await ask(
    client,
    `BEGIN;${declare("select id, email from customers order by id")};${fetch_(2)}`,
  );
  expect(first.types).toBe("CCTDDCZ");
  expect(first.text).toContain("p***@***");
  expect(first.text).not.toContain("private");
  const next = await ask(client, fetch_(100));
  expect(next.types).toMatch(/^TD{18}CZ$/);
  expect(next.text).not.toContain("private");
  for (const sql of ["commit", 'close "SQL_CUR1"']) expect(await send(client, { sql })).toBeNull();
  await client.end();
});

test("rows of all FETCHes count together", async () => {
  const client = await lab.login("odbc");
  const first = `BEGIN;${declare("select g from generate_series(1, 5000) g")};${fetch_(900)}`;
  expect((await ask(client, first)).types).toMatch(/^CCTD{900}CZ$/);
  expect(await ask(client, fetch_(200))).toMatchObject({ code: "ROW_LIMIT" });
  await client.end();
});

test.each([
  [
    "what the cursor reads is denied",
    declare("select id from customers where email > 'a'"),
    "PROTECTED_PREDICATE",
  ],
  ["a cursor that is closed in between", `${declare("select 1")};close "SQL_CUR1"`, "SEND_ALONE"],
  ["another cursor", declare("select 1").replace("CUR1", "CUR2"), "SEND_ALONE"],
  ["a setting changes in between", `${declare("select 1")};set search_path = public`, "SEND_ALONE"],
  ["the second FETCH of the message", `${declare("select 1")};${fetch_(1)}`, "SEND_ALONE"],
  ["a second DECLARE", `${declare("select 1").replace("CUR1", "CUR0")};${declare("select 2")}`, "SEND_ALONE"],
])("refused as a whole: %s", async (_, before, code) => {
  const client = await lab.login("odbc");
  const got = await ask(client, `BEGIN;${before};${fetch_(2)}`);
  expect(got.types).toBe("EZ");
  expect(got.code).toBe(code);
  await client.end();
});

test("a cursor of the session under the same name is not what is read", async () => {
  const client = await lab.login("odbc");
  expect((await ask(client, `begin;${declare("select id from orders order by id")};${fetch_(1)}`)).code).toBe(
    "",
  );
  expect(await send(client, { sql: "commit" })).toBeNull();
  const again = await ask(client, `begin;${declare("select id, email from customers")};${fetch_(1)}`);
  // 42P03, duplicate_cursor: nothing behind it runs.
  expect(again.types).toBe("CEZ");
  await client.end();
});
