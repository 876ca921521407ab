/** The laboratory of the corpus: its database on a server of its own, a gateway in front of it, and what must not be seen. */
import { readFileSync } from "node:fs";
import pg from "pg";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const folder = new URL(".", import.meta.url);
const text = (name: string) => readFileSync(new URL(name, folder), "utf8");

export interface Case {
  readonly id: string;
  readonly class: string;
  readonly kind: "sql" | "sequence";
  readonly sql: string;
  readonly expected: string;
  readonly why: string;
}

export function cases(): Case[] {
  return read("attacks.jsonl");
}

/** A second set of the same classes. `from`: the PostgreSQL major whose grammar it needs; "messages": one Query for each part. */
export interface SecondCase extends Omit<Case, "kind" | "why"> {
  readonly kind: "sql" | "messages";
  readonly from?: number;
}

export function secondCases(): SecondCase[] {
  return read("second.jsonl");
}

function read<T>(name: string): T[] {
  return text(name)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

export interface Lab {
  readonly cluster: Cluster;
  readonly postern: TestPostern;
  /** What the database holds, in short: equal before and after a statement that changed nothing. */
  digest(): Promise<string>;
  stop(): Promise<void>;
}

/** `approvals`: people can be asked. */
export async function startLab(policy = text("policy.yaml"), approvals = false): Promise<Lab> {
  const cluster = await startCluster();
  await cluster.createDatabase("lab");
  await cluster.query("lab", text("schema.sql"));
  await cluster.query("lab", "ALTER ROLE agent_ro PASSWORD 'agent'");
  const owner = new pg.Client(cluster.url("lab"));
  await owner.connect();
  const postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: "agent_ro", password: "agent" },
    dbname: "lab",
    name: "lab",
    policy,
    ...(approvals ? { approvals } : {}),
  });
  return {
    cluster,
    postern,
    async digest() {
      const { rows } = await owner.query<{ digest: string }>(digestSql);
      return String(rows[0]?.digest);
    },
    async stop() {
      await postern.stop();
      await owner.end();
      await cluster.stop();
    },
  };
}

const digestSql = `
  select md5(concat(
    (select string_agg(t::text, ',' order by t::text) from app.customers t),
    (select string_agg(t::text, ',' order by t::text) from app.orders t),
    (select string_agg(t::text, ',' order by t::text) from app.secrets t),
    (select string_agg(t::text, ',' order by t::text) from app.tickets t),
    (select string_agg(t::text, ',' order by t::text) from app.events t),
    (select string_agg(concat(oid, relname, relkind, relacl, reloptions), ',' order by oid) from pg_class
      where relnamespace not in (select oid from pg_namespace where nspname like 'pg_%')),
    (select string_agg(concat(oid, proname, proacl), ',' order by oid) from pg_proc where oid > 16383),
    (select string_agg(concat(oid, rolname, rolsuper, rolconfig), ',' order by oid) from pg_roles),
    (select string_agg(concat(oid, nspname, nspacl), ',' order by oid) from pg_namespace where nspname not like 'pg_%'),
    (select string_agg(concat(oid, setconfig), ',' order by setdatabase, setrole) from pg_db_role_setting s(oid, setrole, setconfig), lateral (select s.oid as setdatabase) x),
    (select string_agg(loid::text || md5(data), ',' order by loid, pageno) from pg_largeobject),
    (select last_value from app.seq)
  )) as digest`;

/** What no client may see, unless it sent it itself. */
const canary = /user[0-9]+@example[.]com|1000000[0-9][0-9]|[+]1555[0-9]+|sk_live_CANARY/g;

/** Protected values among `bytes` that are not in `sent`. */
export function leaks(bytes: string, sent: string): string[] {
  return [...new Set(bytes.match(canary) ?? [])].filter((value) => !sent.includes(value));
}

export type Way = "simple" | "extended" | "binary";

export interface Outcome {
  /** null: it ran. */
  readonly error: { readonly code: string; readonly message: string; readonly detail: string } | null;
  /** Everything that came from the gateway, as latin1. */
  readonly bytes: string;
  readonly rows: number;
}

/** Runs one statement in a session of its own, whose records name `application`. */
export function runCase(
  lab: Lab | TestPostern,
  sql: string,
  way: Way,
  application?: string,
): Promise<Outcome> {
  return runSteps(lab, [sql], way, application);
}

/** Runs several, message by message, also behind one that failed; the error is the last one's. */
export async function runSteps(
  lab: Lab | TestPostern,
  steps: readonly string[],
  way: Way,
  application?: string,
): Promise<Outcome> {
  const postern = "postern" in lab ? lab.postern : lab;
  const client = new pg.Client({
    host: postern.host,
    port: postern.port,
    user: "agent",
    database: "lab",
    password: await postern.token({ groups: ["testers", "agents"] }),
    ...(application === undefined ? {} : { application_name: application }),
  });
  client.on("error", () => undefined);
  client.on("notice", () => undefined);
  await client.connect();
  let bytes = "";
  const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.toString("latin1");
  });
  let error: Outcome["error"] = null;
  let rows = 0;
  for (const sql of steps) {
    const query =
      way === "simple" ? sql : { text: sql, queryMode: "extended", binary: way === "binary", values: [] };
    try {
      const result = (await client.query(query as string)) as unknown as pg.QueryResult | pg.QueryResult[];
      for (const one of Array.isArray(result) ? result : [result]) rows += one.rows.length;
    } catch (caught) {
      const { code, message, detail } = caught as { code?: string; message: string; detail?: string };
      error = { code: code ?? "", message, detail: detail ?? "" };
    }
  }
  await client.end().catch(() => undefined);
  return { error, bytes, rows: error === null ? rows : 0 };
}
