/** Statements that wait for a lock while another session changes what their names stand for. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bind, execute, parse, query, sync } from "../e2e/messages.ts";
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

const columns = (rows: string) => `create or replace view shown as select id, ${rows}`;

const forms = [
  ["a simple Query", [query("select e from shown")]],
  ["the extended protocol", [parse("", "select e from shown"), bind("", ""), execute(""), sync]],
  ["an expression", [query("select upper(e) from shown")]],
  ["a copy", [query("copy (select e from shown) to stdout")]],
  [
    "behind RETURNING",
    [query("update orders set total = 1 where id = 1 returning (select string_agg(e, ' ') from shown)")],
  ],
] as const;

describe.each(forms)("a view that is replaced meanwhile: %s", (_, messages) => {
  let maker: RawClient;
  let reader: RawClient;
  beforeEach(async () => {
    [maker, reader] = [await login(), await login()];
    await say(maker, columns("note as e from orders"));
    // Sessions of the test before may still be on their way out.
    let failed = true;
    for (let i = 0; i < 150 && failed; i++) {
      failed = (await say(reader, ...messages)).some(({ type }) => type === "E");
      if (failed) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(failed).toBe(false);
    await say(reader, ...messages);
    return async () => {
      await Promise.all([maker.end(), reader.end()]);
      expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
      await lab.cluster.query(lab.dbname, "drop view shown");
    };
  });

  test("while its lock is waited for", async () => {
    await say(maker, "begin");
    await say(maker, columns("email as e from users"));
    reader.send(...messages);
    const answered = reader.ready();
    await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 2_500))]);
    await say(maker, "commit");
    expect((await answered).some(({ type }) => type === "E")).toBe(true);
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
