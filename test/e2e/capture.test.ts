/** Captured results through the real gateway: what psql and drivers kept is compared with what is on the record. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeRows } from "../../src/audit/capture/read.ts";
import { matchCopy } from "../../src/audit/match/match.ts";
import { readResults } from "../../src/audit/read/result.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

let server: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  server = await sharedCluster();
  dbname = await server.createDatabase();
  postern = await startTestPostern({
    server: { host: server.host, port: server.port, user: server.superuser, password: server.password },
    dbname,
    audit: { results: { digest: true, captureRows: 100 } },
  });
});
afterAll(async () => {
  await postern.stop();
  await server.dropDatabase(dbname);
});

test("rows are kept as they were delivered, and a copy is told from a changed one", async () => {
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "agent",
    database: "shop",
    password: await postern.token(),
  });
  await client.connect();
  const small = "select g as id, 'name ' || g as name, g % 2 = 0 as even from generate_series(1, 3) g";
  await client.query(small);
  await client.query("select 'x' as extended where $1 = 1", [1]);
  await client.query("select g as id, repeat('y', 5000) as text from generate_series(1, 150) g");
  await client.query("select 1 where false");
  await client.end();
  const outcomes = (await postern.records()).filter((l) => l.type === "statement.outcome");
  const dir = `${postern.auditSettings.dir}/node/0`;
  const results = outcomes.flatMap((o) =>
    readResults({ name: "", dir }, postern.audit.origin, String(o.request), postern.auditSettings.keys),
  );
  const [first, second, third, none] = results;
  expect(results.length).toBe(4);
  if (first === undefined || third === undefined || none === undefined) throw new Error("no results");
  const csv = "id,name,even\n1,name 1,f\n2,name 2,t\n3,name 3,f\n";
  expect(matchCopy(Buffer.from(csv), "csv", first.result)).toMatchObject({ verdict: "match" });
  expect(matchCopy(Buffer.from(csv.replace("2,name 2", "2,name 9")), "csv", first.result)).toMatchObject({
    verdict: "mismatch",
    why: "row 2, column name differs",
  });
  expect(decodeRows(second?.rows ?? Buffer.alloc(0))?.[0]?.[0]?.toString()).toBe("x");
  expect(decodeRows(third.rows ?? Buffer.alloc(0))?.length).toBe(100);
  expect(third.result.captured).toBeNull();
  const whole = `id,text\n${Array.from({ length: 150 }, (_, i) => `${i + 1},${"y".repeat(5000)}\n`).join("")}`;
  expect(matchCopy(Buffer.from(whole), "csv", third.result).verdict).toBe("match");
  expect(matchCopy(Buffer.from("?column?\n"), "csv", none.result).verdict).toBe("match");
  expect(verifyLog(dir).ok).toBe(true);
});

test("a driver that asks for binary values: the record says so, and a copy in text is compared all the same", async () => {
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "agent",
    database: "shop",
    password: await postern.token(),
  });
  await client.connect();
  const before = (await postern.records()).length;
  const text =
    "select 825373492::int4 as id, true as paid, timestamptz '2024-02-29 10:00:00.5+02' as at, 'x' as t where $1 = 1";
  await client.query({ text, values: [1], binary: true } as pg.QueryConfig);
  await client.query({ text, values: [1] });
  await client.query(
    "begin; declare c binary cursor for select 825373492::int4 as id; fetch all from c; commit",
  );
  await client.end();
  const outcomes = (await postern.records())
    .slice(before)
    .filter((l) => l.type === "statement.outcome" && (l.result as { rows: number }).rows > 0);
  expect(outcomes.map((l) => (l.result as { formats?: unknown }).formats)).toEqual([[1], [0], [1]]);
  const dir = `${postern.auditSettings.dir}/node/0`;
  const verdicts = (file: string) =>
    outcomes.map(({ request, result }) => {
      const found = readResults(
        { name: "", dir },
        postern.audit.origin,
        String(request),
        postern.auditSettings.keys,
      );
      const own = found.find(
        (r) => r.result.rows === (result as { rows: number }).rows && r.result.columns !== null,
      );
      if (own === undefined) throw new Error("no result");
      return [own.result, { ...own.result, captured: null }].map(
        (r) => matchCopy(Buffer.from(file), null, r).verdict,
      );
    });
  const csv = "id,paid,at,t\n825373492,t,2024-02-29 08:00:00.5+00,x\n";
  expect(verdicts(csv)[0]).toEqual(["match", "match"]);
  for (const changed of [
    csv.replace("825373492", "1234"),
    csv.replace(",t,", ",f,"),
    csv.replace("08:00", "08:01"),
    csv.replace("x\n", "y\n"),
  ])
    expect(verdicts(changed)[0], changed).toEqual(["mismatch", "mismatch"]);
  expect(verdicts("id\n825373492\n")[2]).toEqual(["match", "match"]);
  expect(verdicts("id\n1234\n")[2]).toEqual(["mismatch", "mismatch"]);
});
