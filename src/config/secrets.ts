/** Secrets by reference: read when they are needed, from the environment, a file or a program. */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { SecretSource } from "../facts/secret.ts";
import { FileFault, readText } from "./files.ts";
import type { SecretInput } from "./schema/scalars.ts";
import { SecretFault } from "./secretfault.ts";

export { SecretFault } from "./secretfault.ts";

const maxSecretBytes = 64 * 1024;
const commandTimeoutMs = 10_000;

/**
 * A source for what `input` names. `folder`: where relative paths start and programs run. `env` is read anew each time.
 * The source's read() rejects with SecretFault.
 */
export function secretSource(input: SecretInput, folder: string, env: NodeJS.ProcessEnv): SecretSource {
  if ("env" in input) return source(`env ${input.env}`, async () => fromEnv(input.env, env));
  if ("file" in input) return fileSecret(input.file, folder);
  const [program = "", ...args] = input.command;
  return source(`command ${program}`, () => fromCommand(program, args, folder, env));
}

/** The whole text of a file, e.g. a PEM private key. */
export function fileSecret(path: string, folder: string): SecretSource {
  return source(`file ${path}`, async () => {
    try {
      return await readText(resolve(folder, path), maxSecretBytes);
    } catch (error) {
      if (error instanceof FileFault) throw new SecretFault(`the file ${error.message}`);
      throw error;
    }
  });
}

function source(label: string, read: () => Promise<string>): SecretSource {
  return {
    label,
    async read() {
      const secret = (await read()).replace(/\r?\n$/, "");
      if (secret === "") throw new SecretFault(`${label}: it is empty`);
      if (secret.includes("\0")) throw new SecretFault(`${label}: it holds a NUL byte`);
      return secret;
    },
  };
}

function fromEnv(name: string, env: NodeJS.ProcessEnv): string {
  const value = env[name];
  if (value === undefined) throw new SecretFault(`the environment variable ${name} is not set`);
  return value;
}

function fromCommand(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((done, fail) => {
    const options = {
      cwd,
      env,
      timeout: commandTimeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: maxSecretBytes,
      encoding: "buffer",
      shell: false,
      windowsHide: true,
    } as const;
    const child = execFile(program, args, options, (error, stdout) => {
      if (error !== null) return fail(new SecretFault(commandFault(error)));
      try {
        done(new TextDecoder("utf-8", { fatal: true }).decode(stdout));
      } catch {
        fail(new SecretFault("the program's output is not UTF-8 text"));
      }
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end();
  });
}

function commandFault(error: Error & { code?: string | number | null; killed?: boolean }): string {
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
    return `the program printed more than ${maxSecretBytes} bytes`;
  if (error.killed === true) return `the program took longer than ${commandTimeoutMs / 1000} seconds`;
  if (error.code === "ENOENT") return "the program does not exist";
  if (error.code === "EACCES") return "the program may not be run by this user";
  if (typeof error.code === "number") return `the program ended with exit code ${error.code}`;
  return "the program could not be run";
}
