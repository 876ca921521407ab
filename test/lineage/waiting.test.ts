/** Statements that wait for a lock while another session changes what their names stand for. */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bind, execute, parse, query, sync } from "../e2e/messages.ts";
import type { Database } from "../support/cluster.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

let lab: LineageLab;
beforeAll(async () => {
  lab = await startLineageLab("output");
});
afterAll(async () => {
  await lab?.stop();
});

const login = async (): Promise<RawClient> =>
  rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });

async function say(client: RawClient, ...messages: readonly (string | Buffer)[]) {
  client.send(...messages.map((one) => (typeof one === "string" ? query(one) : one)));
  return client.ready();
}

const forms: readonly (readonly [string, (view: string) => readonly Buffer[]])[] = [
  ["a simple Query", (view) => [query(`select e from ${view}`)]],
  ["the extended protocol", (view) => [parse("", `select e from ${view}`), bind("", ""), execute(""), sync]],
  ["an expression", (view) => [query(`select upper(e) from ${view}`)]],
  ["a copy", (view) => [query(`copy (select e from ${view}) to stdout`)]],
  [
    "behind RETURNING",
    (view) => [
      query(`update orders set total = 1 where id = 1 returning (select string_agg(e, ' ') from ${view})`),
    ],
  ],
];

let views = 0;

describe.each(forms)("a view that is replaced meanwhile: %s", (_, messagesOf) => {
  let maker: RawClient;
  let reader: RawClient;
  let messages: readonly Buffer[];
  let columns: (rows: string) => string;
  beforeEach(async () => {
    // Each test has a view of its own: what a session that is gone has said may be done late.
    const view = `shown${++views}`;
    messages = messagesOf(view);
    columns = (rows) => `create or replace view ${view} as select id, ${rows}`;
    [maker, reader] = [await login(), await login()];
    await say(maker, columns("note as e from orders"));
    // Sessions of the test before may still be on their way out.
    let failed = true;
    for (let i = 0; i < 40 && failed; i++) {
      failed = (await say(reader, ...messages)).some(({ type }) => type === "E");
      // Whoever is refused too often is not looked at for a while.
      if (failed) await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(failed).toBe(false);
    await say(reader, ...messages);
    return async () => {
      await Promise.all([maker.end(), reader.end()]);
      expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
      await lab.cluster.query(lab.dbname, `drop view ${view}`);
    };
  });

  test("while its lock is waited for", async () => {
    await say(maker, "begin");
    await say(maker, columns("email as e from users"));
    reader.send(...messages);
    let early = true;
    const answered = reader.ready().then((answer) => ({ answer, early }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    early = false;
    await say(maker, "commit");
    const { answer, early: told } = await answered;
    // It is read as it is by then: masked, or refused.
    expect(told).toBe(false);
    expect(answer.some(({ type }) => type === "D" || type === "d" || type === "E")).toBe(true);
    // Then it is understood anew.
    await say(reader, "rollback");
    await say(reader, ...messages);
  });

  test("behind a statement of the same session that takes its time", async () => {
    reader.send(query("select count(*) from generate_series(1, 3000000)"), ...messages);
    // The first is on its way before the view is replaced.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await say(maker, columns("email as e from users"));
    await reader.ready();
    await reader.ready();
  });

  test("by a statement that is not waited for", async () => {
    const gone = await login();
    gone.send(query(columns("email as e from users")));
    gone.socket.destroy();
    for (let i = 0; i < 5; i++) await say(reader, ...messages);
  });
});

test("views that change places while the server is still asked about another part of the message", async () => {
  const [maker, reader] = [await login(), await login()];
  await say(maker, "create view open_rows as select note as e from orders");
  await say(maker, "create view closed_rows as select email as e from users");
  const locker = new pg.Client(lab.cluster.url(lab.dbname));
  await locker.connect();
  await lab.cluster.query(lab.dbname, "create table apart (id int); grant select on apart to public");
  try {
    const text = "select upper(e) from open_rows; select id from apart";
    await say(reader, text);
    await say(maker, "alter view open_rows rename to open_before");
    await say(maker, "alter view open_before rename to open_rows");
    await locker.query("begin; lock table apart");
    reader.send(query(text));
    const answered = reader.ready();
    await waitFor(() => asksWithin(lab.cluster, lab.dbname));
    for (const step of [
      "begin",
      "alter view open_rows rename to open_before",
      "alter view closed_rows rename to open_rows",
      "commit",
    ])
      await say(maker, step);
    await locker.query("rollback");
    expect((await answered).some(({ type }) => type === "D" || type === "E")).toBe(true);
    expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
  } finally {
    await Promise.all([maker.end(), reader.end(), locker.end()]);
    await lab.cluster.query(lab.dbname, "drop view open_rows, open_before; drop table apart");
  }
});

/** The gateway's own question waits for a lock. */
async function asksWithin(cluster: Database, database: string): Promise<boolean> {
  const rows = await cluster.query(
    database,
    `select 1 from pg_stat_activity where application_name = 'postern:analysis' and datname = '${database}'
      and wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
}

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}

test("a transaction that changes other objects keeps nobody waiting", async () => {
  const [maker, reader] = [await login(), await login()];
  await say(maker, "begin");
  await say(maker, "create view apart as select note from orders");
  for (const text of ["select id, email from users", "select 1", "select e.salary from hr.emp e"])
    expect(
      (await say(reader, text)).some(({ type }) => type === "E"),
      text,
    ).toBe(false);
  await say(maker, "commit");
  expect((await say(reader, "select note from apart")).some(({ type }) => type === "E")).toBe(false);
  await Promise.all([maker.end(), reader.end()]);
  expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
});
