/** The record of masks: which outputs were hidden, how many of their cells, and digests of the rows before and after. */
import { createHash, createHmac, randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { readRequest, showRequest } from "../../src/audit/read/show.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { type Leaf, startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { bind, execute, flush, parse, query, sync, types } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: partial }
  - { label: pii.pay, columns: ["shop.public.people.pay"], mask: "null" }
rules:
  - name: all
    when: 'true'
    then: allow
  - name: seldom
    when: '"seldom" in principal.groups'
    then: limit
    limits: { per_minute: 1 }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
const canary = randomBytes(8).toString("hex");

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int primary key, name text, email text, pay int);
     insert into people values (1, 'ann', '${canary}@example.com', 1000), (2, 'bob', null, null), (3, 'cyd', 'cyd@${canary}.org', 77)`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
    audit: { results: { digest: true, captureRows: 10 } },
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  client = await rawLogin(postern, await postern.token());
});
afterEach(() => client.end());

/** The key of the test gateway (test/support/postern.ts), as keys.ts derives from it. */
const sourceKey = createHmac("sha256", Buffer.alloc(32, 7)).update("postern source digest 1").digest();

function message({ type, body }: RawMessage): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** DataRow messages of rows in text format, as the server sends them. */
function rows(...values: (string | null)[][]): Buffer {
  return Buffer.concat(
    values.map((row) => {
      const parts = row.map((value) => {
        const bytes = Buffer.from(value ?? "");
        const size = Buffer.alloc(4);
        size.writeInt32BE(value === null ? -1 : bytes.length);
        return Buffer.concat([size, bytes]);
      });
      const count = Buffer.alloc(2);
      count.writeUInt16BE(row.length);
      return message({ type: "D", body: Buffer.concat([count, ...parts]) });
    }),
  );
}

const people: (string | null)[][] = [
  ["1", "ann", `${canary}@example.com`, "1000"],
  ["2", "bob", null, null],
  ["3", "cyd", `cyd@${canary}.org`, "77"],
];

async function lastOutcome(): Promise<Leaf> {
  const found = (await postern.records()).findLast((one) => one.type === "statement.outcome");
  if (found === undefined) throw new Error("no outcome");
  return found;
}

interface Result {
  readonly columns: { name: string; origin: string | null; masked: boolean }[];
  readonly masked_cells: number[];
  readonly digests: Record<"delivered" | "source", { alg: string; value: string } | null>;
}

function check(outcome: Leaf, got: readonly RawMessage[], type: string, source: Buffer): Result {
  const result = outcome.result as Result;
  const log = { name: "", dir: `${postern.auditSettings.dir}/node/0` };
  const delivered = Buffer.concat(got.filter((one) => one.type === type).map(message));
  const request = String(outcome.request);
  const shown = showRequest(log, postern.audit.origin, request, postern.auditSettings.keys);
  const opened = shown.find(({ record }) => record.type === "statement.intent")?.opened;
  if (opened?.state !== "open") throw new Error("the seal did not open");
  expect(readRequest(log, request).entries.length).toBe(2);
  const value = createHash("sha256")
    .update(delivered)
    .update(Buffer.from(opened.salt, "base64"))
    .digest("base64");
  expect(result.digests.delivered).toEqual({ alg: "sha256-salted-v1", value });
  expect(result.digests.source).toEqual({
    alg: "hmac-sha256-v1",
    value: createHmac("sha256", sourceKey).update(source).digest("base64"),
  });
  expect(delivered.toString("latin1")).not.toContain(canary);
  expect(JSON.stringify(shown)).not.toContain(canary);
  return result;
}

const masked = (result: Result) =>
  result.columns.filter((one) => one.masked).map(({ name, origin }) => [name, origin]);

it("a Query: columns, cells and both digests", async () => {
  client.send(query("select id, name, email, pay from people order by id"));
  const got = await client.ready();
  const result = check(await lastOutcome(), got, "D", rows(...people));
  expect(masked(result)).toEqual([
    ["email", "public.people.email"],
    ["pay", "public.people.pay"],
  ]);
  expect(result.masked_cells).toEqual([0, 0, 2, 2]);
});

it("the extended protocol in pieces, never described: each outcome has its own", async () => {
  client.send(
    parse("", "select email as mail, id from people order by id"),
    bind("", ""),
    execute("", 2),
    execute("", 2),
    sync,
  );
  const got = await client.ready();
  const pieces = got.map(({ type }) => type).join("");
  expect(pieces).toBe("12DDsDCZ");
  const outcomes = (await postern.records()).filter((one) => one.type === "statement.outcome").slice(-2);
  const at = pieces.indexOf("s");
  const source = (list: (string | null)[][]) => rows(...list.map((row) => [row[2] ?? null, row[0] ?? null]));
  const [first, second] = outcomes;
  if (first === undefined || second === undefined) throw new Error("no outcomes");
  const one = check(first, got.slice(0, at), "D", source(people.slice(0, 2)));
  const two = check(second, got.slice(at), "D", source(people.slice(2)));
  expect([one.masked_cells, two.masked_cells]).toEqual([
    [1, 0],
    [1, 0],
  ]);
  expect(masked(two)).toEqual([["mail", "public.people.email"]]);
});

it("COPY, of which the server describes no columns", async () => {
  client.send(query("copy (select name, email from people order by id) to stdout"));
  const got = await client.ready();
  const lines = people.map(([, name, email]) =>
    message({ type: "d", body: Buffer.from(`${name}\t${email ?? "\\N"}\n`) }),
  );
  const result = check(await lastOutcome(), got, "d", Buffer.concat(lines));
  expect(result.columns.map(({ name }) => name)).toEqual(["name", "email"]);
  expect(masked(result)).toEqual([["email", "public.people.email"]]);
  expect(result.masked_cells).toEqual([0, 2]);
});

it("nothing is said of masks where nothing is masked", async () => {
  client.send(query("select id, name from people"));
  await client.ready();
  const result = (await lastOutcome()).result as Result;
  expect(result.digests.source).toBeNull();
  expect("masked_cells" in result).toBe(false);
  expect(masked(result)).toEqual([]);
});

it("a rule is named where it decided: not the one that allowed what masking refused", async () => {
  client.send(query("select id from people where email like 'a%'"));
  await client.ready();
  expect(await lastIntent()).toMatchObject({
    decision: { verdict: "deny", code: "PROTECTED_PREDICATE", rule: null, rules: ["all"] },
  });
  const seldom = await rawLogin(postern, await postern.token({ groups: ["testers", "seldom"] }));
  for (const _ of [1, 2]) {
    seldom.send(query("select id from people"));
    await seldom.ready();
  }
  await seldom.end();
  expect(await lastIntent()).toMatchObject({
    decision: { verdict: "deny", code: "RATE_LIMITED", rule: "seldom" },
  });
});

it("a result in pieces is one statement to a rate", async () => {
  const token = await postern.token({ sub: "pieces", groups: ["testers", "seldom"] });
  const seldom = await rawLogin(postern, token);
  seldom.send(parse("", "select id from people"), bind("p", ""));
  let got = "";
  for (let pieces = 0; pieces < 4; pieces++) {
    seldom.send(execute("p", 1), flush);
    got += types(await seldom.until(({ type }) => "sCE".includes(type)));
  }
  expect(got).toBe("12DsDsDsC");
  seldom.send(sync, query("select id from people"));
  await seldom.ready();
  expect(types(await seldom.ready())).toBe("EZ");
  await seldom.end();
});

async function lastIntent(): Promise<Leaf | undefined> {
  return (await postern.records()).findLast(({ type }) => type === "statement.intent");
}
