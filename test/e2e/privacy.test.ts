/** What must not be readable afterwards, through the real gateway: passwords anywhere, personal data in the clear. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Entry } from "../../src/audit/read/leaves.ts";
import { parseLeaf, readBatches } from "../../src/audit/read/leaves.ts";
import { unsealEntries } from "../../src/audit/read/show.ts";

import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

let server: Database;
let dbname: string;
beforeAll(async () => {
  server = await sharedCluster();
  dbname = await server.createDatabase();
  await server.query(
    dbname,
    "create extension dblink; create extension pgcrypto; create table notes (t text)",
  );
});
afterAll(async () => {
  await server.dropDatabase(dbname);
});

async function started(options: Partial<Parameters<typeof startTestPostern>[0]>): Promise<TestPostern> {
  const { host, port, superuser: user, password } = server;
  return startTestPostern({ server: { host, port, user, password }, dbname, ...options });
}

async function clientOf(postern: TestPostern, claims: Record<string, unknown> = {}): Promise<pg.Client> {
  const { host, port } = postern;
  const password = await postern.token(claims);
  const client = new pg.Client({ host, port, user: "agent", database: "shop", password });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** All bytes of all files in a folder. */
function bytesIn(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"))
    .join("\n");
}

/** Everything that is sealed, as JSON. */
function unsealed(postern: TestPostern): string {
  const log = { name: "", dir: `${postern.auditSettings.dir}/node/0` };
  const entries: Entry[] = [];
  readBatches(log, null, {
    leaf(buf, start, end, index, _first, offset) {
      const leaf = parseLeaf(buf, start, end);
      if (leaf !== null) entries.push({ log: "", dir: log.dir, index, segment: "", offset, leaf });
    },
    batch: () => true,
  });
  const opened = unsealEntries(log, postern.audit.origin, entries, postern.auditSettings.keys);
  return JSON.stringify([...opened.values()]);
}

const mark = (n: number) => `Zx9Secret${n}q`;
/** Each with its own secret in the place of `?`. They may fail: what they say stays a secret. */
const texts: readonly (string | readonly [string])[] = [
  "create role pr1 password '?'",
  "alter role pr1 encrypted password e'?'",
  "alter user pr1 password $x$?$x$ valid until 'infinity'",
  "alter role pr1 /* c */ password /* d */ U&'?'",
  "alter role pr1 password ?",
  "alter role pr1 password '?",
  'alter role pr1 password "?"',
  "alter role pr1 password '?' bogus",
  "alter role pr1 password '?'; selec",
  "select 1; alter role pr1 password '?'; select 2",
  "do $$ begin execute 'alter role pr1 password ''?'''; end $$",
  "do $$ begin execute format('alter role pr1 pass' || 'word %L', '?'); end $$",
  "do $$ begin execute 'create\n user pr2 pass' || 'word ''?'''; end $$",
  "create function pf1() returns void language plpgsql as $$ begin execute 'alter user pr1 pass' || 'word ''?'''; end $$",
  "prepare pp1 as select dblink_connect('c', 'host=127.0.0.1 password=?')",
  "select dblink_connect('c', 'host=127.0.0.1 pass' || 'word=?')",
  "select * from dblink('host=127.0.0.1 password=?', 'select 1') as t(a int)",
  ["select * from dblink($1, 'select 1') as t(a int)"],
  ["select dblink_connect($1)"],
  ["select crypt($1, gen_salt('md5'))"],
  ["insert into notes values ($1)"],
  "copy (select 1) to program 'PGPASSWORD=? cat > /dev/null'",
  "create user mapping for current_user server nowhere options (user 'u', password '?')",
  "explain select set_config('app.password', '?', false)",
  "set app.password = ?",
  "alter role pr1 set app.token to ?",
  "alter subscription nowhere connection 'host=x password=?'",
  "begin; declare pc cursor for select 'password=?'; fetch all from pc; commit",
  "CREATE USER bob IDENTIFIED BY '?'",
  "comment on role pr1 is 'password: ?'",
];

describe("passwords", () => {
  const lines: string[] = [];
  let postern: TestPostern;
  beforeAll(async () => {
    postern = await started({
      log: (line) => {
        lines.push(line);
      },
    });
    const client = await clientOf(postern);
    for (const [n, text] of texts.entries())
      await (typeof text === "string"
        ? client.query(text.replaceAll("?", mark(n)))
        : client.query(text[0], [`host=127.0.0.1 password=${mark(n)}`])
      ).catch(() => {});
    await client.query("rollback");
    await client.query("drop role if exists pr1, pr2");
    await client.end();
  });
  afterAll(() => postern.stop());

  test("are nowhere: not in a file of the log, not in the gateway's own log, not under the seal", async () => {
    await postern.records();
    const places = [bytesIn(postern.auditSettings.dir), lines.join(""), unsealed(postern)];
    expect(places[2]).toContain('"redacted":true');
    for (const [n, text] of texts.entries())
      expect(
        places.map((place) => place.includes(mark(n))),
        String(text),
      ).toEqual([false, false, false]);
  });
});

test.each(["digest", "drop"] as const)(
  "parameters: %s keeps no value of any form of statement",
  async (parameters) => {
    const postern = await started({ audit: { parameters } });
    const client = await clientOf(postern);
    const value = "mary.private@example.org";
    for (const text of [
      `select '${value}'`,
      `select e'${value}', $x$${value}$x$`,
      `prepare d1 as select '${value}', $1::text; execute d1('${value}')`,
      `begin; declare dc cursor for select '${value}'; fetch all from dc; close dc; commit`,
      `selec '${value}'`,
      `do $$ begin perform '${value}'; end $$`,
      `select 1 /* ${value} */ -- ${value}`,
      `copy (select '${value}') to stdout`,
    ])
      await client.query(text).catch(() => {});
    await client.query("select $1::text", [value]);
    await client.query("select $1::bytea", [Buffer.from(value)]);
    await client.end();
    await postern.records();
    expect(bytesIn(postern.auditSettings.dir)).not.toContain(value);
    expect(unsealed(postern)).not.toContain(value);
    expect(unsealed(postern)).not.toContain(Buffer.from(value).toString("base64"));
    await postern.stop();
  },
);

test("records of approvals: no e-mail address and nothing that a guess can be checked against in the clear", async () => {
  const policy = `version: 1
default: allow
rules:
  - { name: ask, when: '"write" in statement.effects', then: approve, approvers: { groups: [stewards], count: 1, within: 15m } }
`;
  const postern = await started({ policy, approvals: true });
  const client = await clientOf(postern, { email: "agent.seven@example.org" });
  const write = client.query("insert into notes values ('held literal')").catch(() => {});
  await expect
    .poll(async () => (await postern.approvals.list({ state: "pending", limit: 9 })).items.length)
    .toBe(1);
  const [asked] = (await postern.approvals.list({ state: "pending", limit: 9 })).items;
  if (asked === undefined) throw new Error("nothing was asked");
  await client.end().catch(() => {});
  await write;
  await postern.records();
  const clear = bytesIn(postern.auditSettings.dir);
  expect(clear).toContain("approval.requested");
  expect(clear).not.toContain("agent.seven@example.org");
  expect(clear).not.toContain(asked.binding);
  expect(clear).not.toContain("held literal");
  const sealed = unsealed(postern);
  expect(sealed).toContain(asked.binding);
  expect(sealed).toContain('"requester":"agent.seven@example.org"');
  await postern.stop();
});
