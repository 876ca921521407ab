/** Sessions of real drivers, driven alike: what a person's program would do with a statement that waits. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import postgres from "postgres";
import { findProgram } from "../../bench/processes.ts";
import { encodeCancelRequest } from "../../src/protocol/index.ts";
import { runProgram } from "../conformance/support/program.ts";
import type { TestPostern } from "../support/postern.ts";

export interface Outcome {
  /** null: it succeeded. "08": the connection is gone, however the driver calls that. */
  readonly sqlstate: string | null;
  readonly message: string;
}

export interface DriverSession {
  run(sql: string, values?: readonly number[]): Promise<Outcome>;
  begin(): Promise<Outcome>;
  commit(): Promise<Outcome>;
  rollback(): Promise<Outcome>;
  /** Several statements at once, as the driver does that: a pipeline, a batch, or one text. */
  together(statements: readonly string[]): Promise<Outcome>;
  cancel(): Promise<void>;
  /** Dies without a word. */
  kill(): void;
  end(): Promise<void>;
}

export interface Driver {
  readonly name: string;
  /** null: it is there; else what would have to be installed. */
  readonly missing: string | null;
  /** The session goes on behind a cancelled statement. */
  readonly survivesCancel: boolean;
  open(postern: TestPostern, token: string): Promise<DriverSession>;
}

const fine: Outcome = { sqlstate: null, message: "" };

function failed(error: unknown): Outcome {
  const code =
    typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
      ? error.code
      : "";
  const message = error instanceof Error ? error.message : String(error);
  return { sqlstate: /^[0-9A-Z]{5}$/.test(code) && code !== "EPIPE" ? code : "08", message };
}

const outcome = (work: Promise<unknown>): Promise<Outcome> => work.then(() => fine, failed);

function settings(postern: TestPostern, token: string) {
  return { host: postern.host, port: postern.port, user: "anyone", password: token, database: "shop" };
}

const nodePostgres: Driver = {
  name: "node-postgres",
  missing: null,
  survivesCancel: true,
  async open(postern, token) {
    const client = new pg.Client(settings(postern, token));
    client.on("error", () => undefined);
    await client.connect();
    const run = (sql: string, values?: readonly number[]) =>
      outcome(
        client.query(values === undefined ? sql : { name: sql.slice(0, 60), text: sql, values: [...values] }),
      );
    return {
      run,
      begin: () => run("begin"),
      commit: () => run("commit"),
      rollback: () => run("rollback"),
      together: (statements) => run(statements.join("; ")),
      async cancel() {
        const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
        const key = Buffer.alloc(4);
        key.writeInt32BE(secretKey);
        const socket = net.connect({ host: postern.host, port: postern.port });
        socket.end(encodeCancelRequest(processID, key));
        await once(socket, "close");
      },
      kill() {
        (client as unknown as { connection: { stream: net.Socket } }).connection.stream.destroy();
      },
      end: () => client.end().catch(() => undefined),
    };
  },
};

const postgresJs: Driver = {
  name: "postgres.js",
  missing: null,
  survivesCancel: true,
  async open(postern, token) {
    const { user: username, ...rest } = settings(postern, token);
    const sql = postgres({ ...rest, username, max: 1, onnotice: () => undefined, connect_timeout: 10 });
    await sql`select 1`;
    const held = await sql.reserve();
    let last: { cancel(): void } | null = null;
    const run = (text: string, values?: readonly number[]) => {
      const query = held.unsafe(text, values === undefined ? [] : [...values], { prepare: true });
      last = query;
      return outcome(query);
    };
    let free = false;
    return {
      run,
      begin: () => run("begin"),
      commit: () => run("commit"),
      rollback: () => run("rollback"),
      async together(statements) {
        const all = await Promise.all(statements.map((one) => run(one)));
        return all.find(({ sqlstate }) => sqlstate !== null) ?? fine;
      },
      async cancel() {
        last?.cancel();
      },
      kill() {
        void sql.end({ timeout: 0 });
      },
      async end() {
        // It waits for connections that are reserved.
        if (!free) held.release();
        free = true;
        await sql.end({ timeout: 1 });
      },
    };
  },
};

/** A program that is driven by lines. */
async function byLines(
  postern: TestPostern,
  token: string,
  command: string,
  args: readonly string[],
): Promise<DriverSession> {
  const child = start(postern, token, command, args);
  const waiting = new Map<string, (said: Outcome) => void>();
  let number = 0;
  let over = false;
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const [id = "", word, sqlstate = "", ...rest] = line.split(" ");
    const state = /^[0-9A-Z]{5}$/.test(sqlstate) && !sqlstate.startsWith("08") ? sqlstate : "08";
    waiting.get(id)?.(word === "ok" ? fine : { sqlstate: state, message: rest.join(" ") });
    waiting.delete(id);
  });
  child.on("exit", () => {
    over = true;
    for (const settle of waiting.values()) settle({ sqlstate: "08", message: "the program has ended" });
  });
  function say(op: string, ...texts: string[]): Promise<Outcome> {
    if (over) return Promise.resolve({ sqlstate: "08", message: "the program has ended" });
    const id = String(++number);
    child.stdin?.write(
      `${[id, op, ...texts.map((text) => Buffer.from(text).toString("base64"))].join(" ")}\n`,
    );
    return new Promise((resolve) => waiting.set(id, resolve));
  }
  return {
    run: (sql, values = []) => say("run", sql, ...values.map(String)),
    begin: () => say("begin"),
    commit: () => say("commit"),
    rollback: () => say("rollback"),
    together: (statements) => say("together", ...statements),
    cancel: async () => void (await say("cancel")),
    kill: () => void child.kill("SIGKILL"),
    end: () => ended(child, () => void say("end")),
  };
}

function start(postern: TestPostern, token: string, command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, {
    env: {
      PATH: process.env.PATH,
      LC_ALL: "C.UTF-8",
      PGHOST: postern.host,
      PGPORT: String(postern.port),
      PGUSER: "anyone",
      PGPASSWORD: token,
      PGDATABASE: "shop",
      PGSSLMODE: "disable",
    },
    stdio: ["pipe", "pipe", process.env.POSTERN_TEST_STDERR === undefined ? "ignore" : "inherit"],
  });
  child.stdin?.on("error", () => undefined);
  return child;
}

async function ended(child: ChildProcess, ask: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  ask();
  const limit = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await exit;
  clearTimeout(limit);
}

/** Values into a text: psql sends no parameters. */
const inPlace = (sql: string, values: readonly number[]) =>
  sql.replaceAll(/\?|\$(\d+)/g, (_, n: string | undefined) => String(values[Number(n ?? 1) - 1]));

const psqlProgram = findProgram("psql");
const psql: Driver = {
  name: "psql",
  missing: psqlProgram === null ? "postgresql-client" : null,
  // Not at a terminal psql ends its script there.
  survivesCancel: false,
  async open(postern, token) {
    const child = start(postern, token, psqlProgram ?? "psql", ["-X", "-q", "-A", "-t"]);
    const waiting: ((said: Outcome) => void)[] = [];
    let over = false;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const said = /^@@ (\S+)$/.exec(line);
      if (said === null) return;
      const [, state = ""] = said;
      waiting.shift()?.(state === "00000" ? fine : { sqlstate: state, message: "" });
    });
    child.on("exit", () => {
      over = true;
      for (const settle of waiting.splice(0)) settle({ sqlstate: "08", message: "psql has ended" });
    });
    const run = (sql: string, values: readonly number[] = []): Promise<Outcome> => {
      if (over) return Promise.resolve({ sqlstate: "08", message: "psql has ended" });
      child.stdin?.write(`${inPlace(sql, values)};\n\\echo @@ :SQLSTATE\n`);
      return new Promise((resolve) => waiting.push(resolve));
    };
    return {
      run,
      begin: () => run("begin"),
      commit: () => run("commit"),
      rollback: () => run("rollback"),
      together: (statements) => run(statements.join("\\; ")),
      cancel: async () => void child.kill("SIGINT"),
      kill: () => void child.kill("SIGKILL"),
      end: () => ended(child, () => void child.stdin?.end()),
    };
  },
};

const clients = join(import.meta.dirname, "clients");
const python = "/usr/bin/python3";
const jar = "/usr/share/java/postgresql.jar";
const java = existsSync(jar) ? findProgram("java") : null;
const psycopgThere = existsSync(python) && (await runProgram(python, ["-c", "import psycopg"])).code === 0;

const psycopg: Driver = {
  name: "psycopg 3",
  missing: psycopgThere ? null : "python3-psycopg",
  survivesCancel: true,
  open: (postern, token) => byLines(postern, token, python, ["-B", join(clients, "hold_psycopg.py")]),
};

const pgjdbc: Driver = {
  name: "pgjdbc",
  missing: java === null ? "libpostgresql-jdbc-java and a JDK" : null,
  survivesCancel: true,
  async open(postern, token) {
    compiled ??= compile(java ?? "java");
    const quick = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
    return byLines(postern, token, java ?? "java", [...quick, "-cp", `${jar}:${await compiled}`, "HoldJdbc"]);
  },
};

/** The folder of the Java client's class files: compiled once, not for each session. */
let compiled: Promise<string> | null = null;

async function compile(program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "postern-hold-"));
  const args = ["-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", jar, "-d", folder];
  const { code, stderr } = await runProgram(program, [...args, join(clients, "HoldJdbc.java")]);
  if (code !== 0) throw new Error(`HoldJdbc.java could not be compiled:\n${stderr}`);
  return folder;
}

/** Removes what the drivers needed. */
export async function cleanUp(): Promise<void> {
  if (compiled !== null) await rm(await compiled, { recursive: true, force: true });
}

export const drivers: readonly Driver[] = [nodePostgres, postgresJs, psql, psycopg, pgjdbc];
