/** Values of protected columns that the system's own relations hold, among columns that tools read with `*`. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { bind, execute, field, parse, query, sync } from "../e2e/messages.ts";
import { type RawMessage, rawLogin } from "../support/raw.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

let lab: LineageLab;
beforeAll(async () => {
  lab = await startLineageLab("output");
  // Worked out once, and the value of all rows that were there.
  await lab.cluster.query(
    lab.dbname,
    `create table grown (id int); insert into grown values (1), (2);
     alter table grown add column secret text default concat('${lab.tokens.text()}', '');
     alter table grown alter secret drop default, add column plain int default 4711;
     grant select on grown to public`,
  );
});
afterAll(async () => {
  await lab?.stop();
});

async function run(sent: readonly Buffer[]): Promise<RawMessage[]> {
  const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
  client.send(...sent);
  const answer = await client.ready();
  await client.end();
  expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
  return answer;
}

const grown = "where attrelid = 'grown'::regclass and attnum > 0";
const read = [
  `select * from pg_attribute ${grown}`,
  `select attname, attmissingval from pg_attribute ${grown}`,
  // As pg_dump asks.
  `select a.attname, case when a.atthasmissing and not a.attisdropped then a.attmissingval else null end as attmissingval
     from pg_attribute a ${grown}`,
  `select attname, attmissingval::text from pg_attribute ${grown}`,
  `copy (select attname, attmissingval from pg_attribute ${grown}) to stdout`,
  `copy (select * from pg_attribute ${grown}) to stdout (format csv)`,
];

test.each(read)("come back as NULL: %s", async (text) => {
  for (const sent of [
    [query(text)],
    [0, 1].flatMap((format) => [parse("", text), bind("", "", [], [format]), execute(""), sync]),
  ]) {
    const rows = (await run(sent)).filter(({ type }) => type === "D" || type === "d");
    expect(rows.length).toBeGreaterThanOrEqual(3);
    expect(rows.map(({ body }) => body.toString("latin1")).join()).not.toContain("4711");
  }
});

test.each([
  [`select a from pg_attribute a ${grown}`, "PROTECTED_PREDICATE"],
  [`select to_jsonb(a) from pg_attribute a ${grown}`, "PROTECTED_PREDICATE"],
  [`select attname from pg_attribute ${grown} and attmissingval::text like '{a%'`, "PROTECTED_PREDICATE"],
  [`select count(*) from pg_attribute ${grown} group by attmissingval::text`, "PROTECTED_PREDICATE"],
  [`create table copied as select attmissingval::text from pg_attribute ${grown}`, "PROTECTED_PREDICATE"],
])("are not looked into: %s", async (text, code) => {
  const error = (await run([query(text)])).find(({ type }) => type === "E");
  expect(JSON.parse(field(error, "D") ?? "{}")).toMatchObject({ code });
});

test("what an update wrote is not told to who may write", async () => {
  for (const measure of [
    "pg_current_wal_insert_lsn()",
    "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')",
    "pg_stat_get_xact_tuples_hot_updated('users'::regclass)",
    "(select wal_bytes from pg_stat_get_wal())",
  ]) {
    const error = (await run([query(`select ${measure}`)])).find(({ type }) => type === "E");
    expect(JSON.parse(field(error, "D") ?? "{}"), measure).toMatchObject({ code: "PROTECTED_CATALOG" });
  }
  for (const text of [
    "select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables where relname = 'users'",
    "select seq_scan is not null, n_tup_hot_upd from pg_stat_user_tables where relname = 'users'",
    "select stats_reset is null, wal_bytes from pg_stat_wal",
  ]) {
    const [row] = (await run([query(text)])).filter(({ type }) => type === "D");
    // Two columns, of which the second is NULL: its length is -1.
    expect(row?.body.subarray(0, 2), text).toEqual(Buffer.from([0, 2]));
    expect(row?.body.subarray(-4), text).toEqual(Buffer.from([255, 255, 255, 255]));
  }
});

test("whoever looks at other columns notices nothing", async () => {
  const columns = await run([
    query("select column_name, numeric_precision from information_schema.columns where table_name = 'grown'"),
  ]);
  expect(
    columns.filter(({ type, body }) => type === "D" && body.toString("latin1").endsWith("32")).length,
  ).toBe(2);
  const rows = await run([
    query(`select a.attname, a.atttypid::regtype, a.atthasmissing from pg_attribute a ${grown}`),
  ]);
  expect(rows.filter(({ type }) => type === "D").length).toBe(3);
});
