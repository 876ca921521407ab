/**
 * The MCP endpoint beside DBHub and server-postgres on the same tasks and the same database: characters that end up in a model's context,
 * milliseconds, and attacks that came through. The two are not ours to depend on; fetch them first:
 *
 *     mkdir -p /tmp/mcpbench && cd /tmp/mcpbench && npm init -y && npm install @bytebase/dbhub @modelcontextprotocol/server-postgres
 *     node bench/mcp.ts /tmp/mcpbench
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { openDoor } from "../test/mcp/support.ts";
import { type Cluster, startCluster } from "../test/support/cluster.ts";
import { startTestPostern } from "../test/support/postern.ts";

const others = process.argv[2] ?? "/tmp/mcpbench";
const rounds = 30;

const schema = `
create table customers(id int primary key, full_name text not null, email text not null, city text, ssn text);
insert into customers select n, 'Name ' || n, 'user' || n || '@example.com', 'City ' || n % 50, lpad((100000000 + n)::text, 9, '0') from generate_series(1, 2000) n;
create table orders(id int primary key, customer_id int references customers, status text, total numeric(10,2), ordered_at timestamptz);
insert into orders select n, 1 + n % 2000, (array['paid','shipped','delivered'])[1 + n % 3], n % 500 + 0.5, '2026-01-01'::timestamptz + n * interval '1 minute' from generate_series(1, 10000) n;
create table secrets(id int, token text); insert into secrets values (1, 'sk_live_CANARY');
create table log(id int generated always as identity, line text);
create role reader login password 'reader'; grant select, insert, update, delete on all tables in schema public to reader;
analyze;
`;
const policy = `
version: 1
extends: agent-safe
labels:
  - { label: pii, columns: ["*.*.customers.email", "*.*.customers.ssn"], mask: partial }
  - { label: secret, columns: ["*.*.secrets.token"], access: none }
`;

const tasks: readonly (readonly [name: string, sql: string])[] = [
  [
    "100 rows of 5 columns",
    "select id, customer_id, status, total, ordered_at from orders order by id limit 100",
  ],
  ["20 customers", "select id, full_name, email, city from customers order by id limit 20"],
  ["an aggregate", "select status, count(*), sum(total) from orders group by status order by status"],
  ["one row", "select * from orders where id = 4711"],
  ["a mistake", "select totall from orders"],
];

/** Text, and what must not come back or be done by it. */
const attacks: readonly string[] = [
  "select email, ssn from customers limit 5",
  "select token from secrets",
  "commit; drop table log",
  "commit; insert into log(line) values ('x')",
  "insert into log(line) values ('y')",
  "delete from log",
  "update orders set total = 0",
  "with x as (insert into log(line) values ('z') returning id) select * from x",
  "select id from customers where email like 'user7@%'",
  "select json_agg(c) from (select * from customers limit 3) c",
  "select string_agg(token, ',') from secrets",
  "copy (select * from secrets) to stdout",
  "rollback; select set_config('default_transaction_read_only', 'off', false); delete from log",
  "do $$ begin execute 'insert into log(line) values (''d'')'; end $$",
  "select query_to_xml('select token from secrets', true, true, '')",
  "select most_common_vals from pg_stats where tablename = 'customers' and attname = 'ssn'",
  "select pg_sleep(2)",
  "select lo_from_bytea(0, 'x')",
];
const canary = /user\d+@example\.com|1000\d{5}|sk_live_CANARY/;

interface Contender {
  readonly name: string;
  readonly tool: string;
  readonly client: Client;
  arguments(sql: string): Record<string, unknown>;
}

async function stdio(name: string, bin: string, args: string[]): Promise<Client | null> {
  const command = join(others, "node_modules/.bin", bin);
  if (!existsSync(command)) return null;
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(
    new StdioClientTransport({ command, args, env: { PATH: process.env.PATH ?? "" }, stderr: "ignore" }),
  );
  process.stdout.write(`${name} is up\n`);
  return client;
}

async function ask({ client, tool, ...one }: Contender, sql: string) {
  const started = performance.now();
  try {
    const result = await client.callTool({ name: tool, arguments: one.arguments(sql) }, { timeout: 15_000 });
    const content = JSON.stringify(result.content);
    return { text: content, error: result.isError === true, ms: performance.now() - started };
  } catch (error) {
    return {
      text: error instanceof Error ? error.message : "",
      error: true,
      ms: performance.now() - started,
    };
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** What the tables hold that attacks may have changed. */
async function state(cluster: Cluster): Promise<string> {
  const rows = await cluster.query(
    "bench",
    `select (select count(*) from pg_class where relname = 'log') as there, (select sum(total) from orders) as total,
     (select count(*) from pg_largeobject_metadata) as objects`,
  );
  const lines = await cluster.query("bench", "select count(*) n from log").catch(() => [{ n: "gone" }]);
  return JSON.stringify([rows, lines]);
}

async function restore(cluster: Cluster): Promise<void> {
  await cluster.query(
    "bench",
    `create table if not exists log(id int generated always as identity, line text); truncate log; insert into log(line) values ('a');
     grant all on log to reader; update orders set total = id % 500 + 0.5;
     select lo_unlink(oid) from pg_largeobject_metadata`,
  );
}

const cluster = await startCluster();
try {
  await cluster.createDatabase("bench");
  await cluster.query("bench", schema);
  const postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: "reader", password: "reader" },
    dbname: "bench",
    policy,
  });
  const door = await openDoor(postern);
  const url = `postgres://reader:reader@127.0.0.1:${cluster.port}/bench`;
  const folder = mkdtempSync(join(tmpdir(), "postern-bench-mcp-"));
  const config = join(folder, "dbhub.toml");
  writeFileSync(
    config,
    `[[sources]]\nid = "default"\ndsn = "${url}?sslmode=disable"\n\n[[tools]]\nname = "execute_sql"\nsource = "default"\nreadonly = true\n`,
  );
  const hub = await stdio("DBHub", "dbhub", ["--transport", "stdio", `--config=${config}`]);
  const plain = await stdio("server-postgres", "mcp-server-postgres", [url]);
  const contenders: Contender[] = [
    {
      name: "Postern",
      tool: "query",
      client: await door.connect("modern"),
      arguments: (sql) => ({ database: "shop", sql }),
    },
    ...(hub === null
      ? []
      : [{ name: "DBHub", tool: "execute_sql", client: hub, arguments: (sql: string) => ({ sql }) }]),
    ...(plain === null
      ? []
      : [{ name: "server-postgres", tool: "query", client: plain, arguments: (sql: string) => ({ sql }) }]),
  ];
  for (const one of contenders) {
    const { tools } = await one.client.listTools();
    process.stdout.write(
      `\n${one.name}: ${tools.length} tools, ${JSON.stringify(tools).length} characters of definitions\n`,
    );
    for (const [name, sql] of tasks) {
      await ask(one, sql);
      const times: number[] = [];
      let size = 0;
      for (let round = 0; round < rounds; round++) {
        const got = await ask(one, sql);
        times.push(got.ms);
        size = got.text.length;
      }
      process.stdout.write(
        `  ${name.padEnd(22)} ${String(size).padStart(7)} characters  ${median(times).toFixed(1).padStart(7)} ms\n`,
      );
    }
    const through: string[] = [];
    for (const sql of attacks) {
      await restore(cluster);
      const before = await state(cluster);
      const got = await ask(one, sql);
      const leaked = canary.test(got.text.replaceAll(sql, ""));
      const changed = (await state(cluster)) !== before;
      if (
        leaked ||
        changed ||
        (/pg_sleep|like 'user7/.test(sql) && !got.error && got.ms < 14_000 && /id|sleep/.test(got.text))
      )
        through.push(`${leaked ? "leaked" : changed ? "changed" : "answered"}: ${sql}`);
    }
    process.stdout.write(
      `  attacks that came through: ${through.length} of ${attacks.length}\n${through.map((line) => `    ${line}\n`).join("")}`,
    );
  }
  await hub?.close();
  await plain?.close();
  await door.stop();
  await postern.stop();
  rmSync(folder, { recursive: true, force: true });
} finally {
  await cluster.stop();
}
