/** The analysts of several logins of one database. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createJudging, type Judging } from "../../src/gateway/analyst/registry.ts";
import { createTalk } from "../../src/gateway/analyst/talk.ts";
import type { LoginSettings } from "../../src/gateway/settings.ts";
import { createBudgets, loadPolicy } from "../../src/policy/index.ts";
import { encodeQuery } from "../../src/protocol/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { testDatabase } from "../support/postern.ts";

let cluster: Database;
let dbname: string;
let other: string;
let judging: Judging;
const policy = loadPolicy([
  {
    file: "policy.yaml",
    text: `
version: 1
default: deny
labels: [{ label: pii, columns: ["*.*.*.email"], mask: redact }]
rules: [{ name: all, when: 'true', then: allow }]
`,
  },
]);

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  other = await cluster.createDatabase();
  await cluster.query(dbname, `create role b_${dbname} login password 'b'; create table t (note text)`);
  judging = createJudging({ current: policy }, createBudgets(), pino({ level: "silent" }));
});
afterAll(async () => {
  judging?.close();
  await cluster.query("postgres", `drop role b_${dbname}`);
  await cluster.dropDatabase(dbname);
  await cluster.dropDatabase(other);
});

test("what one login changes is known to all of them before they judge another statement", async () => {
  const { host, port, superuser: user, password } = cluster;
  const server = { host, port, user, password };
  const database = testDatabase({ server, dbname });
  const elsewhere = testDatabase({ server, dbname: other, name: "elsewhere" });
  const [first] = database.logins as [LoginSettings];
  const second = { ...first, user: `b_${dbname}`, password: { label: "b", read: async () => "b" } };
  const a = judging.of(database, first).analyst;
  const b = judging.of({ ...database, name: "another name" }, second).analyst;
  const far = judging.of(elsewhere, first).analyst;
  for (const analyst of [a, b, far]) expect((await analyst.ready(policy)).protectedSet.empty).toBe(true);
  expect(b.view(policy)).not.toBeNull();
  await cluster.query(dbname, "alter table t rename column note to email");
  a.bump();
  expect(b.view(policy)).toBeNull();
  expect(far.view(policy)).not.toBeNull();
  for (const analyst of [a, b]) {
    const { protectedSet } = await analyst.ready(policy);
    expect(protectedSet.columns.map(({ name }) => name)).toEqual(["public.t.email"]);
  }
});

test("questions survive the end of the connection that they are asked on", async () => {
  const { host, port, superuser: user, password } = cluster;
  const database = testDatabase({ server: { host, port, user, password }, dbname: other, name: "ended" });
  const { analyst } = judging.of(database, database.logins[0] as LoginSettings);
  await analyst.ready(policy);
  for (let round = 0; round < 4; round++) {
    const asked = Array.from({ length: 30 }, (_, n) => analyst.ask(`select ${round * 30 + n}`, [], null));
    analyst.bump();
    const read = [analyst.ready(policy), analyst.query("select 1"), analyst.estimate("select 1", [], null)];
    await cluster.query(
      "postgres",
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postern:analysis' and datname = $1",
      [other],
    );
    expect((await Promise.all(asked)).every(({ ok }) => ok)).toBe(true);
    await Promise.all(read);
  }
});

test("a question is over when the server has ended its side of the connection", async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on("data", () => socket.end()));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  await once(socket, "connect");
  const talk = createTalk(socket, { timeoutMs: 60_000, answerBytes: 1000 });
  await expect(talk.run(encodeQuery("select 1"), () => {})).rejects.toMatchObject({
    name: "TalkLost",
    ended: true,
  });
  expect(talk.open).toBe(false);
  // One that has ended before anything was asked of it.
  expect(createTalk(socket, { timeoutMs: 60_000, answerBytes: 1000 }).open).toBe(false);
  server.close();
});
