/** What the tools say of a statement is what the gateway does with it: verdict, facts and masks. */
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createOffline, type Offline } from "../../src/gateway/analyst/offline.ts";
import { type CompiledPolicy, loadPolicy } from "../../src/policy/index.ts";
import { refusedDecision } from "../../src/policy/lab/explain.ts";
import { strictest, withEstimate, withMasks } from "../../src/policy/lab/run.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern, testDatabase } from "../support/postern.ts";

const text = `version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: partial }
  - { label: pii.phone, columns: ["shop.public.people.phone"], mask: hash, use: derived }
  - { label: secret, columns: ["*.*.*.password"], access: none }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: writes
    when: '"write" in statement.effects && !statement.unbounded_write && statement.effects.all(e, e in ["read", "write"])'
    then: allow
    limits: { affected_rows: 5 }
  - { name: sessions, when: 'statement.effects == ["session"]', then: allow }
  - { name: definitions, when: '"ddl" in statement.effects && !("admin" in statement.effects)', then: allow }
  - { name: code, when: 'statement.kind in ["do", "call"]', then: allow }
  - { name: no-drops, when: 'statement.command == "DROP TABLE"', then: deny }
  - { name: dear, when: 'statement.kind == "select" && estimate.cost > 100000000.0', then: deny, message: "too dear" }
`;
const reader = `par_reader_${process.pid}`;

let server: Database;
let name: string;
let postern: TestPostern;
let offline: Offline;
let policy: CompiledPolicy;

beforeAll(async () => {
  server = await sharedCluster();
  name = await server.createDatabase();
  await server.query(
    name,
    `create role ${reader} login password 'pw';
create table people (id int primary key, name text, email text, phone text, password text);
insert into people select i, 'n' || i, 'e' || i || '@example.com', '+49 151 ' || i, 'p' from generate_series(1, 20) i;
create view contacts as select id, email as address from people;
create function plus(int) returns int language sql immutable as 'select $1 + 1';
create function opaque(int) returns int language plpgsql as 'begin perform pg_sleep(0); return $1; end';
create table plain (id int, n text);
create procedure work() language plpgsql as 'begin perform 1; end';
grant all on schema public to ${reader};
alter table people owner to ${reader};
alter table plain owner to ${reader};
alter view contacts owner to ${reader}`,
  );
  const options = {
    server: { host: server.host, port: server.port, user: reader, password: "pw" },
    dbname: name,
    policy: text,
  };
  postern = await startTestPostern(options);
  policy = loadPolicy([{ file: "policy.yaml", text }]);
  offline = createOffline([testDatabase(options)], pino({ level: "silent" }));
});

afterAll(async () => {
  await offline?.close();
  await postern?.stop();
  await server.dropDatabase(name);
  await server.query("postgres", `drop role ${reader}`);
});

interface Outcome {
  readonly code: string | null;
  readonly effects?: unknown;
  readonly reads?: unknown;
  readonly columns?: unknown;
  readonly labels?: unknown;
  readonly masked?: unknown;
}

/** Sends the text as one simple Query. */
async function throughGateway(sql: string): Promise<Outcome> {
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "me",
    database: "shop",
    password: await postern.token(),
  });
  await client.connect();
  let code: string | null = null;
  try {
    await client.query(sql);
  } catch (error) {
    const { detail } = error as { detail?: string };
    code =
      detail?.startsWith('{"v":1') === true ? (JSON.parse(detail) as { code: string }).code : "SERVER_ERROR";
  } finally {
    await client.end();
  }
  if (code !== null) return { code };
  const leaf = (await postern.records()).findLast(({ type }) => type === "statement.intent");
  if (leaf === undefined) throw new Error("nothing on the record");
  const { effects, reads, columns, labels } = leaf.statement as Record<string, unknown>;
  const { masked } = leaf.decision as Record<string, unknown>;
  return { code, effects, reads, columns, labels, masked };
}

async function byTheTools(sql: string): Promise<Outcome> {
  const principal = await postern.identity.authenticate(await postern.token());
  const analysed = await offline.analyse({ database: "shop", sql, principal, policy });
  if (!analysed.ok) return { code: analysed.code };
  const verdicts = [];
  for (const one of analysed.statements) {
    if (one.refusal !== null) {
      verdicts.push(withMasks(refusedDecision(one.refusal), null));
      continue;
    }
    const asked = { principal, session: analysed.session, statement: one.facts, now: new Date() };
    const decision = policy.decide(await withEstimate(policy, asked, one));
    verdicts.push(withMasks(decision, decision.verdict === "deny" ? null : one.mask(decision)));
  }
  const { verdict, code, masked } = strictest(verdicts);
  if (verdict !== "allow") return { code };
  const facts = analysed.statements.at(-1)?.facts;
  return {
    code: null,
    effects: facts?.effects,
    reads: facts?.reads,
    columns: facts?.columns,
    labels: facts?.labels,
    masked,
  };
}

test.each([
  "select id, email from people",
  "select * from contacts where id = 3",
  "select id, name, email, phone from people order by id limit 3",
  "select upper(phone) from people",
  "select upper(email) from people",
  "select id from people where email = 'e1@example.com'",
  "select count(*) from people group by phone",
  "select * from people",
  "select password from people",
  "select to_jsonb(p) from people p",
  "with c as materialized (select email from people) select * from c union all select name from people",
  "select plus(id) from people",
  "select opaque(id) from people",
  "update people set name = 'x' where id = 1 returning email",
  "update people set name = 'x'",
  "update people set name = email where id = 1",
  "insert into people (id, name) select 100 + id, email from people",
  "with d as (delete from people where id = 19 returning id) delete from people where id = 20",
  "select 1; update people set name = 'y' where id = 2",
  "explain select id from people where name = 'n1'",
  "explain select id from people where email = 'n1'",
  "copy people (id, email) to stdout",
  "copy people to '/tmp/x'",
  "copy people (id, email) to stdout (format binary)",
  "copy people (id, name) to stdout (format binary)",
  "begin; select id from people; commit; select 1",
  "set application_name = 'x'",
  "set session_replication_role = 'replica'",
  "set search_path = public; select 1",
  "create table x (a int)",
  "do 'begin null; end'",
  "selec 1",
  "select nope from people",
  "select a.id from people a, people b, people c, people d, people e, people f, people g, people h",
  "select setting from pg_settings where name = 'server_version'",
  "select query from pg_stat_activity",
  "select most_common_vals from pg_stats",
  "execute nothing",
  "begin; select email from people; commit",
  // Code and definitions that the server's trees do not show.
  "do $$begin perform email from people; end$$",
  "call work()",
  "create function f(people) returns text language sql as 'select $1.email'",
  "create index on people (lower(email))",
  "create index on people (lower(name))",
  "create index on people (opaque(id))",
  "alter table people add check (email <> 'x')",
  "alter table people add check (name <> 'nobody')",
  "alter table people alter column phone type text using upper(phone)",
  "alter table people add column g text generated always as (upper(email)) stored",
  "create rule r as on insert to plain do also insert into plain select id, email from people",
  "create rule q as on insert to plain do also notify x",
  "create policy p on people using (email = current_user)",
  "create policy p2 on people using (exists (select 1 from plain))",
  "create trigger t after insert on plain for each row when (new.n = 'x') execute function opaque(1)",
  "create schema s1 create view v as select email from public.people",
  "alter table people rename to persons",
  "alter table people rename column email to mail",
  "alter table people set schema pg_temp",
  "alter view contacts set (security_barrier = true)",
  "alter table plain rename to plainer",
  "alter table plainer rename to plain",
  "create view more as select email from people",
  "create table copied as select id, email from people",
  "create table made (a int default opaque(1))",
  "create domain d as text check (opaque(length(value)) > 0)",
  "create statistics st on (upper(email)), id from people",
  "comment on table people is 'x'",
  "explain analyze create table z as select email from people",
  "drop table plain; select 1",
  "select id from people; drop table plain; set role postgres",
  "create table zz (a int); select email from people",
  "begin read write; select 1; commit",
  "select set_config(name, 'x', false) from people",
  "select set_config('session_authorization', 'x', false)",
  "copy (select email from people) to stdout with (encoding 'sjis')",
  "with x as (update people set name = 'q' where id = 3 returning id) insert into plain select id, 'a' from x",
  "update plain set n = 'a' where id = 1; update plain set n = 'b' where id = 2",
  "select relname, attname from pg_attribute join pg_class on pg_class.oid = attrelid where attname like 'pass%'",
  "select attname from pg_attribute where attrelid = 'people'::regclass and attnum > 0",
  "select substr(attname, 1, 3) from pg_attribute where attrelid = 'people'::regclass",
  "select md5(attname) from pg_attribute where attrelid = 'people'::regclass and attname > 'a'",
  "select (json_populate_record(null::people, '{}')).*",
  "select people from people",
  "lock table people",
  "truncate plain",
  "vacuum people",
  "prepare postern_x as select 1",
  "",
  ";",
])("%s", async (sql) => {
  const there = await throughGateway(sql);
  const here = await byTheTools(sql);
  expect(here.code).toBe(there.code);
  if (there.code === null && !sql.includes(";") && there.reads !== null) expect(here).toEqual(there);
});
