/**
 * Real PostgreSQL servers for tests: `startCluster()` for a server of one's own, `sharedCluster()` for suites that only
 * need a database in a common one. Each server listens on 127.0.0.1 and on a Unix socket, in a private folder that is
 * gone after `stop()`, after the process ends, and even after the process is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { binaries } from "./binaries.ts";
import { type Guard, guard, privateFolder, run, writeAsServer } from "./processes.ts";

export interface Database {
  readonly host: string;
  readonly port: number;
  /** Folder of the Unix socket `.s.PGSQL.<port>`. */
  readonly socketDir: string;
  readonly superuser: "postgres";
  readonly password: string;
  /** A connection URL over TCP; the default user is the superuser with its password. */
  url(database?: string, user?: string, password?: string): string;
  /** Creates an empty database, with a random name unless one is given. */
  createDatabase(name?: string): Promise<string>;
  /** Drops a database, ending its sessions. */
  dropDatabase(name: string): Promise<void>;
  /** Runs SQL as superuser over the Unix socket on a connection of its own; the rows of the last statement. */
  query(database: string, sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** The server's log so far. */
  log(): Promise<string>;
}

export interface Cluster extends Database {
  readonly dataDir: string;
  /** Stops the server, keeping its data: "smart" waits for clients to leave (and returns at once), "fast" ends them, "immediate" is a crash. */
  halt(mode: "smart" | "fast" | "immediate"): Promise<void>;
  /** Starts it again on the same port; `wait: false` returns before it accepts connections. */
  resume(options?: { wait?: boolean }): Promise<void>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** Lines of postgresql.conf. */
  readonly conf?: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf, behind one that lets the superuser in over the Unix socket. */
  readonly hba?: readonly string[];
  /** PEM texts; turns `ssl` on. `ca` is what client certificates are checked against. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

/** A data folder fresh from initdb (it takes seconds), copied for each server. */
export interface Template {
  readonly dataDir: string;
  readonly password: string;
}

const signals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
const defaultConf = {
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "32MB",
  max_connections: "60",
  io_method: "sync",
  listen_addresses: "'127.0.0.1'",
  log_line_prefix: "'%m [%p] %q%u@%d '",
};
const defaultHba = ["local all all scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256"];

/** Starts a server of its own; rejects with the server's log when it does not come up. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const broker = process.env.POSTERN_TEST_BROKER;
  return startFrom(
    broker === undefined ? await localTemplate() : await ask<Template>(broker, "template"),
    options,
  );
}

/** The server that all suites of one vitest run share (started at first use, stopped by the global set-up). */
export async function sharedCluster(): Promise<Database> {
  const broker = process.env.POSTERN_TEST_BROKER;
  if (broker === undefined)
    throw new Error("sharedCluster() works under vitest only (test/support/global.ts)");
  const { port, folder, password } = await ask<{ port: number; folder: string; password: string }>(
    broker,
    "cluster",
  );
  return database(port, folder, password);
}

async function ask<T>(broker: string, what: string): Promise<T> {
  const answer = await fetch(`${broker}/${what}`);
  if (!answer.ok) throw new Error(`the shared PostgreSQL could not be started: ${await answer.text()}`);
  return (await answer.json()) as T;
}

let own: Promise<Template> | null = null;

/** Outside vitest: one initdb per process. */
function localTemplate(): Promise<Template> {
  own ??= privateFolder("postern-pgtpl-").then(async (folder) => {
    guard(null, folder);
    return initTemplate(folder);
  });
  return own;
}

/** Runs initdb inside an existing folder that belongs to the server's user. */
export async function initTemplate(folder: string): Promise<Template> {
  const { bin, major } = await binaries();
  const password = randomBytes(12).toString("hex");
  const dataDir = join(folder, "data");
  const pwfile = join(folder, "pw");
  await writeAsServer(pwfile, password);
  const builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const locale = ["--encoding=UTF8", ...(major >= 17 ? builtin : []), "--locale=C"];
  const auth = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${pwfile}`];
  await run(join(bin, "initdb"), ["--pgdata", dataDir, "--no-sync", ...locale, ...auth]);
  await rm(pwfile);
  return { dataDir, password };
}

/** Starts a server on a copy of a template. */
export async function startFrom(template: Template, options: ClusterOptions): Promise<Cluster> {
  const folder = await privateFolder("postern-pg-");
  try {
    const dataDir = join(folder, "data");
    await run("cp", ["-R", template.dataDir, dataDir]);
    await run("chmod", ["700", dataDir]);
    const hba = ["local all postgres trust", ...(options.hba ?? defaultHba)];
    await writeAsServer(join(dataDir, "pg_hba.conf"), `${hba.join("\n")}\n`);
    const { major } = await binaries();
    const conf: Record<string, string> = { ...defaultConf, unix_socket_directories: `'${folder}'` };
    if (options.tls !== undefined) {
      conf.ssl = "on";
      await writeAsServer(join(dataDir, "server.crt"), options.tls.cert);
      await writeAsServer(join(dataDir, "server.key"), options.tls.key);
      if (options.tls.ca !== undefined) {
        conf.ssl_ca_file = "'root.crt'";
        await writeAsServer(join(dataDir, "root.crt"), options.tls.ca);
      }
    }
    Object.assign(conf, options.conf);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      if (major < 18) delete conf.io_method;
      const lines = Object.entries({ ...conf, port: String(port) }).map(
        ([name, value]) => `${name} = ${value}\n`,
      );
      await writeAsServer(join(dataDir, "postgresql.auto.conf"), lines.join(""));
      try {
        return await launch(folder, port, template.password);
      } catch (error) {
        // Somebody may have taken the port since we looked.
        if (attempt === 5 || !String(error).includes("Address already in use")) throw error;
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function launch(folder: string, port: number, password: string): Promise<Cluster> {
  const dataDir = join(folder, "data");
  const { bin, owner } = await binaries();
  let child: ChildProcess | null = null;
  let exited: Promise<unknown> = Promise.resolve();
  let watch: Guard | null = null;

  async function resume({ wait = true } = {}): Promise<void> {
    const log = await open(join(folder, "log"), "a");
    // Detached: Ctrl-C at the terminal is for the test runner, which then stops us in order.
    const started = spawn(join(bin, "postgres"), ["-D", dataDir], {
      stdio: ["ignore", log.fd, log.fd],
      detached: true,
      cwd: folder,
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
      ...owner,
    });
    child = started;
    exited = once(started, "exit");
    watch = guard(started.pid ?? null, folder);
    await log.close();
    if (!wait) return;
    // The eighth line of postmaster.pid is what pg_ctl waits for, too.
    for (;;) {
      const status = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => "");
      if (status.split("\n")[7]?.trim() === "ready") return;
      if (started.exitCode !== null || started.signalCode !== null) {
        watch.dismiss();
        throw new Error(`PostgreSQL did not start:\n${await readFile(join(folder, "log"), "utf8")}`);
      }
      await sleep(20);
    }
  }

  async function halt(mode: keyof typeof signals): Promise<void> {
    child?.kill(signals[mode]);
    if (mode === "smart") return;
    const late = setTimeout(() => child?.kill("SIGQUIT"), 10_000);
    await exited;
    clearTimeout(late);
    watch?.dismiss();
    child = null;
  }

  async function stop(): Promise<void> {
    if (child !== null) await halt("fast");
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  await resume();
  return { ...database(port, folder, password), dataDir, halt, resume, stop };
}

function database(port: number, folder: string, password: string): Database {
  async function query(
    name: string,
    sql: string,
    values?: readonly unknown[],
  ): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ host: folder, port, user: "postgres", database: name });
    // The server may end this connection (halt) after its work is done.
    client.on("error", () => undefined);
    await client.connect();
    try {
      const result: unknown = await client.query(sql, values === undefined ? undefined : [...values]);
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Record<string, unknown>[] };
      return last.rows;
    } finally {
      await client.end();
    }
  }
  return {
    host: "127.0.0.1",
    port,
    socketDir: folder,
    superuser: "postgres",
    password,
    url(name = "postgres", user = "postgres", secret = user === "postgres" ? password : "") {
      const login = encodeURIComponent(user) + (secret === "" ? "" : `:${encodeURIComponent(secret)}`);
      return `postgres://${login}@127.0.0.1:${port}/${encodeURIComponent(name)}`;
    },
    async createDatabase(name = `test_${randomBytes(6).toString("hex")}`) {
      await query("postgres", `create database ${pg.escapeIdentifier(name)}`);
      return name;
    },
    async dropDatabase(name) {
      await query("postgres", `drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
    },
    query,
    log: () => readFile(join(folder, "log"), "utf8"),
  };
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
