/** `postern serve` as a process of its own in front of a PostgreSQL that logs every statement, and its trail with the seals open. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import pg from "pg";
import { readDayKey, readMasterKey, wrapKey } from "../../src/audit/keys.ts";
import { findLogs, parseLeaf, readLeaves } from "../../src/audit/read/leaves.ts";
import { frameAad, openFrame } from "../../src/audit/seal.ts";
import type { Durability } from "../../src/facts/audit.ts";
import { folder, postern, type Ran, type Started, startPostern } from "../cli/support.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";

/** The role that the gateway logs in with, and nobody else. */
export const login = "gw_login";

export interface Server {
  readonly cluster: Cluster;
  readonly database: string;
  /** The login's password. */
  readonly password: string;
  /** Empties the table and forgets what was logged so far. */
  fresh(): Promise<void>;
  /** Ids that are in the table. */
  rows(): Promise<Set<string>>;
  /** Waits until no session of the login is left, or none that does anything. */
  quiet(but?: "idle sessions"): Promise<void>;
  /** What the server logged of the login's statements, in order, once it has written all of it. */
  logged(): Promise<Logged[]>;
}

/** One statement that the server says it was told to run. */
export interface Logged {
  readonly text: string;
  /** Marks in the text and in its parameters. */
  readonly marks: readonly string[];
}

/** A server with the table `t (id text primary key)` that writes every statement to its log. */
export async function startServer(): Promise<Server> {
  const cluster = await startCluster({
    conf: {
      log_statement: "'all'",
      log_destination: "'jsonlog'",
      logging_collector: "on",
      log_rotation_size: "0",
      log_file_mode: "0644",
    },
  });
  const password = randomBytes(12).toString("hex");
  const database = await cluster.createDatabase("faults");
  await cluster.query(database, `create role ${login} login password '${password}'`);
  await cluster.query(database, "create table t (id text primary key)");
  await cluster.query(database, `grant all on t to ${login}`);
  let from = 0;
  async function log(): Promise<string> {
    // The collector writes in order: what it has of us, it has of all before us.
    const sentinel = `sentinel ${randomBytes(8).toString("hex")}`;
    await cluster.query("postgres", `select '${sentinel}'`);
    let text = "";
    await until("the server writes its log", () => {
      text = readServerLog(cluster);
      return text.includes(sentinel);
    });
    return text;
  }
  return {
    cluster,
    database,
    password,
    async fresh() {
      await cluster.query(database, "truncate t");
      from = (await log()).length;
    },
    async rows() {
      const found = await cluster.query(database, "select id from t");
      return new Set(found.map((row) => String(row.id)));
    },
    async quiet(but) {
      await until("the server's sessions end", async () => {
        const [row] = await cluster.query(
          "postgres",
          "select count(*)::int as n from pg_stat_activity where usename = $1 and ($2 or state <> 'idle')",
          [login, but === undefined],
        );
        return row?.n === 0;
      });
    },
    logged: async () => parseServerLog((await log()).slice(from)),
  };
}

function readServerLog(cluster: Cluster): string {
  const dir = join(cluster.dataDir, "log");
  const files = readdirSync(dir).filter((name) => name.endsWith(".json"));
  return files
    .sort()
    .map((name) => readFileSync(join(dir, name), "utf8"))
    .join("");
}

/** What the gateway sends on its own account between two sessions (src/gateway/upstream/reset.ts). */
const own = /^(?:DISCARD ALL$|SELECT pg_catalog\.current_setting\()/;

function parseServerLog(text: string): Logged[] {
  const found: Logged[] = [];
  // The last line may be half written.
  for (const line of text.split("\n").slice(0, -1)) {
    if (line === "") continue;
    const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (entry.user !== login || entry.error_severity !== "LOG") continue;
    const said = /^(?:statement|execute [^:]*): (.*)$/s.exec(String(entry.message))?.[1];
    if (said === undefined || own.test(said)) continue;
    const detail = String(entry.detail ?? "");
    const parameters = /^parameters:/i.test(detail) ? detail : "";
    found.push({ text: said, marks: marksIn(`${said} ${parameters}`) });
  }
  return found;
}

/** Polls; throws after 20 seconds. */
export async function until(what: string, test: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await sleep(20);
  }
}

/** A mark stands for one statement wherever it is seen. */
export const marksIn = (text: string): string[] => text.match(/mk\d+z/g) ?? [];

export interface Site {
  readonly dir: string;
  readonly auditDir: string;
  readonly configFile: string;
  /** Text of postern.yaml; `replace` a part of it for another. */
  config(replace?: readonly [string, string]): string;
  readonly token: string;
  /** Starts the gateway; resolves once it listens, and rejects when it ends before. */
  start(): Promise<Running>;
  /** Starts it without waiting for anything. */
  spawn(): Started;
  verify(): Promise<Ran>;
  trail(): Trail;
  /** Ends what still runs, removes the folder. */
  remove(): Promise<void>;
}

export interface Running extends Started {
  readonly port: number;
}

export interface SiteOptions {
  readonly durability: Durability;
  /** Where the trail lies; beside the configuration unless given. */
  readonly auditDir?: string;
  readonly password?: string;
  /** With a policy that allows everything: statements are analysed, and proven reads do not wait for the disk. */
  readonly policy?: boolean;
  /** Files that the gateway may have open. */
  readonly descriptors?: number;
}

export async function createSite(server: Server, options: SiteOptions): Promise<Site> {
  const place = folder();
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "faults", alg: "ES256", use: "sig" };
  writeFileSync(join(place.path, "jwks.json"), JSON.stringify({ keys: [jwk] }));
  const token = await new SignJWT({ groups: ["agents"], client_id: "faults" })
    .setProtectedHeader({ alg: "ES256", kid: "faults", typ: "at+jwt" })
    .setIssuer("https://idp.example.com")
    .setAudience("postern")
    .setSubject("agent-7")
    .setIssuedAt()
    .setExpirationTime("2h")
    .sign(privateKey);
  const auditDir = options.auditDir ?? join(place.path, "audit");
  mkdirSync(auditDir, { recursive: true });
  const keys = join(place.path, "keys");
  const config = (replace: readonly [string, string] = ["", ""]): string =>
    `version: 1
listen: { postgres: 127.0.0.1:0 }
identity:
  providers: [{ name: idp, type: oidc, issuer: https://idp.example.com, audience: postern, jwks: file:./jwks.json }]
databases:
  - name: shop
    server: { host: 127.0.0.1, port: ${server.cluster.port}, dbname: ${server.database}, tls: { mode: disable } }
    logins: [{ groups: [agents], user: ${login}, password: { env: UPSTREAM_PASSWORD } }]
audit: { dir: ${auditDir}, keys: ${keys}, node: gw, durability: ${options.durability} }
${options.policy === true ? "policy: ./policy.yaml\n" : ""}`.replace(...replace);
  if (options.policy === true)
    place.write(
      "policy.yaml",
      "version: 1\ndefault: deny\nrules: [{ name: all, when: 'true', then: allow }]\n",
    );
  const configFile = place.write("postern.yaml", config());
  const children: Started[] = [];
  const spawn = () => {
    const started = startPostern(["serve", "-c", configFile], {
      cwd: place.path,
      env: { UPSTREAM_PASSWORD: options.password ?? server.password },
      ...(options.descriptors === undefined ? {} : { descriptors: options.descriptors }),
    });
    children.push(started);
    return started;
  };
  return {
    dir: place.path,
    auditDir,
    configFile,
    config,
    token,
    spawn,
    async start() {
      const started = spawn();
      const text = await started.printed(/listening for PostgreSQL clients"[^\n]*\n/);
      const line = text.split("\n").find((l) => l.includes("listening for PostgreSQL clients")) ?? "{}";
      const port = Number(
        String((JSON.parse(line) as { address?: unknown }).address)
          .split(":")
          .at(-1),
      );
      return { ...started, port };
    },
    verify: () => postern(["audit", "verify", auditDir]),
    trail: () => readTrail(auditDir, keys),
    async remove() {
      for (const { child, ended } of children) {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
        await ended;
      }
      place.remove();
    },
  };
}

/** A statement on the trail. */
export interface Recorded {
  readonly index: number;
  readonly request: string;
  /** What was sealed: `sql`, `parameters`, `prepared`. */
  readonly sealed: Readonly<Record<string, unknown>>;
  /** Marks of the statement and its parameters, without those of the statement it names. */
  readonly marks: readonly string[];
  readonly outcomes: readonly Outcome[];
}

export interface Outcome {
  readonly status: string;
  readonly tag: string | null;
  readonly sqlstate: string | null;
  readonly skipped: boolean;
}

export interface Trail {
  readonly types: readonly string[];
  readonly leaves: readonly Readonly<Record<string, unknown>>[];
  readonly statements: readonly Recorded[];
  /** The statements that hold a mark. */
  of(mark: string): readonly Recorded[];
  /** How many statements the message had. */
  parts(request: string): number;
}

/** The whole trail, seals opened with the master key. Throws when one does not open. */
function readTrail(auditDir: string, keys: string): Trail {
  const [log] = findLogs(auditDir);
  if (log === undefined) throw new Error("no log");
  const origin = readFileSync(join(log.dir, "log.vkey"), "utf8").split("+")[0] ?? "";
  const wrap = wrapKey(readMasterKey(keys), origin);
  const leaves: Readonly<Record<string, unknown>>[] = [];
  const frames = new Map<number, string[]>();
  interface Frame {
    readonly day: string;
    readonly bytes: Buffer[];
    tag: Buffer | null;
  }
  const pieces = new Map<number, Frame>();
  let last: Frame | null = null as Frame | null;
  readLeaves(log, {
    leaf(buf, start, end) {
      const leaf = parseLeaf(buf, start, end);
      if (leaf === null) throw new Error("a leaf that is not JSON");
      leaves.push(leaf);
      return true;
    },
    frame(number, day, piece) {
      const frame = pieces.get(number) ?? { day, bytes: [], tag: null };
      frame.bytes.push(Buffer.from(piece, "base64"));
      pieces.set(number, frame);
      last = frame;
    },
    frameEnd(tag) {
      if (last !== null) last.tag = Buffer.from(tag, "base64");
    },
  });
  for (const [number, { day, bytes, tag }] of pieces) {
    const key = readDayKey(log.dir, origin, wrap, day);
    const plain =
      key === null ? null : openFrame(key, frameAad(origin, number, day), Buffer.concat(bytes), tag);
    if (plain === null) throw new Error(`frame ${number} does not open`);
    frames.set(number, plain.toString("utf8").split("\n"));
  }
  const outcomes = new Map<number, Outcome[]>();
  for (const leaf of leaves) {
    if (leaf.type !== "statement.outcome") continue;
    const { index } = leaf.intent as { index: number };
    const outcome = {
      status: String(leaf.status),
      tag: leaf.tag as string | null,
      sqlstate: leaf.sqlstate as string | null,
      skipped: leaf.skipped === true,
    };
    outcomes.set(index, [...(outcomes.get(index) ?? []), outcome]);
  }
  const statements: Recorded[] = [];
  for (const [index, leaf] of leaves.entries()) {
    if (leaf.type !== "statement.intent") continue;
    const { sealed: place } = leaf.statement as { sealed: { frame: number; at: number } };
    const line = frames.get(place.frame)?.[place.at] ?? "";
    const sealed = JSON.parse(line.slice(line.indexOf(" ") + 1)) as Record<string, unknown>;
    statements.push({
      index,
      request: String(leaf.request),
      sealed,
      marks: marksIn(`${String(sealed.sql)} ${JSON.stringify(sealed.parameters ?? [])}`),
      outcomes: outcomes.get(index) ?? [],
    });
  }
  const byMark = new Map<string, Recorded[]>();
  for (const statement of statements)
    for (const mark of new Set(statement.marks)) byMark.set(mark, [...(byMark.get(mark) ?? []), statement]);
  const parts = new Map<string, number>();
  for (const { request } of statements) parts.set(request, (parts.get(request) ?? 0) + 1);
  return {
    types: leaves.map((leaf) => String(leaf.type)),
    leaves,
    statements,
    of: (mark) => byMark.get(mark) ?? [],
    parts: (request) => parts.get(request) ?? 0,
  };
}

const broken = new WeakMap<pg.Client, Error>();

/** The error that ended this connection, where it came between two statements. */
export const endOf = (client: pg.Client): Error | undefined => broken.get(client);

export async function connect(port: number, token: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: "me",
    password: token,
    database: "shop",
    connectionTimeoutMillis: 15_000,
  });
  client.on("error", (error) => {
    if (!broken.has(client)) broken.set(client, error);
  });
  await client.connect();
  hangUpOnNonsense(client);
  return client;
}

/** node-postgres throws from its socket's handler at a row that it cannot read, which would end the whole run. */
function hangUpOnNonsense(client: pg.Client): void {
  const { stream } = (client as pg.Client & { readonly connection: { readonly stream: Socket } }).connection;
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string, ...args: unknown[]): boolean => {
    try {
      return emit(event, ...args);
    } catch (error) {
      if (event !== "data") throw error;
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
  };
}
