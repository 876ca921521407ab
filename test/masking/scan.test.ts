/** Labels proposed for a real database. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { scanDatabase } from "../../src/cli/lib/scan.ts";
import { proposeLabels } from "../../src/masking/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { openSession, type Session } from "./server.ts";
import { valuesOf } from "./support.ts";

let server: Database;
let database: string;
let session: Session;
beforeAll(async () => {
  server = await sharedCluster();
  database = await server.createDatabase();
  await server.query(
    database,
    `create schema "Odd.Schema";
     create table customers (id int, contact text, note text, "order" text, date_of_birth date, password_hash text, created timestamptz);
     insert into customers select i, 'user' || i || '@example.com', case when i = 7 then 'mail me at x@example.org' else 'note ' || i end,
       '4111111111111111', '1985-03-04', md5(i::text), now() from generate_series(1, 300) i;
     create table "Odd.Schema"."T ""x""" ("Phone" varchar(30), tags text[], doc jsonb);
     insert into "Odd.Schema"."T ""x""" select '+49 151 2345' || (1000 + i), array['a', 'b' || i], jsonb_build_object('iban', 'DE89370400440532013000')
       from generate_series(1, 50) i;
     create table large (ip text) partition by range (ip);
     create table large_1 partition of large default;
     insert into large select '10.1.' || i % 200 || '.7' from generate_series(1, 20000) i;
     create table plain_large as select 'tok ' || i as t, 'a' || i || '@b.example' as mail from generate_series(1, 20000) i;
     create materialized view emails as select contact from customers;
     create table empty (email text);
     analyze`,
  );
  session = await openSession(server, database);
  await session.query("set default_transaction_read_only = on");
});
afterAll(async () => {
  await session.end();
  await server.dropDatabase(database);
});

const query = async (sql: string) => {
  const { rows } = await session.run(sql, 0);
  return rows.map((row) => valuesOf(row).map((value) => value?.toString() ?? null));
};

describe("a database", () => {
  test("is sampled and classified", async () => {
    const progress: string[] = [];
    const report = await scanDatabase(query, {
      database: "shop",
      rows: 200,
      threshold: 0.6,
      onProgress: (done, total, relation) => progress.push(`${done}/${total} ${relation}`),
    });
    const policy = parse(report.yaml) as {
      version: number;
      labels: { label: string; columns: string[]; mask: string }[];
    };
    expect(policy.version).toBe(1);
    const columns = Object.fromEntries(policy.labels.map(({ label, columns: c }) => [label, c.toSorted()]));
    expect(columns["pii.email"]).toEqual([
      "shop.public.customers.contact",
      "shop.public.emails.contact",
      "shop.public.plain_large.mail",
    ]);
    expect(columns["pii.card"]).toEqual(['shop.public.customers."order"']);
    expect(columns["pii.phone"]).toEqual(['shop."Odd.Schema"."T ""x"""."Phone"']);
    expect(columns["pii.iban"]).toEqual(['shop."Odd.Schema"."T ""x""".doc']);
    expect(columns["pii.ip"]).toEqual(["shop.public.large.ip"]);
    const doubtful = report.findings
      .filter((finding) => !finding.proposed)
      .map((finding) => [finding.name, finding.by]);
    expect(doubtful).toContainEqual(["shop.public.customers.note", "email"]);
    expect(doubtful).toContainEqual(["shop.public.customers.date_of_birth", "name"]);
    expect(doubtful).toContainEqual(["shop.public.customers.password_hash", "name"]);
    expect(report.skipped).toEqual([]);
    expect(progress.at(-1)).toBe(`${report.relations}/${report.relations} `);
    // Counts, and no value.
    expect(report.yaml).toContain("200 of 200 values hold e-mail addresses, confidence 1.00");
    expect(JSON.stringify(report)).not.toMatch(/user\d|4111|example\.org/);
  });
});

test("what cannot be read is skipped and said", async () => {
  const failing = async (sql: string) => {
    if (sql.includes("from public.customers ")) throw new Error("permission denied");
    return query(sql);
  };
  const report = await scanDatabase(failing, {
    database: "shop",
    rows: 10,
    threshold: 0.6,
    onProgress: () => {},
  });
  expect(report.skipped).toEqual(["public.customers"]);
});

test("nothing found is valid YAML, too; hostile names stay names", () => {
  expect(parse(proposeLabels([]).yaml)).toEqual({ version: 1, labels: [] });
  const name = 'db.public.t."a\nb: # c"';
  const report = proposeLabels([{ name, column: "a\nb: # c", values: ["jane@example.com"] }]);
  expect(parse(report.yaml)).toMatchObject({ labels: [{ columns: [name] }] });
});
