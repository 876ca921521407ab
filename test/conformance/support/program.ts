/** Running client programs. */
import { spawn } from "node:child_process";
import { user, type Way } from "./servers.ts";

export interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Seconds; then the program is killed and `code` is null. */
  readonly limit?: number;
  /** Runs beside the program, with the means to signal it. */
  readonly meanwhile?: (signal: (name: NodeJS.Signals) => void) => Promise<void>;
}

/** What libpq and the drivers read to find the database. */
export function connectionEnv(way: Way, database: string): Record<string, string> {
  return {
    PGHOST: "127.0.0.1",
    PGPORT: String(way.port),
    PGUSER: user,
    PGPASSWORD: way.password,
    PGDATABASE: database,
    PGSSLMODE: way.tls ? "require" : "disable",
    PGCONNECT_TIMEOUT: "15",
  };
}

/** Runs a program to its end. Output is taken as Latin-1, so that every byte counts when it is compared. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Done> {
  const base: NodeJS.ProcessEnv = { LC_ALL: "C.UTF-8", TZ: "UTC", HOME: "/nonexistent" };
  base.PATH = process.env.PATH;
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...base, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => out.push(data));
  child.stderr.on("data", (data: Buffer) => err.push(data));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  let late = false;
  const timer = setTimeout(
    () => {
      late = true;
      child.kill("SIGKILL");
    },
    (options.limit ?? 120) * 1000,
  );
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [code] = await Promise.all([closed, options.meanwhile?.((name) => child.kill(name))]);
  clearTimeout(timer);
  const stderr = Buffer.concat(err).toString("latin1");
  return {
    code,
    stdout: Buffer.concat(out).toString("latin1"),
    stderr: late ? `${stderr}\n(killed after ${options.limit ?? 120} s)` : stderr,
  };
}
