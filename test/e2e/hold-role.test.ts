/** What people agree to under a role that SET ROLE took on runs under that role only, is shown with it, and tried out under it. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, holdPolicy, pending, person, tables } from "./hold-support.ts";
import { bind, execute, field, parse, query, sync } from "./messages.ts";

const role = `clerk_${randomBytes(4).toString("hex")}`;
const sessions = `  - { name: session, when: 'statement.effects == ["session"]', then: allow }`;
let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `${tables};
     create role ${role};
     grant all on accounts to ${role};
     alter table accounts enable row level security;
     create policy own on accounts to ${role} using (id <= 2)`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({
    server: { host, port, user, password },
    dbname,
    policy: holdPolicy("30s", sessions),
    approvals: true,
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.query(dbname, `drop owned by ${role}; drop role ${role}`);
  await cluster?.dropDatabase(dbname);
});

const text = "update accounts set balance = 0";
const ways: readonly (readonly [string, Buffer[]])[] = [
  ["simple", [query(text)]],
  ["extended", [parse("", text), bind("", ""), execute(""), sync]],
];
const code = (messages: readonly RawMessage[]) => {
  const error = messages.find(({ type }) => type === "E");
  return error === undefined ? null : JSON.parse(field(error, "D") ?? "{}").code;
};
const emptied = async () =>
  (await cluster.query(dbname, "select id from accounts where balance = 0 order by id")).map(({ id }) => id);

test.each(ways)("%s", async (_, messages) => {
  await cluster.query(dbname, "update accounts set balance = 100");
  const session = async (setRole: boolean) => {
    const client = await rawLogin(postern, await postern.token(), { options: "-c postern.hold=ticket" });
    if (setRole) {
      client.send(query(`set role ${role}`));
      expect(code(await client.ready())).toBe(null);
    }
    return {
      client,
      async send() {
        client.send(...messages);
        return code(await client.ready());
      },
    };
  };
  const clerk = await session(true);
  expect(await clerk.send()).toBe("APPROVAL_REQUIRED");
  const asked = await pending(postern);
  expect(asked.role).toBe(role);
  expect(await postern.gateway.preview(asked.id, person("stella"))).toMatchObject({
    refused: null,
    rowsAffected: 2,
  });
  await approve(postern, asked.id);

  const login = await session(false);
  expect(await login.send()).toBe("APPROVAL_REQUIRED");
  expect(await emptied()).toEqual([]);
  const own = await pending(postern);
  expect(own.id).not.toBe(asked.id);
  expect(own.role).toBeUndefined();

  expect(await clerk.send()).toBe(null);
  expect(await emptied()).toEqual([1, 2]);
  clerk.client.send(query("reset role"));
  await clerk.client.ready();
  await approve(postern, own.id);
  expect(await clerk.send()).toBe(null);
  expect((await emptied()).length).toBe(10);
  for (const { client } of [clerk, login]) await client.end();
});
