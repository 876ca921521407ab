/** Logins that PostgreSQL itself must refuse what is protected: looked at when they connect, and whenever grants change. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Hardened } from "../../src/gateway/settings.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { query } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: redact }
  - { label: secret, columns: ["shop.public.people.hash"], access: none }
rules:
  - { name: all, when: 'true', then: allow }
`;
const role = `hard_${randomBytes(4).toString("hex")}`;
const password = randomBytes(8).toString("hex");
let cluster: Database;
let dbname: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create role ${role} login password '${password}';
     create table people(id int, name text, email text, hash text); insert into people values (1, 'ann', 'ann@example.com', 'x');
     grant select (id, name) on people to ${role}`,
  );
});
afterAll(async () => {
  await cluster.query(dbname, `drop owned by ${role}; drop role ${role}`);
  await cluster.dropDatabase(dbname);
});

async function withGateway(
  hardened: Hardened,
  work: (client: RawClient, postern: TestPostern, log: readonly string[]) => Promise<void>,
): Promise<void> {
  const log: string[] = [];
  const server = { host: cluster.host, port: cluster.port, user: role, password };
  const postern = await startTestPostern({ server, dbname, policy, hardened, log: (line) => log.push(line) });
  try {
    const client = await rawLogin(postern, await postern.token());
    await work(client, postern, log);
    await client.end();
  } finally {
    await postern.stop();
  }
}

/** The rows' first column, or the code of the refusal. */
async function ask(client: RawClient, sql: string): Promise<string> {
  client.send(query(sql));
  const answer = await client.until(({ type }) => type === "Z");
  const text = Buffer.concat(answer.map(({ body }) => body)).toString("latin1");
  if (!answer.some(({ type }) => type === "E")) return text.includes("ann") ? "ann" : "no row";
  return /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? `SQLSTATE ${/C([0-9A-Z]{5})\0/.exec(text)?.[1]}`;
}

/** Until the gateway has seen what an administrator changed beside it. */
async function becomes(client: RawClient, sql: string, wanted: string): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    const got = await ask(client, sql);
    if (got === wanted) return;
    if (Date.now() > end) expect(got).toBe(wanted);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

const read = "select name from people";

it("all: runs while PostgreSQL refuses the columns itself, and not after a grant", async () => {
  await withGateway("all", async (client, postern, log) => {
    expect(await ask(client, read)).toBe("ann");
    expect(postern.gateway.exposed()).toEqual([{ database: "shop", login: role, columns: 0 }]);
    // What the analysis would mask is an error of PostgreSQL's own.
    expect(await ask(client, "select email from people")).toBe("SQLSTATE 42501");
    await cluster.query(dbname, `grant select on people to ${role}`);
    await becomes(client, read, "HARDENING_LOST");
    expect(await ask(client, "select 1")).toBe("HARDENING_LOST");
    // The end of a transaction touches nothing, and must always be possible.
    expect(await ask(client, "rollback")).toBe("no row");
    expect(postern.gateway.exposed()).toEqual([{ database: "shop", login: role, columns: 2 }]);
    expect(log.some((line) => line.includes("nothing runs"))).toBe(true);
    const leaves = await postern.records();
    expect(leaves.some((leaf) => JSON.stringify(leaf).includes('"code":"HARDENING_LOST"'))).toBe(true);
    await cluster.query(dbname, `revoke select on people from ${role}`);
    await cluster.query(dbname, `grant select (id, name) on people to ${role}`);
    await becomes(client, read, "ann");
  });
});

it("all: a view with its owner's rights and a role to be taken on count as well", async () => {
  const other = `${role}_other`;
  await cluster.query(
    dbname,
    `create role ${other}; create view mails as select id, lower(email) as mail from people;
     create view more as select mail from mails; create view plain as select id, name from people;
     grant select on plain to ${role}`,
  );
  try {
    await withGateway("all", async (client) => {
      expect(await ask(client, read)).toBe("ann");
      await cluster.query(dbname, `grant select on more to ${role}`);
      await becomes(client, read, "HARDENING_LOST");
      await cluster.query(dbname, "alter view more set (security_invoker = on)");
      await becomes(client, read, "ann");
      await cluster.query(dbname, `alter role ${role} noinherit; grant ${other} to ${role}`);
      await cluster.query(dbname, `grant select (email) on people to ${other}`);
      await becomes(client, read, "HARDENING_LOST");
    });
  } finally {
    await cluster.query(
      dbname,
      `drop view more, mails, plain; drop owned by ${other}; drop role ${other}; alter role ${role} inherit`,
    );
  }
});

it("secrets: only what nobody may read must be refused by PostgreSQL", async () => {
  await cluster.query(dbname, `grant select (email) on people to ${role}`);
  await withGateway("secrets", async (client) => {
    expect(await ask(client, read)).toBe("ann");
    await cluster.query(dbname, `grant select (hash) on people to ${role}`);
    await becomes(client, read, "HARDENING_LOST");
  });
});

it("no: runs, and tells the operator", async () => {
  await withGateway("no", async (client, postern, log) => {
    expect(await ask(client, read)).toBe("ann");
    await becomes(client, read, "ann");
    expect(postern.gateway.exposed()).toEqual([{ database: "shop", login: role, columns: 2 }]);
    expect(log.some((line) => line.includes("may read protected columns in the database itself; "))).toBe(
      true,
    );
  });
});
