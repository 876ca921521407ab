/** What a real server says of statements that stumble over a secret, with the secret taken out. */

import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scrubError, scrubNotice } from "../../src/masking/index.ts";
import { decodeErrorFields, encodeQuery, encodeStartup } from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type RawClient, rawClient } from "../support/raw.ts";

const secret = "canary7f3a";
let server: Database;
let database: string;
let client: RawClient;
beforeAll(async () => {
  server = await sharedCluster();
  database = await server.createDatabase();
  await server.query(
    database,
    `create schema shop; create table shop.people (id int primary key, email text unique, age int constraint grown check (age > 17));
     insert into shop.people values (1, '${secret}', 20);`,
  );
  client = rawClient(net.connect({ path: `${server.socketDir}/.s.PGSQL.${server.port}` }));
  client.send(
    encodeStartup(
      new Map([
        ["user", "postgres"],
        ["database", database],
      ]),
    ),
  );
  await client.ready();
});
afterAll(async () => {
  await client.end();
  await server.dropDatabase(database);
});

async function said(sql: string, type: "E" | "N"): Promise<Buffer> {
  client.send(encodeQuery(sql));
  const message = (await client.ready()).find((m) => m.type === type);
  if (message === undefined) throw new Error("nothing was said");
  return message.body;
}

/** Fields of a whole message. */
function fieldsOf(message: Buffer): Record<string, string> {
  expect(message.readInt32BE(1)).toBe(message.length - 1);
  return Object.fromEntries(decodeErrorFields(message.subarray(5)));
}

describe("errors", () => {
  test.each([
    ["select email::int from shop.people", "22P02", {}],
    [
      `insert into shop.people select 2, email, 20 from shop.people`,
      "23505",
      { s: "shop", t: "people", n: "people_email_key" },
    ],
    [
      `insert into shop.people select 2, email || 'x', 3 from shop.people`,
      "23514",
      { s: "shop", t: "people", n: "grown" },
    ],
    [
      `insert into shop.people select null, email, 30 from shop.people`,
      "23502",
      { s: "shop", t: "people", c: "id" },
    ],
    [
      `do $$ declare e text; begin select email into e from shop.people; raise exception '%', e using detail = e, hint = e; end $$`,
      "P0001",
      {},
    ],
    [
      `do $$ declare e text; begin select email into e from shop.people; raise exception 'x' using errcode = 'unique_violation', column = e, constraint = e, datatype = e, table = e, schema = e; end $$`,
      "23505",
      "named",
    ],
    [`do $$ begin raise exception 'x' using errcode = upper(left('${secret}', 5)); end $$`, "XX000", {}],
    [`select * from shop.${secret}`, "42P01", {}],
  ])("%s", async (sql, code, names) => {
    const body = await said(sql, "E");
    const known = new Set(["shop", "people", "id", "email", "grown", "people_email_key"]);
    const scrubbed = scrubError(body, "request 42", (_, name) => known.has(name));
    expect(scrubbed[0]).toBe(0x45);
    expect(scrubbed.includes(secret)).toBe(false);
    const { S, V, C, M, H, ...rest } = fieldsOf(scrubbed);
    expect([S, V, C]).toEqual(["ERROR", "ERROR", code]);
    expect(M).toMatch(/withheld/);
    expect(H).toContain("request 42");
    expect(rest).toEqual(names === "named" ? {} : names);
  });
});

describe("notices", () => {
  test.each(["notice", "warning", "info"])("raise %s", async (level) => {
    const body = await said(
      `do $$ declare e text; begin select email into e from shop.people; raise ${level} '% %', e, e using detail = e; end $$`,
      "N",
    );
    expect(body.includes(secret)).toBe(true);
    const scrubbed = scrubNotice(body, "r");
    expect(scrubbed[0]).toBe(0x4e);
    expect(scrubbed.includes(secret)).toBe(false);
    expect(fieldsOf(scrubbed).V).toBe(level.toUpperCase());
  });
});

test("what cannot be read becomes an error without words", () => {
  for (const body of [
    Buffer.alloc(0),
    Buffer.from(`M${secret}`),
    Buffer.from(`M${secret}\0\0junk`),
    Buffer.from("\0"),
  ]) {
    const fields = fieldsOf(scrubError(body, "a\0b"));
    expect(fields.C).toBe("XX000");
    expect(JSON.stringify(fields)).not.toContain(secret);
  }
});
