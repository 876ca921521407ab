import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(import.meta.dirname, "../../bin/postern.js");

/** For the environment of programs that tests start: what Node has compiled once is compiled (test/support/global.ts). */
export const compileCache = { NODE_COMPILE_CACHE: process.env.POSTERN_TEST_COMPILE_CACHE };

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  /** What was printed so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the text so far once stdout matches; rejects when the process ends first. */
  printed(pattern: RegExp): Promise<string>;
  readonly ended: Promise<Ran>;
}

/** Starts bin/postern.js. Only `env`, PATH and Node's compile cache are in its environment. */
export function startPostern(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; descriptors?: number } = {},
): Started {
  const { descriptors } = options;
  const command = [process.execPath, program, ...args];
  // The limit of open files is what a process was started with.
  const limited = ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command];
  const [file = "", ...rest] = descriptors === undefined ? command : limited;
  const child = spawn(file, rest, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env.PATH, ...compileCache, ...options.env },
  });
  let stdout = "";
  let stderr = "";
  let wake = () => {};
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    wake();
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const ended = new Promise<Ran>((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => {
      done({ code, stdout, stderr });
      wake();
    });
  });
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    printed: (pattern) =>
      new Promise((done, fail) => {
        wake = () => {
          if (pattern.test(stdout)) done(stdout);
          else if (child.exitCode !== null)
            fail(new Error(`ended with ${child.exitCode} before it printed ${pattern}:\n${stdout}${stderr}`));
        };
        wake();
      }),
  };
}

/** Runs bin/postern.js to its end. */
export function postern(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return startPostern(args, options).ended;
}

/** A folder of its own that `remove` takes away. */
export function folder(): { path: string; write(name: string, text: string): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "postern-cli-"));
  return {
    path,
    write(name, text) {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
