/** Processes and files that belong to a test server, and do not outlive the tests. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaries } from "./binaries.ts";

export interface Guard {
  dismiss(): void;
}

/**
 * A shell that outlives us: when our end of its input closes without a word (we were killed), it ends the server and
 * removes the folder.
 */
export function guard(pid: number | null, folder: string): Guard {
  const script =
    'read -r word; [ "$word" = dismissed ] && exit; if [ -n "$1" ]; then kill -QUIT "$1" 2>/dev/null; ' +
    'n=0; while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; fi; rm -rf -- "$2"';
  const shell = spawn("/bin/sh", ["-c", script, "postern-guard", pid === null ? "" : String(pid), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    cwd: "/",
  });
  shell.unref();
  shell.stdin.on("error", () => undefined);
  // Neither the process nor the pipe keeps node alive; the pipe closes when node ends.
  (shell.stdin as unknown as { unref(): void }).unref();
  return { dismiss: () => void shell.stdin.end("dismissed\n") };
}

/** A folder under the temporary directory that only the server's user (and root) may enter. */
export async function privateFolder(prefix: string): Promise<string> {
  const { owner } = await binaries();
  const folder = await mkdtemp(join(tmpdir(), prefix));
  if (owner !== null) await chown(folder, owner.uid, owner.gid);
  return folder;
}

/** Writes a file that belongs to the server's user. */
export async function writeAsServer(path: string, text: string): Promise<void> {
  const { owner } = await binaries();
  await writeFile(path, text, { mode: 0o600 });
  if (owner !== null) await chown(path, owner.uid, owner.gid);
}

/** Runs a command as the server's user; rejects with what it said when it fails. */
export async function run(command: string, args: readonly string[]): Promise<void> {
  const { owner } = await binaries();
  const env = { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" };
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], cwd: tmpdir(), env, ...owner });
  const said: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => said.push(data));
  child.stderr.on("data", (data: Buffer) => said.push(data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} failed:\n${Buffer.concat(said).toString()}`);
}
