/** What the record of a statement says of where it stood: its transaction block, the search_path, what its comment claims. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, execute, parse, query, sync } from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
let seen = 0;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, "create table p(a int)");
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy:
      "version: 1\ndefault: allow\nrules: [{ name: no, when: '\"public.q\" in statement.reads', then: deny }]\n",
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  client = await rawLogin(postern, await postern.token(), {
    options: "-c postern.agent=session -c postern.intent=look",
  });
  seen = (await postern.records()).length;
});
afterEach(() => client.end());

async function run(...texts: string[]): Promise<void> {
  for (const text of texts) {
    client.send(query(text));
    await client.ready();
  }
}

it("names the block of each statement by the message that began it, and the search_path", async () => {
  const path = `"$user", "Odd ""Name", PUBLIC`;
  await run(
    "select 0 from p",
    "begin",
    "begin",
    "select 1 from p",
    "select nonsense",
    "select 2",
    "rollback",
  );
  await run("begin; select 3 from p", "select 4 from p", "commit and chain", "select 5 from p", "commit");
  await run(`set search_path = ${path}`, "select 6 from p");
  client.send(parse("", "begin"), bind("", ""), execute(""), sync);
  await client.ready();
  client.send(parse("", "select 7 from p"), bind("", ""), execute(""), sync);
  await client.ready();
  interface Said {
    readonly sql: string;
    readonly index: number;
    readonly transaction: { readonly state: string; readonly id: string | null };
    readonly search_path: readonly string[] | null;
  }
  const found = (await postern.records()).slice(seen).filter(({ type }) => type === "statement.intent");
  const said = found.map(({ request, statement }) => ({ request, ...(statement as Said) }));
  const beginners = said.filter(({ sql }) => sql === "begin" || sql === "commit and chain");
  const [first, second, third, chained, fourth] = beginners.map(({ request }) => request);
  expect(said.map(({ sql, transaction: { state, id } }) => [sql, state, id])).toEqual([
    ["select ? from p", "I", null],
    ["begin", "I", null],
    ["begin", "T", first],
    ["select ? from p", "T", first],
    ["select nonsense", "T", first],
    ["select ?", "E", first],
    ["rollback", "E", first],
    ["begin", "I", null],
    ["select ? from p", "I", null],
    ["select ? from p", "T", third],
    ["commit and chain", "T", third],
    ["select ? from p", "T", chained],
    ["commit", "T", chained],
    [expect.stringContaining("set search_path"), "I", null],
    ["select ? from p", "I", null],
    ["begin", "I", null],
    ["select ? from p", "T", fourth],
  ]);
  expect(new Set([first, second, third, chained, fourth]).size).toBe(5);
  const paths = said.filter(({ sql }) => sql === "select ? from p").map((one) => one.search_path);
  const own = ["$user", "public"];
  expect(paths).toEqual([
    own,
    own,
    own,
    own,
    own,
    ["$user", 'Odd "Name', "public"],
    ["$user", 'Odd "Name', "public"],
  ]);
});

it("takes what a comment claims of its caller (sqlcommenter) in place of what the session claimed", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await cluster.query(dbname, "create table q(a int)");
  await run(
    "select 1",
    `select 2 /*action='x',traceparent='${traceparent}'*/`,
    `select 3 /*run='r%201',model='m',agent='a',intent='the%20prompt'*/; select 4`,
    "select 5 /* run='r' and more */",
    `select 6 /*run='${"x".repeat(200)}',unmask='pii',model='a%0Ab'*/`,
    "select a from q /*run='plain',postern.run='denied'*/",
  );
  client.send(parse("", `select 8 /*traceparent='${traceparent}'*/`), bind("", ""), execute(""), sync);
  await client.ready();
  const found = (await postern.records()).slice(seen).filter(({ type }) => type === "statement.intent");
  const own = { agent: "session", intent: "(sealed)" };
  expect(found.map(({ claimed }) => claimed)).toEqual([
    own,
    { ...own, traceparent },
    { agent: "a", model: "m", run: "r 1", intent: "(sealed)" },
    own,
    own,
    own,
    { ...own, run: "denied" },
    { ...own, traceparent },
  ]);
  expect(JSON.stringify(found)).not.toContain("the prompt");
});
