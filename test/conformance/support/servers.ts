/**
 * Two equal PostgreSQL servers for one run: clients reach the first directly, the second through Postern (a process of
 * its own, started as an operator would). Two servers rather than two databases, so that database names, object
 * numbers and sequences are the same on both ways.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { freePort, listening, stop } from "../../../bench/processes.ts";
import { selfSigned } from "../../support/certificates.ts";
import { type Cluster, startCluster } from "../../support/cluster.ts";
import { startDebianCluster } from "./debian.ts";
import { type Coverage, covered, logPrefix, readServerLog } from "./serverlog.ts";
import { type Intent, readIntents, readTrail, type Trail } from "./trail.ts";

/** One way to a server, as clients are told of it. */
export interface Way {
  readonly name: "direct" | "postern";
  readonly port: number;
  readonly password: string;
  /** libpq's checks of certificates are not what is tested here. */
  readonly tls: boolean;
}

export interface Pair {
  /** "18.4": what server_version says. */
  readonly version: string;
  readonly direct: Way;
  readonly postern: Way;
  /** Around the gateway to the server behind it. */
  readonly around: Way;
  /** The same gateway configuration with `protocol.function_call: false`. */
  readonly closed: Way;
  readonly servers: { readonly direct: Query; readonly postern: Query };
  /** Ends the gateways and checks the first one's audit log. */
  verify(): Promise<Verified>;
  stop(): Promise<void>;
}

export interface Verified {
  /** Whether `postern audit verify` was content, and what it said. */
  readonly ok: boolean;
  readonly said: string;
  readonly trail: Trail;
  readonly intents: readonly Intent[];
  /** Whether all that the server's log names has an intent; null where the server does not log statements. */
  readonly coverage: Coverage | null;
  /** Lines of the gateway's own log, from `warn` on. */
  readonly complaints: readonly string[];
}

/** Runs SQL as the server's superuser, around the gateway. */
export type Query = (database: string, sql: string) => Promise<Record<string, unknown>[]>;

/** The login of all clients, on both ways: a superuser, so that no test meets a limit of rights. */
export const user = "conformance";
/** One database for each suite. */
export const databases = [
  "psql",
  "dump",
  "restored",
  "pgbench",
  "node_postgres",
  "postgres_js",
  "psycopg2",
  "psycopg3",
  "asyncpg",
  "pgjdbc",
] as const;
export type DatabaseName = (typeof databases)[number] | "regression";

const password = "conformance";
const conf = { max_connections: "300", max_prepared_transactions: "10", wal_level: "logical" };
const bin = join(import.meta.dirname, "../../../bin/postern.js");

export interface PairSettings {
  /** Settings of the servers. */
  readonly servers: Readonly<Record<string, string>>;
  /** The server behind the gateway logs every statement, to be compared with the audit log. */
  readonly logStatements: boolean;
  /** What becomes of the gateway's connections after a session: `pool.reset`. */
  readonly reset: "discard_all" | "close";
}

/** Starts both servers and the gateways, under a policy's text if there is one; `debian`: of Debian's PostgreSQL in this folder, else of the one npm installed. */
export async function startPair(
  debian: string | null,
  policy: string | null,
  { servers = {}, reset = "discard_all", logStatements = false }: Partial<PairSettings> = {},
): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), "postern-conformance-"));
  const clusters: Started[] = [];
  const children: ChildProcess[] = [];
  const stopAll = async () => {
    for (const child of children) await stop(child);
    for (const cluster of clusters) await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const certificate = selfSigned();
    const start = (logs: Readonly<Record<string, string>>): Promise<Started> =>
      debian === null
        ? startCluster({ conf: { ...conf, ...servers, ...logs }, tls: certificate })
        : startDebianCluster(debian, { ...conf, ...servers, ...logs }, certificate);
    const logs = logStatements ? { log_statement: "all", log_line_prefix: logPrefix } : {};
    const [left, right] = await Promise.all([start({}), start(logs)]);
    clusters.push(left, right);
    for (const cluster of clusters) {
      await cluster.query("postgres", `create role ${user} login superuser password '${password}'`);
      for (const name of databases) await cluster.query("postgres", `create database ${name} owner ${user}`);
    }
    const [row] = await left.query("postgres", "show server_version");
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "conformance", alg: "ES256", use: "sig" };
    writeFileSync(join(folder, "server.crt"), certificate.cert);
    writeFileSync(join(folder, "server.key"), certificate.key, { mode: 0o600 });
    writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [jwk] }));
    const token = await new SignJWT({ groups: ["testers"], client_id: "conformance" })
      .setProtectedHeader({ alg: "ES256", kid: "conformance", typ: "at+jwt" })
      .setIssuer("https://idp.example.com")
      .setAudience("postern")
      .setSubject("tester")
      .setIssuedAt()
      .setExpirationTime("2h")
      .sign(privateKey);
    const gateway = async (name: string, functionCall: boolean): Promise<Way> => {
      const port = await startGateway(join(folder, name), right.port, functionCall, policy, reset, children);
      return { name: "postern", port, password: token, tls: false };
    };
    return {
      version: String(row?.server_version).split(" ")[0] ?? "",
      direct: { name: "direct", port: left.port, password, tls: false },
      around: { name: "direct", port: right.port, password, tls: false },
      postern: await gateway("open", true),
      closed: await gateway("closed", false),
      servers: { direct: left.query, postern: right.query },
      async verify() {
        for (const child of children.splice(0)) await stop(child);
        const log = join(folder, "open", "audit");
        const intents = readIntents(log, join(folder, "open", "keys"));
        const statements =
          logStatements && right.logFile !== undefined ? readFileSync(right.logFile, "utf8") : null;
        const complaints = ["open", "closed"]
          .flatMap((name) => readFileSync(join(folder, name, "gateway.log"), "utf8").split("\n"))
          .filter((line) => line !== "" && !/^\{"level":"(trace|debug|info)"/.test(line))
          // The suites' database is dropped and made again while the gateway serves it.
          .filter((line) => !(line.includes("cannot be refreshed") && line.includes("SQLSTATE 3D000")))
          // All clients are superusers here.
          .filter((line) => !line.includes("the login may read protected columns in the database itself"));
        return {
          ...(await verifyLog(log)),
          trail: readTrail(log),
          intents,
          coverage: statements === null ? null : covered(readServerLog(statements), intents),
          complaints,
        };
      },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

type Started = Pick<Cluster, "port" | "query" | "stop"> & { readonly logFile?: string };

async function startGateway(
  folder: string,
  serverPort: number,
  functionCall: boolean,
  policy: string | null,
  reset: PairSettings["reset"],
  children: ChildProcess[],
): Promise<number> {
  const port = await freePort();
  mkdirSync(folder);
  const database = (name: string) => `  - name: ${name}
    server: { host: 127.0.0.1, port: ${serverPort}, dbname: ${name}, tls: { mode: disable } }
    logins:
      - { groups: [testers], user: ${user}, password: { env: CONFORMANCE_PASSWORD } }
    pool: { reset: ${reset} }
`;
  writeFileSync(
    join(folder, "postern.yaml"),
    `version: 1
listen:
  postgres: 127.0.0.1:${port}
tls: { cert: ../server.crt, key: ../server.key }
identity:
  providers:
    - name: conformance
      type: oidc
      issuer: https://idp.example.com
      audience: postern
      jwks: file:../jwks.json
databases:
${["postgres", "regression", ...databases].map(database).join("")}audit:
  dir: ./audit
  durability: process
protocol: { function_call: ${functionCall} }
limits: { connections_per_principal: 100 }
${policy === null ? "" : "policy: policy.yaml\n"}`,
  );
  if (policy !== null) writeFileSync(join(folder, "policy.yaml"), policy);
  const log = openSync(join(folder, "gateway.log"), "w");
  const child = spawn(process.execPath, [bin, "serve", "-c", join(folder, "postern.yaml")], {
    stdio: ["ignore", log, "inherit"],
    env: {
      ...process.env,
      CONFORMANCE_PASSWORD: password,
      POSTERN_LOG: process.env.CONFORMANCE_LOG ?? "warn",
    },
  });
  closeSync(log);
  children.push(child);
  await listening(port, child);
  return port;
}

/** `postern audit verify`, run on the log of a gateway that has ended. */
async function verifyLog(log: string): Promise<{ ok: boolean; said: string }> {
  const child = spawn(process.execPath, [bin, "audit", "verify", log], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    said += data.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { ok: code === 0, said: said.trim() };
}

/** Folder of Debian's PostgreSQL server of a major version; null when it is not installed. */
export function debianFolder(major: string): string | null {
  const folder = `/usr/lib/postgresql/${major}/bin`;
  return existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")) ? folder : null;
}

/** The name of this machine's distribution. */
export function distribution(): string {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^PRETTY_NAME="(.*)"$/m.exec(text)?.[1] ?? process.platform;
}
