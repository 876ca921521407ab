/**
 * The limit on time, and what ends a statement that is cut off: whatever way it is sent, it is the one that is meant, and the session
 * goes on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import {
  bind,
  copyData,
  copyDone,
  describe_,
  execute,
  field,
  parse,
  query,
  sync,
  types,
} from "./messages.ts";

const policy = `
version: 1
default: allow
rules:
  - { name: timed, when: '"public.timed" in statement.reads', then: limit, limits: { timeout: 700ms } }
  - { name: copied, when: '"public.copied" in statement.writes', then: limit, limits: { timeout: 700ms } }
  - { name: stubborn, when: 'statement.kind == "do"', then: limit, limits: { timeout: 700ms } }
  - { name: few, when: '"public.few" in statement.reads', then: limit, limits: { rows: 3 } }
  - { name: small, when: '"public.small" in statement.reads', then: limit, limits: { bytes: 200 } }
`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    `create table timed as select 1 as id;
     create table free as select 1 as id;
     create table copied(id int);
     create table few as select g as id from generate_series(1, 50) g;
     create table many as select g as id from generate_series(1, 50) g;
     create table small as select g as id from generate_series(1, 50) g;`,
  );
  const { host, port, superuser: user, password } = cluster;
  postern = await startTestPostern({ server: { host, port, user, password }, dbname, policy });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});

const slow = (table: string, seconds: number) => `select pg_sleep(${seconds}) from ${table}`;
const piped = (...texts: string[]): Buffer[] => [
  ...texts.flatMap((text) => [parse("", text), bind("", ""), execute("")]),
  sync,
];
const code = (message: RawMessage | undefined) => {
  const detail = field(message, "D");
  return detail === undefined ? (field(message, "C") ?? null) : JSON.parse(detail).code;
};
const codes = (messages: readonly RawMessage[]) =>
  messages.filter(({ type }) => type === "E").map((one) => code(one));

async function session(work: (client: RawClient) => Promise<void>): Promise<void> {
  const client = await rawLogin(postern, await postern.token());
  await work(client);
  client.send(query("select id from free"));
  expect(types(await client.ready())).toBe("TDCZ");
  await client.end();
}

/** What the server does for sessions of this database, but for the one that asks. */
async function running(): Promise<string[]> {
  const rows = await cluster.query(
    dbname,
    `select query from pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`,
  );
  return rows.map((row) => String(row.query));
}

async function outcomes(): Promise<readonly unknown[]> {
  const records = await postern.records();
  return records.filter(({ type }) => type === "statement.outcome").map(({ status }) => status);
}

// Each is sent twice: the second time nothing has to be asked about it, and it goes out in one piece.
test.each([
  ["a Query, behind one without a limit", [query(`select id from free; ${slow("timed", 5)}`)], "TDCTEZ"],
  ["a Query, behind one with the same limit", [query(`select id from timed; ${slow("timed", 5)}`)], "TDCTEZ"],
  ["a batch, behind one without a limit", piped("select id from free", slow("timed", 5)), "12DC12EZ"],
  ["a batch, behind one with the same limit", piped("select id from timed", slow("timed", 5)), "12DC12EZ"],
])("time runs out: %s", async (_, messages, expected) => {
  await session(async (client) => {
    for (let i = 0; i < 2; i++) {
      const before = (await outcomes()).length;
      client.send(...messages);
      const got = await client.ready();
      expect(types(got)).toBe(expected);
      expect(codes(got)).toEqual(["TIME_LIMIT"]);
      expect((await outcomes()).slice(before)).toEqual(["ok", "cut"]);
    }
  });
});

test("a batch: what has no limit is not ended by the limit of what came before it", async () => {
  await session(async (client) => {
    for (let i = 0; i < 2; i++) {
      client.send(...piped("select id from timed", slow("free", 1.2)));
      expect(types(await client.ready())).toBe("12DC12DCZ");
    }
  });
});

test("a Query: its statements share the shortest of their times", async () => {
  await session(async (client) => {
    client.send(query(`select id from timed; ${slow("free", 5)}`));
    const got = await client.ready();
    expect(types(got)).toBe("TDCTEZ");
    expect(codes(got)).toEqual(["TIME_LIMIT"]);
  });
});

test("a statement that is cut off takes nothing with it that was sent behind it", async () => {
  await session(async (client) => {
    for (const [first, why] of [
      ["select id from few", "ROW_LIMIT"],
      ["select id from small", "BYTE_LIMIT"],
    ] as const) {
      client.send(query(first), query(slow("free", 0.5)));
      expect(codes(await client.ready())).toEqual([why]);
      expect(types(await client.ready())).toBe("TDCZ");
      client.send(...piped(first), ...piped(slow("free", 0.5)));
      expect(codes(await client.ready())).toEqual([why]);
      expect(types(await client.ready())).toBe("12DCZ");
    }
  });
});

test("a statement that is cut off ends, also with others sent behind it", async () => {
  await session(async (client) => {
    client.send(
      query("select a.id from few a, free b, few c, few d, few e, few f, few g"),
      query("select id from free"),
    );
    expect(codes(await client.ready())).toEqual(["ROW_LIMIT"]);
    expect(types(await client.ready())).toBe("TDCZ");
  });
});

test("a client that does not read cannot keep its statement running", async () => {
  await session(async (client) => {
    client.socket.pause();
    client.send(query("select repeat('x', 1000) from timed, many a, many b, many c, many d"));
    await sleep(300);
    expect((await running()).join()).toContain("repeat");
    await expect.poll(running, { timeout: 8_000 }).not.toContainEqual(expect.stringContaining("repeat"));
    client.socket.resume();
    const got = await client.ready();
    expect(types(got)).toMatch(/^TD+EZ$/);
    expect(codes(got)).toEqual(["TIME_LIMIT"]);
  });
});

test.each(["simple", "extended"])("a copy whose data does not come, %s", async (way) => {
  await session(async (client) => {
    const text = "copy copied from stdin";
    client.send(...(way === "simple" ? [query(text)] : piped(text)));
    await client.until(({ type }) => type === "G");
    client.send(copyData("1\n"));
    const got = await client.until(({ type }) => type === "E", 8_000);
    expect(codes(got)).toEqual(["TIME_LIMIT"]);
    // Not knowing yet, the client goes on.
    client.send(copyData("2\n"), copyDone, ...(way === "simple" ? [] : [sync]));
    expect(types(await client.ready())).toBe("Z");
    expect(await cluster.query(dbname, "select * from copied")).toEqual([]);
  });
});

test("a statement that does not heed the first cancel request is told again", async () => {
  await session(async (client) => {
    client.send(
      query(`do $$ begin
               begin perform pg_sleep(20); exception when query_canceled then null; end;
               perform pg_sleep(20);
             end $$`),
    );
    const got = await client.until(({ type }) => type === "Z", 10_000);
    expect(codes(got)).toEqual(["TIME_LIMIT"]);
  });
});

// What is constant is worked out when the statement is planned: at its Bind.
const planned = "select id from timed where 1 < factorial(30000) * factorial(30000)";
test.each([
  ["bound and not run", [bind("", "s"), sync]],
  ["bound and described", [bind("p", "s"), describe_("portal", "p"), sync]],
  ["bound, with something else run behind it", [bind("p", "s"), ...piped("select id from free")]],
  ["bound behind something else", [bind("", "f"), execute(""), bind("p", "s"), sync]],
  ["bound and run", [bind("", "s"), execute(""), sync]],
  ["bound and run behind something else", [bind("", "f"), execute(""), bind("", "s"), execute(""), sync]],
])("a statement whose planning takes too long, %s", async (_, messages) => {
  await session(async (client) => {
    client.send(parse("s", planned), parse("f", "select id from free"), sync);
    await client.ready();
    for (let i = 0; i < 2; i++) {
      client.send(...messages);
      expect(codes(await client.ready())).toEqual(["TIME_LIMIT"]);
    }
  });
});

test("a cursor has one time, in however many pieces it is fetched", async () => {
  await session(async (client) => {
    client.send(query("begin"));
    await client.ready();
    client.send(query("declare c cursor for select pg_sleep(0.2) from timed, generate_series(1, 20)"));
    await client.ready();
    const codesOf: unknown[] = [];
    for (let i = 0; i < 6 && codesOf.length === 0; i++) {
      client.send(query("fetch 1 from c"));
      codesOf.push(...codes(await client.ready()));
    }
    expect(codesOf).toEqual(["TIME_LIMIT"]);
    client.send(query("rollback"));
    await client.ready();
  });
});

test("a portal has one time, in however many pieces it is fetched", async () => {
  await session(async (client) => {
    client.send(query("begin"));
    await client.ready();
    client.send(
      parse("", "select pg_sleep(0.2) from timed, generate_series(1, 20)"),
      bind("p", ""),
      execute("p", 1),
      sync,
    );
    expect(types(await client.ready())).toBe("12DsZ");
    const codesOf: unknown[] = [];
    for (let i = 0; i < 6 && codesOf.length === 0; i++) {
      client.send(execute("p", 1), sync);
      codesOf.push(...codes(await client.ready()));
    }
    expect(codesOf).toEqual(["TIME_LIMIT"]);
    client.send(query("rollback"));
    await client.ready();
  });
});
