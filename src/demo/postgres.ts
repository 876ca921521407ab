/** A real PostgreSQL for the demo: its own cluster, on loopback only, with a password nobody else knows. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DemoError, loadPostgresPrograms } from "./packages.ts";
import { type DemoState, freePort } from "./state.ts";
import { canEnter, type OsUser, postgresUser } from "./user.ts";

export interface DemoPostgres {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** e.g. "18.4". */
  readonly version: string;
  /** The folder of the cluster. */
  readonly folder: string;
  /** Resolves when the process is gone, asked to or not. */
  readonly gone: Promise<void>;
  /** Ends it with a fast shutdown; resolves when the process is gone. */
  stop(): Promise<void>;
}

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

/**
 * Starts the demo's PostgreSQL, making its cluster first when there is none (a few seconds).
 * `say` gets lines of progress. Throws DemoError with the end of the server's log when it does not come up.
 */
export async function startPostgres(state: DemoState, say: (line: string) => void): Promise<DemoPostgres> {
  const installed = await loadPostgresPrograms();
  const user = postgresUser();
  const folder = clusterFolder(state, user, say);
  const programs = reachablePrograms(installed, folder, user);
  const version = /(\d+[.\d]*)/.exec(await run(programs.postgres, ["--version"], user))?.[1] ?? "";
  const password = state.secret("postgres_superuser").value;
  const data = join(folder, "data");
  if (existsSync(join(data, "PG_VERSION"))) await stopLeftover(programs, data, user, say);
  else {
    say(`creating a PostgreSQL ${version} cluster in ${folder} (once, a few seconds)`);
    await createCluster(programs, folder, password, user);
  }
  const port = await freePort(0);
  const log = join(state.dir, "postgres.log");
  const child = spawnServer(programs, data, port, log, user);
  // A crash of the demo must not leave a server behind; SIGINT is PostgreSQL's fast shutdown.
  const atExit = () => void child.kill("SIGINT");
  process.once("exit", atExit);
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    await untilListening(child, port);
  } catch (error) {
    atExit();
    await gone;
    process.off("exit", atExit);
    throw new DemoError(`PostgreSQL did not start (${message(error)}). The end of ${log}:\n${tail(log)}`);
  }
  return {
    host: "127.0.0.1",
    port,
    user: "postgres",
    password,
    version,
    folder,
    gone,
    async stop() {
      if (process.platform === "win32")
        await run(programs.pgCtl, ["stop", "-D", data, "-m", "fast"], null).catch(() => child.kill());
      else child.kill("SIGINT");
      const patience = setTimeout(() => child.kill("SIGQUIT"), 15_000);
      await gone;
      clearTimeout(patience);
      process.off("exit", atExit);
    },
  };
}

/** Where the cluster lies: in the state folder when the database's OS user can enter it, else in a temporary one, remembered. */
function clusterFolder(state: DemoState, user: OsUser | null, say: (line: string) => void): string {
  if (user === null || canEnter(state.dir, user)) {
    const folder = join(state.dir, "postgres");
    mkdirSync(folder, { recursive: true });
    give(folder, user);
    return folder;
  }
  const known = state.read("postgres-folder")?.trim() ?? "";
  if (known !== "" && existsSync(known) && statSync(known).uid === user.uid && canEnter(dirname(known), user))
    return known;
  const folder = mkdtempSync(join(tmpdir(), "postern-demo-postgres-"));
  give(folder, user);
  if (!canEnter(dirname(folder), user))
    throw new DemoError(
      `PostgreSQL runs as ${user.name}, who can enter neither ${state.dir} nor ${tmpdir()}`,
    );
  state.write("postgres-folder", `${folder}\n`);
  say(
    `PostgreSQL does not run as root; it runs as ${user.name}, who cannot enter ${state.dir}: its data is in ${folder}`,
  );
  return folder;
}

function give(folder: string, user: OsUser | null): void {
  chmodSync(folder, 0o700);
  if (user !== null) chownSync(folder, user.uid, user.gid);
}

/** The installed programs, or a copy of them when their folder (say under /root) is closed to the database's OS user. */
function reachablePrograms(programs: Programs, folder: string, user: OsUser | null): Programs {
  for (const program of Object.values(programs) as string[]) {
    if ((statSync(program).mode & 0o111) !== 0o111) chmodSync(program, 0o755);
  }
  const bin = dirname(programs.postgres);
  if (user === null || canEnter(bin, user)) return programs;
  const copy = join(folder, "programs");
  if (!existsSync(copy)) {
    cpSync(dirname(bin), `${copy}.new`, { recursive: true, verbatimSymlinks: true });
    chmodSync(`${copy}.new`, 0o755);
    renameSync(`${copy}.new`, copy);
  }
  const at = (program: string) => join(copy, program.slice(dirname(bin).length));
  return { initdb: at(programs.initdb), postgres: at(programs.postgres), pgCtl: at(programs.pgCtl) };
}

async function createCluster(
  programs: Programs,
  folder: string,
  password: string,
  user: OsUser | null,
): Promise<void> {
  const fresh = join(folder, "data.new");
  rmSync(fresh, { recursive: true, force: true });
  const pwfile = join(folder, `pw-${randomBytes(6).toString("hex")}`);
  writeFileSync(pwfile, password, { mode: 0o600 });
  if (user !== null) chownSync(pwfile, user.uid, user.gid);
  try {
    const options = [
      "-U",
      "postgres",
      "-E",
      "UTF8",
      "--no-locale",
      "-A",
      "scram-sha-256",
      "--no-sync",
      "--no-instructions",
    ];
    await run(programs.initdb, ["-D", fresh, "--pwfile", pwfile, ...options], user);
    // Renamed only when whole: an interrupted initdb leaves nothing that looks like a cluster.
    renameSync(fresh, join(folder, "data"));
  } finally {
    rmSync(pwfile, { force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

function spawnServer(
  programs: Programs,
  data: string,
  port: number,
  log: string,
  user: OsUser | null,
): ChildProcess {
  const output = openSync(log, "w", 0o600);
  const options = [
    "-p",
    String(port),
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    "unix_socket_directories=",
    "-c",
    "max_connections=200",
  ];
  try {
    return spawn(programs.postgres, ["-D", data, ...options], {
      ...identity(user),
      cwd: dirname(data),
      env: environment(),
      stdio: ["ignore", output, output],
      windowsHide: true,
      // Its own process group: Ctrl-C at the terminal reaches only the demo, which then stops things in order.
      detached: process.platform !== "win32",
    });
  } finally {
    closeSync(output);
  }
}

/** A server that outlived a killed demo still serves this cluster: end it, the folder's lock says no demo uses it. */
async function stopLeftover(
  programs: Programs,
  data: string,
  user: OsUser | null,
  say: (line: string) => void,
): Promise<void> {
  const pidFile = join(data, "postmaster.pid");
  if (!existsSync(pidFile)) return;
  const port = Number(readFileSync(pidFile, "utf8").split("\n")[3]);
  if (!(port > 0) || !(await accepts(port))) return;
  say("stopping the PostgreSQL that an earlier demo left running");
  await run(programs.pgCtl, ["stop", "-D", data, "-m", "fast", "-t", "20"], user);
}

/** Resolves when the port answers; rejects when the process ends or a minute has passed. */
async function untilListening(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | null = null;
  child.once("error", (error) => {
    failure = error;
  });
  child.once("exit", (code, signal) => {
    failure ??= new Error(`it ended with ${code ?? signal}`);
  });
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    if (failure !== null) throw failure;
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not listen within 60 s");
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Runs a program to its end and gives its output. Throws DemoError with the last lines it wrote when it fails. */
function run(program: string, args: readonly string[], user: OsUser | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...identity(user),
      cwd: dirname(program),
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.once("error", (error) => reject(new DemoError(`${program} does not run: ${message(error)}`)));
    child.once("close", (code) => {
      if (code === 0) resolve(output);
      else
        reject(
          new DemoError(`${program} failed (${code}):\n${output.trimEnd().split("\n").slice(-8).join("\n")}`),
        );
    });
  });
}

function identity(user: OsUser | null): { uid?: number; gid?: number } {
  return user === null ? {} : { uid: user.uid, gid: user.gid };
}

/** This process's environment without the PG* settings that would change what PostgreSQL's programs do. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|POSTGRES)/i.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

function tail(file: string): string {
  return existsSync(file)
    ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n")
    : "(nothing)";
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
