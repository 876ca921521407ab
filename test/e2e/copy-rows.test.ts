/** What counts as a row of a copy: its lines, not what stands before and behind them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { bind, execute, field, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
default: allow
labels:
  - { label: pii, columns: ["shop.public.few.hidden"], mask: redact }
rules:
  - { name: few, when: '"public.few" in statement.reads', then: limit, limits: { rows: 3 } }
  - { name: day, when: '"public.day" in statement.reads', then: limit, limits: { rows_per_day: 3 } }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table few as select g as id, 'x' || g as hidden from generate_series(1, 4) g;
     create table day as select 1 as id;
     create table none(id int)`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const ways: readonly (readonly [string, (sql: string) => Buffer[]])[] = [
  ["simple", (sql) => [query(sql)]],
  ["extended", (sql) => [parse("", sql), bind("", ""), execute(""), sync]],
];
const forms = ["", "(header)", "(format csv, header)", "(format binary)"];
const columns = (form: string) => (form === "(format binary)" ? ["id"] : ["id", "id, hidden"]);

test.each(ways.flatMap(([way, send]) => forms.map((form) => [way, form, send] as const)))(
  "%s copy %s: as many rows as are allowed, and not one more",
  async (_, form, send) => {
    const client = await rawLogin(postern, await postern.token());
    for (const list of columns(form)) {
      const got = async (most: number) => {
        client.send(...send(`copy (select ${list} from few where id <= ${most}) to stdout ${form}`));
        const messages = await client.ready();
        const records = await postern.records();
        const last = records.findLast(({ type }) => type === "statement.outcome") as {
          status?: string;
          result?: { rows?: number };
        };
        const error = messages.find(({ type }) => type === "E");
        return {
          copied: messages.filter(({ type }) => type === "d").length,
          code: error === undefined ? null : JSON.parse(field(error, "D") ?? "{}").code,
          status: last.status,
          rows: last.result?.rows,
        };
      };
      // A binary copy begins with its first row, and has an end.
      const around = form === "" ? 0 : 1;
      expect(await got(3)).toEqual({ copied: 3 + around, code: null, status: "ok", rows: 3 });
      expect(await got(0)).toEqual({ copied: around, code: null, status: "ok", rows: 0 });
      expect(await got(4)).toEqual({
        copied: form.includes("header") ? 4 : 3,
        code: "ROW_LIMIT",
        status: "cut",
        rows: 3,
      });
    }
    await client.end();
  },
);

test("a budget of rows is spent by rows alone", async () => {
  const client = await rawLogin(postern, await postern.token());
  for (const form of ["(format binary)", "(header)", "(format csv, header)"]) {
    client.send(query(`copy day to stdout ${form}`));
    expect((await client.ready()).map(({ type }) => type)).not.toContain("E");
  }
  client.send(query("copy day to stdout"));
  expect((await client.ready()).map(({ type }) => type)).toContain("E");
  await client.end();
});

test("of a copy that fails before its first line no rows are on record", async () => {
  const client = await rawLogin(postern, await postern.token());
  client.send(query("copy (select 1 / (id - 1) from day) to stdout (header)"), query("select id from none"));
  await client.ready();
  await client.ready();
  const records = await postern.records();
  const rows = records
    .filter(({ type }) => type === "statement.outcome")
    .map(({ result }) => (result as { rows?: number }).rows);
  expect(rows.slice(-2)).toEqual([0, 0]);
  await client.end();
});
