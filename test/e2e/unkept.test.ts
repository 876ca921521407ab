/** Texts that the reader does not keep (those that hold a secret, and very large ones) are judged like all others. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: redact }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: pg.Client;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int, note text, email text); insert into people values (1, 'password=hunter2', 'jane@example.com')`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
  client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "x",
    database: "shop",
    password: await postern.token(),
  });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

type Way = "simple" | "extended";
async function run(way: Way, text: string): Promise<unknown[]> {
  const config = { text, rowMode: "array", ...(way === "extended" ? { queryMode: way } : {}) } as const;
  return (await client.query<unknown[]>(config)).rows;
}

test.each<Way>(["simple", "extended"])("a text with a secret in it, %s", async (way) => {
  const text = "select id, email from people where note = 'password=hunter2'";
  for (let i = 0; i < 2; i++) expect(await run(way, text)).toEqual([[1, "[redacted]"]]);
  await expect(run(way, `${text} and email = 'x'`)).rejects.toMatchObject({ code: "42501" });
});

test.each<Way>(["simple", "extended"])("a text that is larger than what is kept, %s", async (way) => {
  const wide = Array.from({ length: 1000 }, (_, i) => `id as c${i}_${"y".repeat(2500)}`).join(", ");
  const [row] = await run(way, `select email, ${wide} from people`);
  expect((row as unknown[])[0]).toBe("[redacted]");
  expect(row).toHaveLength(1001);
});

test("a text whose tree is larger than what is read is refused with words", async () => {
  const text = `select id from people where id in (${"1,".repeat(140_000)}1)`;
  await expect(run("simple", text)).rejects.toMatchObject({
    code: "54000",
    message: "policy: the statement's query tree is too large",
  });
  expect(await run("simple", "select 1")).toEqual([[1]]);
});
