/** The demo's folder `.postern-demo/`: generated secrets, configuration, the audit trail; kept for the next start. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DemoError } from "./packages.ts";

export interface DemoState {
  /** Absolute path of the folder. */
  readonly dir: string;
  /** Reads a generated secret of this name, or makes it (readable by this user alone). */
  secret(name: string): { value: string; file: string };
  /** Reads a small file of the folder; null when it is not there. */
  read(name: string): string | null;
  /** Writes a file whole or not at all. `mode` is the file's permission bits. */
  write(name: string, text: string, mode?: number): string;
  /** Lets another demo use the folder. */
  close(): void;
}

/** Opens `<base>/.postern-demo`, or a new folder under the system's temporary one when `base` cannot be written. */
export function openState(base: string): DemoState {
  let dir = join(base, ".postern-demo");
  try {
    // One by one: with `recursive` Node 24 never comes back where the system says ENOENT of a folder that is there (/proc).
    for (const folder of [dir, join(dir, "secrets")]) if (!existsSync(folder)) mkdirSync(folder);
    writeFileSync(join(dir, ".gitignore"), "*\n");
  } catch {
    dir = mkdtempSync(join(tmpdir(), "postern-demo-"));
    mkdirSync(join(dir, "secrets"));
  }
  // Under root the database's OS user passes through the folder on the way to its own; the secrets stay ours.
  chmodSync(dir, process.getuid?.() === 0 ? 0o711 : 0o700);
  chmodSync(join(dir, "secrets"), 0o700);
  const unlock = lock(dir);
  const read = (name: string) => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), "utf8") : null);
  const write = (name: string, text: string, mode = 0o600) => {
    const file = join(dir, name);
    writeFileSync(`${file}.new`, text, { mode });
    renameSync(`${file}.new`, file);
    return file;
  };
  return {
    dir,
    read,
    write,
    secret(name) {
      const file = join("secrets", name);
      const value = read(file) ?? "";
      if (value !== "") return { value, file: join(dir, file) };
      const made = randomBytes(24).toString("base64url");
      return { value: made, file: write(file, made) };
    },
    close: unlock,
  };
}

/** An exclusive SQLite transaction as a lock: the kernel frees it whatever way this process ends. */
function lock(dir: string): () => void {
  const db = new DatabaseSync(join(dir, "lock"));
  try {
    db.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch {
    db.close();
    throw new DemoError(
      `another demo is running in ${dir}; stop it first, or start this one in another folder`,
    );
  }
  return () => db.close();
}

/** `wanted` when it is free on 127.0.0.1, else a port the system says is free. */
export async function freePort(wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const found = await new Promise<number | null>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(null));
      server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : null));
      });
    });
    if (found !== null) return found;
  }
  throw new DemoError("no free port on 127.0.0.1");
}
