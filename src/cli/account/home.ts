/** The user's own folder: what is kept there is readable by its owner alone, and written whole or not at all. */
import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CliError } from "./error.ts";

/** POSTERN_HOME, else postern in XDG_CONFIG_HOME (default ~/.config). */
export function accountHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env.POSTERN_HOME) return resolve(env.POSTERN_HOME);
  const base =
    env.XDG_CONFIG_HOME?.startsWith("/") === true ? env.XDG_CONFIG_HOME : join(homedir(), ".config");
  return join(base, "postern");
}

/** Makes a folder of ours, 0700. Throws CliError when somebody else could write there. */
export function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { mode, uid } = lstatSync(path);
  if (uid !== owner())
    throw new CliError(2, `${path} belongs to somebody else`, "Set POSTERN_HOME to a folder of your own.");
  if ((mode & 0o077) !== 0) chmodSync(path, 0o700);
  return path;
}

/** The text of a private file; null: there is none. Throws CliError for one that others can read. */
export function readPrivate(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    const { mode, uid } = fstatSync(file);
    if (uid !== owner() || (mode & 0o077) !== 0)
      throw new CliError(2, `${path} can be read by others`, `chmod 600 ${path}, then postern login again.`);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Writes a private file: 0600 from its first byte, under another name until it is whole. */
export function writePrivate(path: string, text: string): void {
  privateFolder(dirname(path));
  const draft = `${path}.${process.pid}.${Date.now().toString(36)}`;
  try {
    const file = openSync(draft, "wx", 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function owner(): number {
  return process.getuid?.() ?? 0;
}
