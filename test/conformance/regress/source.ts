/**
 * PostgreSQL's regression suite, from an unpacked source of PostgreSQL: what there is to run, in which order, and what its
 * tests find around them (manual, "Regression Tests"; pg_regress.c, initialize_environment).
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { runProgram } from "../support/program.ts";

/** One folder with sql/ and expected/: the server's own suite, or that of an extension or a language. */
export interface Source {
  readonly name: string;
  readonly folder: string;
  /** Tests that may run at the same time, group after group. */
  readonly groups: readonly (readonly string[])[];
  /** Extensions that are made before the tests. */
  readonly extensions: readonly string[];
}

/** Finds PostgreSQL's regression suite below `folder`. Throws an Error that says what is missing. */
export function readSource(folder: string): Source {
  const found = [folder, join(folder, "src/test/regress")].find((at) =>
    existsSync(join(at, "parallel_schedule")),
  );
  if (found === undefined)
    throw new Error(`${folder} holds no PostgreSQL source (src/test/regress/parallel_schedule is not there)`);
  const groups: string[][] = [];
  for (const line of readFileSync(join(found, "parallel_schedule"), "utf8").split("\n")) {
    const names = /^test:\s*(.*\S)\s*$/.exec(line)?.[1];
    if (names !== undefined) groups.push(names.split(/\s+/));
  }
  return { name: "regress", folder: found, groups, extensions: [] };
}

/**
 * The suites of contrib/ and of PL/pgSQL below `folder`, but those that need a server of their own kind (NO_INSTALLCHECK), and
 * those whose extension is not installed in `installed`, the server's folder of libraries.
 */
export function readModules(folder: string, installed: string): Source[] {
  const contrib = join(folder, "contrib");
  if (!existsSync(contrib)) throw new Error(`${folder} holds no PostgreSQL source (contrib is not there)`);
  const folders = readdirSync(contrib)
    .sort()
    .map((name) => join(contrib, name));
  return [...folders, join(folder, "src/pl/plpgsql/src")].flatMap((at) => {
    const makefile = join(at, "Makefile");
    if (!existsSync(makefile)) return [];
    const lines = readFileSync(makefile, "utf8").replaceAll("\\\n", " ").split("\n");
    const value = (name: string) =>
      lines.flatMap((line) => new RegExp(`^${name} *[+:]?= *(.*)$`).exec(line)?.[1]?.trim() ?? []).join(" ");
    const tests = value("REGRESS")
      .split(/\s+/)
      .filter((test) => existsSync(join(at, "sql", `${test}.sql`)));
    const library = value("MODULE_big") || value("MODULES").split(" ")[0] || "";
    const there = library === "" || existsSync(join(installed, `${library}.so`));
    if (tests.length === 0 || value("NO_INSTALLCHECK") !== "" || !there) return [];
    const extensions = [...value("REGRESS_OPTS").matchAll(/--load-extension=(\w+)/g)].map(
      ([, name = ""]) => name,
    );
    return [
      {
        name: basename(at) === "src" ? "plpgsql" : basename(at),
        folder: at,
        groups: tests.map((test) => [test]),
        extensions,
      },
    ];
  });
}

/**
 * Makes the folder that the tests call their library directory: the suite's own C functions, compiled against the installed
 * server, and the modules of contrib/spi that some tests load. Rejects with what the compiler said.
 */
export async function buildLibraries(source: Source, bin: string, into: string): Promise<void> {
  const config = async (what: string) => (await runProgram(join(bin, "pg_config"), [what])).stdout.trim();
  const [headers, installed] = [await config("--includedir-server"), await config("--pkglibdir")];
  mkdirSync(into);
  chmodSync(into, 0o755);
  for (const module of ["autoinc.so", "refint.so"]) copyFileSync(join(installed, module), join(into, module));
  const target = join(into, "regress.so");
  const done = await runProgram("gcc", [
    ...["-shared", "-fPIC", "-O1", "-fwrapv", "-fno-strict-aliasing", "-w"],
    ...["-I", headers, "-I", source.folder, "-o", target, join(source.folder, "regress.c")],
  ]);
  if (done.code !== 0) throw new Error(`regress.c could not be compiled:\n${done.stderr}`);
}

/** The outputs that PostgreSQL's developers expect of a test; several where they depend on the platform. */
export function expectedOutputs(source: Source, test: string): string[] {
  const folder = join(source.folder, "expected");
  const files = readdirSync(folder).filter(
    (file) =>
      file === `${test}.out` || (file.startsWith(`${test}_`) && /^_\d\.out$/.test(file.slice(test.length))),
  );
  return files.map((file) => readFileSync(join(folder, file), "latin1"));
}
