/** The lineage schema with a token in every protected cell, a gateway in front of it, and a relay that keeps every byte. */
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import type { LabelUse } from "../../src/analysis/protected.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { createTokens, type Tokens } from "./tokens.ts";

const corpus = (name: string) => readFileSync(new URL(`../corpus/${name}`, import.meta.url), "utf8");

export interface LineageCase {
  readonly id: string;
  readonly sql: string;
  readonly derives: readonly number[];
  readonly note?: string;
}

export const lineageCases: readonly LineageCase[] = corpus("lineage.jsonl")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as LineageCase);

export interface Recorder {
  readonly host: string;
  readonly port: number;
  /** What the gateway sent since the last call, over all connections. */
  take(): Buffer;
  stop(): Promise<void>;
}

/** Stands between a driver and the gateway, and keeps what the gateway says. */
async function startRecorder(to: { host: string; port: number }): Promise<Recorder> {
  let chunks: Buffer[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const gateway = net.connect(to.port, to.host);
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        gateway.destroy();
      });
    }
    gateway.on("data", (chunk: Buffer) => chunks.push(chunk));
    gateway.pipe(client);
    client.pipe(gateway);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: "127.0.0.1",
    port: (server.address() as net.AddressInfo).port,
    take() {
      const taken = Buffer.concat(chunks);
      chunks = [];
      return taken;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export interface LineageLab {
  readonly cluster: Database;
  readonly dbname: string;
  readonly postern: TestPostern;
  readonly recorder: Recorder;
  readonly tokens: Tokens;
  readonly role: string;
  /** Tokens in the gateway's log and in every file of the audit trail, as it lies on disk. */
  kept(): Promise<string[]>;
  stop(): Promise<void>;
}

const views = `
  create view v_barrier with (security_barrier) as select id, email from users where length(name) > 0;
  create view v_mixed as select id, note from orders union all select id, email from users;`;

/** Fills every table; protected cells with tokens. */
function rows({ text, number }: Tokens): string {
  const each = (table: string, values: (id: number) => string): string =>
    `insert into ${table} values ${[1, 2, 3, 4, 5, 6, 7, 8].map((id) => `(${values(id)})`).join(", ")};`;
  return [
    each(
      "users",
      (id) => `${id}, '${text()}', 'n${id % 3}', '${text()}', 'c${id % 2}', ${id * 3}, '2026-01-0${id}'`,
    ),
    each("orders", (id) => `${id}, ${(id % 4) + 1}, ${id}.5, 'note${id % 5}', 'o${id}'`),
    each("hr.emp", (id) => `${id}, 'e${id}@x', ${number()}, 'd${id % 3}', ${(id + 1) % 5}`),
    each("app.users", (id) => `${id}, 'a${id}', 'nick${id % 2}'`),
    each("part", (id) => `${id}, '${text()}', ${id * 20}`),
    each("parent", (id) => `${id}, '${text()}'`),
    each("child", (id) => `${id + 10}, '${text()}', 'x${id}'`),
    each(
      "prof",
      (id) =>
        `${id}, ${id}, row('${text()}', '${text()}'), array['t'], jsonb_build_object('k', '${text()}', 'n', jsonb_build_array('${text()}'))`,
    ),
    "refresh materialized view mv_users; analyze;",
  ].join("\n");
}

/** The corpus' own, and those that a test calls `secret` or `p_…`. */
const columns = "users.email users.ssn prof.doc prof.home part.email parent.email *.secret kinds.p_*"
  .split(" ")
  .map((name) => `public.${name}`);

/** Everyone may do everything but see what the label protects. */
function policy(database: string, use: string, mask: string): string {
  return `
version: 1
labels:
  - label: pii
    columns: [${[...columns, "hr.emp.salary"].map((name) => `"${database}.${name}"`).join(", ")}]
    mask: ${mask}
    use: ${use}
default: allow
rules: []
`;
}

export async function startLineageLab(use: LabelUse, mask = "redact"): Promise<LineageLab> {
  const cluster = await sharedCluster();
  const dbname = await cluster.createDatabase();
  const role = `${dbname}_reader`;
  const tokens = createTokens(use === "output" ? 11 : 12);
  await cluster.query(dbname, corpus("lineage_schema.sql"));
  await cluster.query(dbname, views);
  await cluster.query(dbname, rows(tokens));
  await cluster.query(
    dbname,
    `create role ${role} login password 'reader';
     grant usage on schema app, hr to ${role}; grant usage, create on schema public to ${role};
     grant select, insert, update, delete on all tables in schema public, app, hr to ${role};
     alter database ${dbname} set jit = off; alter database ${dbname} set statement_timeout = '10s'`,
  );
  const log: string[] = [];
  const postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: role, password: "reader" },
    dbname,
    name: "lineage",
    policy: policy("lineage", use, mask),
    functionCall: true,
    log: (line) => log.push(line),
  });
  const recorder = await startRecorder(postern);
  return {
    cluster,
    dbname,
    postern,
    recorder,
    tokens,
    role,
    async kept() {
      await postern.audit.settle();
      const { dir } = postern.auditSettings;
      const files = readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
      return [...files, Buffer.from(log.join(""))].flatMap((bytes) => tokens.foundAmongRandom(bytes));
    },
    async stop() {
      await recorder.stop();
      await postern.stop();
      await cluster.dropDatabase(dbname);
      await cluster.query("postgres", `drop role ${role}`);
    },
  };
}
