/** Comparisons with a protected column (`use: equality`): each value that it is compared with counts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { bind, execute, field, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: redact, use: equality, equality_per_minute: 10 }
  - { label: pii.ssn, columns: ["shop.public.people.ssn"], mask: redact, use: equality, equality_per_minute: 10 }
default: allow
rules: []
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int primary key, email text, ssn text); insert into people values (1, 'a', '1'), (2, 'b', '2');
     create view shown as select id, email as contact from people`,
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

let subjects = 0;

/** Sends them one by one as somebody new; what each ends with: "" or the code of the refusal. */
async function codes(...steps: readonly (string | readonly Buffer[])[]): Promise<string[]> {
  const client: RawClient = await rawLogin(postern, await postern.token({ sub: `someone-${subjects++}` }));
  const found: string[] = [];
  for (const step of steps) {
    client.send(...(typeof step === "string" ? [query(step)] : step));
    const error = (await client.ready()).find(({ type }) => type === "E");
    const detail = field(error, "D") ?? "";
    found.push(
      error === undefined
        ? ""
        : detail.startsWith("{")
          ? String((JSON.parse(detail) as { code: string }).code)
          : (field(error, "C") ?? ""),
    );
  }
  await client.end();
  return found;
}

const values = (n: number) => Array.from({ length: n }, (_, i) => `'x${i}'`).join();
const one = "select id from people where email = 'a'";

/** A parameter that is a list, in text or in binary format. */
function any(n: number, format: 0 | 1): Buffer[] {
  const sql = "select id from people where email = any ($1)";
  const text = `{${Array.from({ length: n }, (_, i) => `"x,${i}"`).join()}}`;
  if (format === 0) return [parse("", sql, [1009]), bind("", "", [text]), execute(""), sync];
  const head = Buffer.alloc(20);
  for (const [i, number] of [1, 0, 25, n, 1].entries()) head.writeInt32BE(number, i * 4);
  const element = Buffer.from([0, 0, 0, 1, 0x78]);
  const value = Buffer.concat([head, ...new Array<Buffer>(n).fill(element)]);
  // Bind: portal, statement, one format for all, one value, results in text.
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, 1, 0, 1, 0, 1]),
    Buffer.from(Uint32Array.of(value.length).buffer).swap32(),
    value,
    Buffer.from([0, 0]),
  ]);
  const message = Buffer.alloc(5 + body.length);
  message.write("B", "latin1");
  message.writeInt32BE(body.length + 4, 1);
  body.copy(message, 5);
  return [parse("", sql, [1009]), message, execute(""), sync];
}

it("one by one", async () => {
  expect(await codes(...new Array<string>(11).fill(one))).toEqual([
    ...new Array<string>(10).fill(""),
    "RATE_LIMITED",
  ]);
});

it("values of a list", async () => {
  expect(await codes(`select id from people where email in (${values(11)})`, one)).toEqual([
    "RATE_LIMITED",
    "",
  ]);
  const six = `select id from people where email in (${values(6)})`;
  expect(await codes(six, six, `select id from people where email in (${values(4)})`, one)).toEqual([
    "",
    "RATE_LIMITED",
    "",
    "RATE_LIMITED",
  ]);
});

it("several in one statement, and through a view", async () => {
  const sub = (i: number) => `(select id from people where email = 'x${i}') s${i}`;
  const from = (n: number) => Array.from({ length: n }, (_, i) => sub(i)).join();
  expect(await codes(`select 1 from ${from(11)}`, `select 1 from ${from(10)}`, one)).toEqual([
    "RATE_LIMITED",
    "",
    "RATE_LIMITED",
  ]);
  const view = `select id from shown where contact in (${values(5)})`;
  expect(await codes(view, view, view)).toEqual(["", "", "RATE_LIMITED"]);
});

it("columns of other labels have their own", async () => {
  const both = `select id from people where email in (${values(10)}) and ssn in (${values(9)})`;
  expect(await codes(both, one, "select id from people where ssn = '1'")).toEqual(["", "RATE_LIMITED", ""]);
});

it.each([0, 1] as const)("values in a parameter, format %s", async (format) => {
  expect(await codes(any(11, format), any(6, format), any(6, format), any(4, format), one)).toEqual([
    "RATE_LIMITED",
    "",
    "RATE_LIMITED",
    "",
    "RATE_LIMITED",
  ]);
});

it("a list that nobody counts takes all that there is, or is none", async () => {
  const prepared = "prepare p(text[]) as select id from people where email = any ($1)";
  expect(await codes(prepared, "execute p('{a,b}')", one)).toEqual(["", "", "RATE_LIMITED"]);
  expect(await codes("select id from people where email = any ('{a,b}')")).toEqual(["PROTECTED_PREDICATE"]);
  expect(await codes("select id from people where email = any (array['a', 'b'])", one)).toEqual(["", ""]);
});
