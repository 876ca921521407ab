/** A server whose results are not what the analysis of the statement said: nothing of them comes to the client, and the session ends. */
import { randomBytes } from "node:crypto";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { rawLogin } from "../support/raw.ts";
import { bind, describe_, execute, parse, query, sync } from "./messages.ts";

const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.people.email"], mask: partial }
rules:
  - { name: all, when: 'true', then: allow }
`;

/** Gives a message's body in another form. */
type Change = (body: Buffer) => Buffer;
let tamper: { readonly type: string; readonly change: Change } | null = null;
const canary = randomBytes(8).toString("hex");

/** Changes messages of the server that are about the canary or its column, when it is told to. */
async function startForger(to: { host: string; port: number }): Promise<net.Server> {
  const server = net.createServer((client) => {
    const upstream = net.connect(to.port, to.host);
    client.pipe(upstream);
    for (const socket of [client, upstream]) {
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
    let pending = Buffer.alloc(0);
    upstream.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length >= pending.readInt32BE(1) + 1) {
        const message = pending.subarray(0, pending.readInt32BE(1) + 1);
        const type = String.fromCharCode(message[0] as number);
        const isMeant = message.includes("the_email\0") || message.includes(canary);
        client.write(tamper?.type === type && isMeant ? changed(message, tamper.change) : message);
        pending = pending.subarray(message.length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function changed(message: Buffer, change: Change): Buffer {
  const body = change(Buffer.from(message.subarray(5)));
  const head = Buffer.from(message.subarray(0, 5));
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

let cluster: Database;
let dbname: string;
let forger: net.Server;
let postern: TestPostern;
const lines: string[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table people(id int primary key, email text); insert into people values (1, '${canary}@example.com'), (2, 'bob@${canary}.org')`,
  );
  forger = await startForger(cluster);
  const { port } = forger.address() as net.AddressInfo;
  const server = { host: "127.0.0.1", port, user: cluster.superuser, password: cluster.password };
  postern = await startTestPostern({ server, dbname, policy, log: (line) => lines.push(line) });
});
afterAll(async () => {
  await postern?.stop();
  forger?.close();
  await cluster?.dropDatabase(dbname);
});

/** Offset of the fields behind a column's name: table (4), attribute (2), type (4), size (2), modifier (4), format (2). */
const field = (body: Buffer): number => body.indexOf("the_email\0") + "the_email\0".length;
const plus = (offset: number, size: 2 | 4, by: number): Change => {
  return (body) => {
    const at = field(body) + offset;
    body.writeUIntBE(body.readUIntBE(at, size) + by, at, size);
    return body;
  };
};

const forged: [string, string, Change][] = [
  ["a column of another table", "T", plus(0, 4, 1)],
  ["a column that comes from nowhere", "T", (body) => body.fill(0, field(body), field(body) + 6)],
  ["another column of the table", "T", plus(4, 2, -1)],
  ["a column of another type", "T", plus(6, 4, 18)],
  [
    "one column fewer",
    "T",
    (body) => Buffer.concat([Buffer.from([0, 1]), body.subarray(2, body.indexOf(0, 2) + 19)]),
  ],
  [
    "one column more",
    "T",
    (body) =>
      Buffer.concat([Buffer.from([0, 3]), body.subarray(2), body.subarray(2, body.indexOf(0, 2) + 19)]),
  ],
  ["a row of fewer values", "D", (body) => Buffer.concat([Buffer.from([0, 1]), body.subarray(2)])],
  [
    "a row of more values",
    "D",
    (body) => Buffer.concat([Buffer.from([0, 3]), body.subarray(2), Buffer.alloc(4, 0xff)]),
  ],
  ["a row with a tail", "D", (body) => Buffer.concat([body, Buffer.from("tail")])],
  ["a row that is cut off", "D", (body) => body.subarray(0, body.length - 3)],
  [
    "a value of impossible length",
    "D",
    (body) => Buffer.concat([body.subarray(0, 2), Buffer.alloc(4, 0x7f), body.subarray(6)]),
  ],
];

const sql = "select id, email as the_email from people order by id";
const ways: [string, () => Buffer[]][] = [
  ["simple", () => [query(sql)]],
  ["extended", () => [parse("", sql), bind("", ""), describe_("portal", ""), execute(""), sync]],
  ["not described", () => [parse("", sql), bind("", "", [], [1]), execute(""), sync]],
];

test.each(ways)("what is as it was said is masked (%s)", async (_, messages) => {
  tamper = null;
  const client = await rawLogin(postern, await postern.token());
  client.send(...messages());
  const got = await client.ready();
  expect(got.filter(({ type }) => type === "D").length).toBe(2);
  expect(Buffer.concat(got.map(({ body }) => body)).includes(canary)).toBe(false);
  await client.end();
});

const cases = ways.flatMap(([way, messages]) =>
  forged.map(([what, type, change]) => ({ way, what, messages, type, change })),
);
test.each(cases)("$what ($way)", async ({ messages, type, change }) => {
  const client = await rawLogin(postern, await postern.token());
  try {
    tamper = { type, change };
    client.send(...messages());
    await client.until(() => client.closed);
  } finally {
    tamper = null;
  }
  expect(client.messages.filter((one) => one.type === "D")).toEqual([]);
  const bytes = Buffer.concat(client.messages.map(({ body }) => body));
  expect(bytes.includes(canary)).toBe(false);
  const error = client.messages.findLast((one) => one.type === "E")?.body.toString("utf8") ?? "";
  expect(error).toContain("FATAL");
  expect(error).toMatch(/not what the analysis of the statement said|CXX000|C08P01/);
  expect(lines.join("").includes(canary)).toBe(false);
  await client.end();
});
