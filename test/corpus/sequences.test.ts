/** Cases of the corpus that are sequences of messages: what stands between messages must not open a way around a verdict. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  bind,
  copyData,
  copyDone,
  describe_,
  execute,
  field,
  flush,
  parse,
  query,
  sync,
  types,
} from "../e2e/messages.ts";
import { type RawClient, rawLogin } from "../support/raw.ts";
import { type Lab, leaks, startLab } from "./lab.ts";

const policy = `
version: 1
labels:
  - label: pii
    columns: [lab.app.customers.email, lab.app.customers.ssn]
    mask: redact
default: deny
rules:
  - name: agents-read
    when: '"agents" in principal.groups && statement.effects == ["read"]'
    then: allow
    limits: { rows: 5 }
`;

let lab: Lab;
let untouched: string;
let client: RawClient;

beforeAll(async () => {
  lab = await startLab(policy);
  untouched = await lab.digest();
});
afterAll(async () => {
  await lab?.stop();
});
beforeEach(async () => {
  client = await login();
  return async () => {
    await client.end();
    const bytes = client.messages.map(({ body }) => body.toString("latin1")).join("");
    expect(leaks(bytes, "")).toEqual([]);
    expect(await lab.digest()).toBe(untouched);
  };
});

async function login(): Promise<RawClient> {
  const token = await lab.postern.token({ groups: ["testers", "agents"] });
  return rawLogin(lab.postern, token, { database: "lab" });
}

async function works(): Promise<void> {
  client.send(query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
}

const write = "delete from app.orders";

test("E09: after a refused Parse of the unnamed statement nothing runs what was there before", async () => {
  client.send(parse("", "select id from app.orders"), sync);
  expect(types(await client.ready())).toBe("1Z");
  client.send(parse("", write), bind("", ""), execute(""), sync);
  expect(types(await client.ready())).toBe("EZ");
  client.send(bind("", ""), execute(""), sync);
  const stale = types(await client.ready());
  // As PostgreSQL itself: a Parse that failed has closed the old unnamed statement, or it is still the harmless one.
  expect(stale).toMatch(/^(EZ|2D*[CE]Z)$/);
  client.send(parse("", "select 1"), parse("", write), bind("", ""), execute(""), sync);
  expect(types(await client.ready())).toBe("1EZ");
  await works();
});

test("E09: the same with Flush, and with a name", async () => {
  client.send(parse("s", "select 1"), sync);
  await client.ready();
  client.send(parse("t", write), flush);
  await client.until((one) => one.type === "E");
  client.send(bind("", "s"), execute(""), parse("", "select 2"), bind("", ""), execute(""), sync);
  expect(types(await client.ready())).toBe("Z");
  client.send(bind("", "t"), execute(""), sync);
  expect(types(await client.ready())).toBe("EZ");
  client.send(bind("", "s"), execute(""), sync);
  expect(types(await client.ready())).toBe("2DCZ");
});

test("E11: rows are counted over all Executes of a portal", async () => {
  client.send(query("begin"));
  await client.ready();
  client.send(parse("", "select id, email from app.customers"), bind("p", ""), sync);
  await client.ready();
  let rows = 0;
  let cut: string | undefined;
  for (let i = 0; i < 8 && cut === undefined; i++) {
    client.send(execute("p", 1), sync);
    const messages = await client.ready();
    rows += messages.filter((one) => one.type === "D").length;
    const error = messages.find((one) => one.type === "E");
    if (error !== undefined) cut = JSON.parse(field(error, "D") ?? "{}").code;
  }
  expect(rows).toBe(5);
  expect(cut).toBe("ROW_LIMIT");
});

test("E11: and over all FETCHes of a cursor", async () => {
  client.send(query("begin; declare c cursor for select id, ssn from app.customers"));
  await client.ready();
  let rows = 0;
  let cut = false;
  for (let i = 0; i < 5 && !cut; i++) {
    client.send(query("fetch 2 from c"));
    const messages = await client.ready();
    rows += messages.filter((one) => one.type === "D").length;
    cut = messages.some((one) => one.type === "E");
  }
  expect(rows).toBeLessThanOrEqual(5);
  expect(cut).toBe(true);
});

/** A Query whose body is `body`, as it is. */
function rawQuery(body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write("Q");
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

test.each([
  ["no terminating NUL", Buffer.from("select 1")],
  ["bytes behind the NUL", Buffer.from(`select 1\0; ${write}\0`)],
  ["a NUL inside", Buffer.from(`select 1; \0${write}\0`)],
  ["half a character", Buffer.concat([Buffer.from("select 'é".slice(0, 8)), Buffer.from([0xc3, 0])])],
  [
    "a character cut before a quote",
    Buffer.concat([Buffer.from("select '"), Buffer.from([0xe8, 0x27]), Buffer.from(`; ${write}; --'\0`)]),
  ],
  [
    "overlong",
    Buffer.concat([Buffer.from("select '"), Buffer.from([0xc0, 0xa7]), Buffer.from(`; ${write}; --'\0`)]),
  ],
  ["nothing at all", Buffer.alloc(0)],
])("Q03: %s", async (_, body) => {
  client.send(rawQuery(body));
  const messages = await client.until((one) => one.type === "Z" || one.type === "E");
  expect(messages.at(-1)?.type).toBe("E");
  expect(messages.some((one) => one.type === "D" || one.type === "C")).toBe(false);
});

test("Q15: a Query inside an unfinished batch", async () => {
  client.send(parse("", "select 1"), bind("", ""), query(write), sync);
  const first = await client.ready();
  expect(types(first)).toMatch(/E/);
  await client.until((one) => one.type === "Z");
});

test("Q15: a storm of Syncs, and messages of a COPY where there is none", async () => {
  client.send(Buffer.concat(Array.from({ length: 500 }, () => sync)));
  for (let i = 0; i < 500; i++) expect(types(await client.ready())).toBe("Z");
  client.send(copyData("1\t2\n"), copyDone, query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
});

test("Q15: what stands behind a refused statement of a pipeline is not run", async () => {
  const steps = [];
  for (const text of [
    "select id from app.orders limit 1",
    write,
    "select 2",
    "update app.orders set amount = 0",
  ])
    steps.push(parse("", text), bind("", ""), describe_("portal", ""), execute(""));
  client.send(...steps, sync);
  const messages = await client.ready();
  expect(types(messages)).toBe("12TDCEZ");
  await works();
});

test("S05: a statement prepared by one principal is not there for another", async () => {
  client.send(parse("mine", "select id from app.orders limit 1"), sync);
  await client.ready();
  await client.end();
  const other = await rawLogin(
    lab.postern,
    await lab.postern.token({ sub: "somebody-else", groups: ["testers"] }),
    { database: "lab" },
  );
  other.send(bind("", "mine"), execute(""), sync);
  expect(types(await other.ready())).toBe("EZ");
  other.send(query("execute mine"));
  expect(types(await other.ready())).toBe("EZ");
  await other.end();
  client = await login();
});
