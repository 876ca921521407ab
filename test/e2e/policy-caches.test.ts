/**
 * Kept judgements are never another's: whatever was decided before, for whom and when, each statement of each session comes out as the
 * policy that is in force decides it afresh.
 */
import net from "node:net";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type CompiledPolicy, loadPolicy } from "../../src/policy/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const rules = `
  - { name: by-address, when: 'session.client_ip == "127.0.0.2" && "public.b" in statement.reads', then: deny }
  - { name: by-claim, when: 'has(principal.claims.team) && principal.claims.team == "x" && "public.a" in statement.reads', then: deny }
  - { name: by-group, when: '"readers" in principal.groups && statement.effects == ["read"]', then: allow }
  - { name: by-subject, when: 'principal.subject == "bob" && statement.kind == "select"', then: allow }
  - { name: by-run, when: 'session.claimed.run == "r2" && statement.has_where', then: deny }
  - { name: by-application, when: 'session.application == "tool" && "public.c" in statement.reads', then: deny }`;
const byTime = `
  - { name: by-time, when: 'now.getMilliseconds() >= 500 && "public.c" in statement.reads', then: deny }`;
const labels = `
labels: [{ label: l, columns: ["shop.public.a.n"], use: any }]`;
const texts = [
  `version: 1${labels}\nrules:${rules}\n`,
  `version: 1${labels}\nrules:${rules}${byTime}\n`,
  `version: 1\nrules:${byTime}\n  - { name: every, when: 'session.claimed.run != "r1"', then: allow }\n`,
];
const policies = texts.map((text) => loadPolicy([{ file: "policy.yaml", text }]));

const statements = [
  "select id from a",
  "select id from a where id = 1",
  "select id from b",
  "select id from b where id > 0",
  "select id from c",
  "select a.id from a, c where a.id = c.id",
] as const;

interface Caller {
  readonly subject: string;
  readonly groups: readonly string[];
  readonly team: string | null;
  readonly application: string;
  readonly run: string;
  readonly address: string;
}

const callers: readonly Caller[] = [
  { subject: "ann", groups: ["readers"], team: null, application: "app", run: "r1", address: "127.0.0.1" },
  { subject: "ann", groups: ["readers"], team: "x", application: "app", run: "r1", address: "127.0.0.1" },
  { subject: "ann", groups: ["readers"], team: "y", application: "tool", run: "r2", address: "127.0.0.1" },
  { subject: "ann", groups: ["readers"], team: null, application: "app", run: "r2", address: "127.0.0.2" },
  { subject: "bob", groups: [], team: "x", application: "app", run: "r1", address: "127.0.0.1" },
  { subject: "eve", groups: [], team: null, application: "tool", run: "r3", address: "127.0.0.2" },
];

/** A socket that connects from an address of its own. */
function socketFrom(localAddress: string): net.Socket {
  const socket = new net.Socket();
  const connect = socket.connect.bind(socket) as (options: net.TcpSocketConnectOpts) => net.Socket;
  socket.connect = ((port: number, host: string) =>
    connect({ port, host, localAddress })) as typeof socket.connect;
  return socket;
}

const reader = `caches_reader_${process.pid}`;
let server: Database;
let name: string;
let postern: TestPostern;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await sharedCluster();
  name = await server.createDatabase();
  await server.query(
    name,
    ["a", "b", "c"]
      .map((table) => `create table ${table} (id int, n text); insert into ${table} values (1, 'x')`)
      .concat(`create role ${reader} login password 'pw'`, `grant select on a, b, c to ${reader}`)
      .join(";"),
  );
  const upstream = { host: server.host, port: server.port, user: reader, password: "pw" };
  postern = await startTestPostern({ server: upstream, dbname: name, policy: texts[0] ?? "" });
  for (const { subject, groups, team, application, run, address } of callers) {
    const client = new pg.Client({
      host: postern.host,
      port: postern.port,
      user: "me",
      database: "shop",
      application_name: application,
      options: `-c postern.run=${run}`,
      password: await postern.token({
        sub: subject,
        groups: ["testers", ...groups],
        ...(team === null ? {} : { team }),
      }),
      stream: () => socketFrom(address),
    });
    await client.connect();
    clients.push(client);
  }
});

afterAll(async () => {
  vi.useRealTimers();
  for (const client of clients) await client.end();
  await postern?.stop();
  await server.dropDatabase(name);
  await server.query("postgres", `drop role ${reader}`);
});

/** What the policy says of it afresh. */
function expected(policy: CompiledPolicy, caller: Caller, sql: string, now: Date): string {
  const reads = ["a", "b", "c"].filter((table) =>
    new RegExp(`\\b${table}\\b`).test(sql.split("from")[1] ?? ""),
  );
  const { verdict, code } = policy.decide({
    principal: {
      subject: caller.subject,
      issuer: postern.idp.issuer,
      email: null,
      kind: "agent",
      groups: ["testers", ...caller.groups],
      actor: [],
      provider: "corp",
      claims: caller.team === null ? {} : { team: caller.team },
      token: { jti: null, sha256: "", issued: null, expires: 0 },
    },
    session: {
      database: "shop",
      role: reader,
      application: caller.application,
      clientIp: caller.address,
      via: "wire",
      tls: false,
      claimed: { run: caller.run },
    },
    statement: {
      kind: "select",
      command: "SELECT",
      effects: ["read"],
      reads: reads.map((table) => `public.${table}`),
      writes: [],
      columns: [],
      functions: [],
      labels: [],
      labelsInPredicates: [],
      unboundedWrite: false,
      hasWhere: sql.includes("where"),
      hasLimit: false,
      statements: 1,
      inTransaction: false,
      bytes: sql.length,
      fingerprint: null,
    },
    now,
  });
  return verdict === "allow" ? "allow" : (code ?? "");
}

async function sent(
  client: pg.Client,
  sql: (typeof statements)[number],
  way: "simple" | "unnamed" | "named",
): Promise<string> {
  const config = {
    text: sql,
    queryMode: "extended",
    ...(way === "named" ? { name: `s${statements.indexOf(sql)}` } : {}),
  };
  try {
    await client.query(way === "simple" ? sql : config);
    return "allow";
  } catch (error) {
    const { detail } = error as { detail?: string };
    return detail === undefined ? String(error) : (JSON.parse(detail) as { code: string }).code;
  }
}

const step = fc.record({
  caller: fc.nat({ max: callers.length - 1 }),
  statement: fc.constantFrom(...statements),
  way: fc.constantFrom("simple", "unnamed", "named"),
  /** Early or late in the second that the gateway believes in. */
  late: fc.boolean(),
  /** A reload before it; null: none. */
  policy: fc.option(fc.nat({ max: texts.length - 1 }), { nil: null, freq: 6 }),
});

test("no session is decided by what was decided for another, before, or under another policy", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const second = Math.floor(Date.now() / 1000) * 1000;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (steps) => {
      let current = 0;
      postern.setPolicy(texts[current] ?? "");
      for (const { caller, statement, way, late, policy } of steps) {
        if (policy !== null) {
          current = policy;
          postern.setPolicy(texts[policy] ?? "");
        }
        const now = new Date(second + (late ? 700 : 100));
        vi.setSystemTime(now);
        const [who, client, by] = [callers[caller], clients[caller], policies[current]];
        if (who === undefined || client === undefined || by === undefined) throw new Error("no such caller");
        expect(
          await sent(client, statement, way),
          JSON.stringify({ caller, statement, way, late, current }),
        ).toBe(expected(by, who, statement, now));
      }
    }),
    { numRuns: 25 },
  );
}, 120_000);
