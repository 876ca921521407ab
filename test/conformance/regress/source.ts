/**
 * PostgreSQL's regression suite, from an unpacked source of PostgreSQL: what there is to run, in which order, and what its
 * tests find around them (manual, "Regression Tests"; pg_regress.c, initialize_environment).
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../support/program.ts";

export interface Source {
  /** `src/test/regress` of the source. */
  readonly folder: string;
  /** Tests that may run at the same time, group after group. */
  readonly groups: readonly (readonly string[])[];
}

/** Finds the suite below `folder`. Throws an Error that says what is missing. */
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
  return { folder: found, groups };
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
