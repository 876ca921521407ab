/**
 * `npm run bench`: the same load on PostgreSQL itself, on PgBouncer in session mode (when installed) and on Postern with
 * full recording, interleaved in one run. Prints throughput, ratios, and CPU microseconds a statement from /proc.
 * Options: --seconds N a measurement (4), --rounds N (3), --warm N seconds of load before (10: V8 compiles for about as long
 * under a load that is new to it), --durability process|disk|strict (process), --only NAME.
 */
import type { ChildProcess } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { startCluster } from "../test/support/cluster.ts";
import { cpuSeconds, findProgram, freePort, listening, residentMiB, run, start, stop } from "./processes.ts";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    warm: { type: "string", default: "10" },
    durability: { type: "string", default: "process" },
    only: { type: "string" },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const warm = Number(options.warm);

interface Target {
  readonly name: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string;
  readonly pid: number | null;
}

const pgbench = findProgram("pgbench");
const psql = findProgram("psql");
const pgbouncer = findProgram("pgbouncer");
if (pgbench === null || psql === null) {
  console.error("bench needs pgbench and psql (Debian: apt-get install postgresql postgresql-client).");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "postern-bench-"));
chmodSync(folder, 0o755);
const children: ChildProcess[] = [];
const cluster = await startCluster({ conf: { shared_buffers: "256MB", max_connections: "100" } });

try {
  const database = await cluster.createDatabase("bench");
  await cluster.query(database, "create role bench login password 'bench' superuser");
  const env = { PGPASSWORD: "bench", PGSSLMODE: "disable" };
  console.log("Filling the database ...");
  run(
    pgbench,
    ["-h", "127.0.0.1", "-p", String(cluster.port), "-U", "bench", "-i", "-q", "-s", "5", database],
    env,
  );
  await cluster.query(
    database,
    "create table wide as select g as id, md5(g::text) as name, md5((g * 7)::text) as email, g * 1.5 as amount, now() as at, g % 2 = 0 as flag, 'note ' || g as note from generate_series(1, 500000) g",
  );
  await cluster.query(database, "vacuum analyze");

  const targets: Target[] = [
    { name: "direct", port: cluster.port, user: "bench", database, password: "bench", pid: null },
  ];
  if (pgbouncer !== null) targets.push(await startPgBouncer(database));
  targets.push(await startPipe(database));
  const postern = await startPostern(database);
  targets.push(postern);
  console.log(`resident memory of postern at rest: ${residentMiB(postern.pid ?? 0).toFixed(0)} MiB`);

  const only = options.only;
  const wanted = (name: string) => only === undefined || name.includes(only);
  for (const mode of ["simple", "prepared"]) {
    for (const clients of [1, 8]) {
      const name = `select-only, ${mode}, ${clients} client${clients === 1 ? "" : "s"}`;
      if (wanted(name)) compare(name, targets, (target, span) => select(target, mode, clients, span));
    }
  }
  if (wanted("connect"))
    compare("connect, select, disconnect, 4 clients", targets, (target, span) =>
      select(target, "simple", 4, span, ["-C"]),
    );
  if (wanted("rows")) compareRows(targets);
  for (const target of targets) {
    if (target.pid !== null)
      console.log(`resident memory of ${target.name} at the end: ${residentMiB(target.pid).toFixed(0)} MiB`);
  }
} finally {
  for (const child of children) await stop(child);
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}

interface Measured {
  readonly perSecond: number;
  /** CPU microseconds a statement; null for the server itself. */
  readonly cpu: number | null;
}

/** One measurement with pgbench, of `span` seconds. */
function select(
  target: Target,
  mode: string,
  clients: number,
  span: number,
  extra: readonly string[] = [],
): Measured {
  const before = target.pid === null ? 0 : cpuSeconds(target.pid);
  const out = run(
    pgbench as string,
    [
      "-h",
      "127.0.0.1",
      "-p",
      String(target.port),
      "-U",
      target.user,
      "-n",
      "-S",
      "-M",
      mode,
      "-c",
      String(clients),
      "-j",
      "1",
      "-T",
      String(span),
      ...extra,
      target.database,
    ],
    { PGPASSWORD: target.password, PGSSLMODE: "disable" },
  );
  const transactions = Number(/actually processed: (\d+)/.exec(out)?.[1]);
  const tps = Number(/tps = ([\d.]+)/.exec(out)?.[1]);
  const cpu = target.pid === null ? null : ((cpuSeconds(target.pid) - before) * 1e6) / transactions;
  return { perSecond: tps, cpu };
}

/** Interleaves the targets, behind a round that warms them up and does not count; prints the median of the rounds and the ratios. */
function compare(
  name: string,
  all: readonly Target[],
  measure: (target: Target, seconds: number) => Measured,
): void {
  const results = new Map<string, Measured[]>(all.map((t) => [t.name, []]));
  if (warm > 0) for (const target of all) measure(target, warm);
  for (let round = 0; round < rounds; round++) {
    for (const target of all) results.get(target.name)?.push(measure(target, seconds));
  }
  console.log(`\n${name}`);
  const bouncer = results.get("pgbouncer");
  for (const target of all) {
    const got = results.get(target.name) ?? [];
    const tps = median(got.map((m) => m.perSecond));
    const cpu = target.pid === null ? null : median(got.map((m) => m.cpu ?? 0));
    let line = `  ${target.name.padEnd(10)} ${tps.toFixed(0).padStart(7)}/s`;
    if (cpu !== null) line += `  ${cpu.toFixed(1).padStart(6)} us CPU a statement`;
    if (target.name === "postern" && bouncer !== undefined) {
      line += `   = ${(tps / median(bouncer.map((m) => m.perSecond))).toFixed(2)} x PgBouncer's throughput, `;
      line += `${((cpu ?? 0) / median(bouncer.map((m) => m.cpu ?? 0))).toFixed(2)} x its CPU`;
    }
    console.log(line);
  }
}

/** Reads 500,000 rows with psql. */
function compareRows(all: readonly Target[]): void {
  const wall = new Map<string, number[]>(all.map((t) => [t.name, []]));
  const cpu = new Map<string, number[]>(all.map((t) => [t.name, []]));
  for (let round = 0; round < Math.max(rounds, 3); round++) {
    for (const target of all) {
      const before = target.pid === null ? 0 : cpuSeconds(target.pid);
      const began = performance.now();
      run(
        psql as string,
        [
          "-h",
          "127.0.0.1",
          "-p",
          String(target.port),
          "-U",
          target.user,
          "-X",
          "-At",
          "-o",
          "/dev/null",
          "-c",
          "select * from wide",
          target.database,
        ],
        { PGPASSWORD: target.password, PGSSLMODE: "disable" },
      );
      wall.get(target.name)?.push(performance.now() - began);
      if (target.pid !== null) cpu.get(target.name)?.push(cpuSeconds(target.pid) - before);
    }
  }
  console.log("\nselect of 500,000 rows with psql");
  const direct = median(wall.get("direct") ?? []);
  for (const target of all) {
    const ms = median(wall.get(target.name) ?? []);
    let line = `  ${target.name.padEnd(10)} ${ms.toFixed(0).padStart(7)} ms   = ${(ms / direct).toFixed(2)} x direct`;
    if (target.pid !== null)
      line += `   ${(median(cpu.get(target.name) ?? []) * 1000).toFixed(0)} ms CPU, ${residentMiB(target.pid).toFixed(0)} MiB resident`;
    console.log(line);
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function startPgBouncer(database: string): Promise<Target> {
  const port = await freePort();
  const users = join(folder, "users.txt");
  const ini = join(folder, "pgbouncer.ini");
  writeFileSync(users, '"bench" "bench"\n', { mode: 0o644 });
  writeFileSync(
    ini,
    `[databases]
${database} = host=127.0.0.1 port=${cluster.port} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = session
default_pool_size = 50
max_client_conn = 200
`,
    { mode: 0o644 },
  );
  const uid = process.getuid?.() === 0 ? { uid: 65534 } : {};
  const child = start(pgbouncer as string, ["-q", ini], uid);
  children.push(child);
  await listening(port, child);
  return { name: "pgbouncer", port, user: "bench", database, password: "bench", pid: child.pid ?? null };
}

async function startPipe(database: string): Promise<Target> {
  const port = await freePort();
  const child = start(process.execPath, [
    join(import.meta.dirname, "pipe.ts"),
    String(port),
    String(cluster.port),
  ]);
  children.push(child);
  await listening(port, child);
  return { name: "node pipe", port, user: "bench", database, password: "bench", pid: child.pid ?? null };
}

/** Builds the package as it is published, beside the other files of the run: that is what users run. Gives its program. */
function build(): string {
  const root = join(import.meta.dirname, "..");
  const built = join(folder, "package");
  mkdirSync(built);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  run(
    process.execPath,
    [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", join(built, "dist"), "--declaration", "false"],
    {},
  );
  cpSync(join(root, "bin"), join(built, "bin"), { recursive: true });
  cpSync(join(root, "package.json"), join(built, "package.json"));
  symlinkSync(join(root, "node_modules"), join(built, "node_modules"));
  return join(built, "bin/postern.js");
}

async function startPostern(database: string): Promise<Target> {
  const port = await freePort();
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "bench", alg: "ES256", use: "sig" };
  writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [jwk] }));
  mkdirSync(join(folder, "data"));
  writeFileSync(
    join(folder, "postern.yaml"),
    `version: 1
listen:
  postgres: 127.0.0.1:${port}
identity:
  providers:
    - name: bench
      type: oidc
      issuer: https://idp.example.com
      audience: postern
      jwks: file:./jwks.json
databases:
  - name: ${database}
    server: { host: 127.0.0.1, port: ${cluster.port}, dbname: ${database}, tls: { mode: disable } }
    logins:
      - groups: [bench]
        user: bench
        password: { env: BENCH_PASSWORD }
audit:
  dir: ./data/audit
  durability: ${options.durability}
limits: { connections_per_principal: 100 }
`,
  );
  const bin = build();
  const flags = (process.env.BENCH_NODE_FLAGS ?? "").split(" ").filter((flag) => flag !== "");
  const child = start(process.execPath, [...flags, bin, "serve", "-c", join(folder, "postern.yaml")], {
    env: { ...process.env, BENCH_PASSWORD: "bench", POSTERN_LOG: "error" },
  });
  children.push(child);
  await listening(port, child);
  const token = await new SignJWT({ groups: ["bench"], client_id: "bench" })
    .setProtectedHeader({ alg: "ES256", kid: "bench", typ: "at+jwt" })
    .setIssuer("https://idp.example.com")
    .setAudience("postern")
    .setSubject("bench-agent")
    .setIssuedAt()
    .setExpirationTime("2h")
    .sign(privateKey);
  return { name: "postern", port, user: "anyone", database, password: token, pid: child.pid ?? null };
}
