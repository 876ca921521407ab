/** The analysts of several logins of one database. */
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createJudging, type Judging } from "../../src/gateway/analyst/registry.ts";
import type { LoginSettings } from "../../src/gateway/settings.ts";
import { createBudgets, loadPolicy } from "../../src/policy/index.ts";
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
