/** People lift a mask for one statement of somebody who asks for it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, deny, pending } from "./hold-support.ts";
import { query, types } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: redact }
  - { label: pii.phone, columns: ["shop.public.people.phone"], mask: redact }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - name: in-the-clear
    when: '"pii.email" in statement.labels && session.claimed.unmask.contains("pii.email")'
    then: approve
    labels: [pii.email]
    approvers: { groups: [stewards], within: 5m }
`;
let cluster: Database;
let dbname: string;
let postern: TestPostern;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table people(id int, email text, phone text); insert into people values (1, 'ann@example.com', '555-1234')",
  );
  const server = {
    host: cluster.host,
    port: cluster.port,
    user: cluster.superuser,
    password: cluster.password,
  };
  postern = await startTestPostern({ server, dbname, policy, approvals: true });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const text = (messages: readonly RawMessage[]) =>
  Buffer.concat(messages.map(({ body }) => body)).toString("latin1");
const sql = "select id, email, phone from people";
const login = async (unmask?: string): Promise<RawClient> =>
  rawLogin(
    postern,
    await postern.token(),
    unmask === undefined ? {} : { options: `-c postern.unmask=${unmask}` },
  );

it("who does not ask sees it masked", async () => {
  const client = await login();
  client.send(query(sql));
  const said = text(await client.ready());
  expect(said).toContain("[redacted]");
  expect(said).not.toContain("ann@example.com");
  await client.end();
});

it("approved: in the clear, once, and only what was agreed to", async () => {
  const client = await login("pii.email");
  client.send(query(sql));
  await client.until(({ type }) => type === "N");
  const waiting = await pending(postern);
  expect(waiting.statements[0]).toMatchObject({ unmask: ["pii.email"], masked: ["public.people.phone"] });
  expect(waiting.warnings).toContainEqual(expect.objectContaining({ code: "UNMASK" }));
  await approve(postern, waiting.id);
  const said = text(await client.ready());
  expect(said).toContain("ann@example.com");
  expect(said).not.toContain("555-1234");
  // Another time people are asked again.
  client.send(query(sql));
  await client.until(({ type }) => type === "N");
  const again = await pending(postern);
  expect(again.id).not.toBe(waiting.id);
  await deny(postern, again.id);
  const refused = await client.ready();
  expect(types(refused)).toBe("EZ");
  expect(text(refused)).not.toContain("ann@example.com");
  const outcomes = (await postern.records()).filter(({ type }) => type === "statement.intent");
  expect(JSON.stringify(outcomes)).toContain(waiting.id);
  await client.end();
});
