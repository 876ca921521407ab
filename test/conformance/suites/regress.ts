/**
 * PostgreSQL's regression suite: each test by psql, as pg_regress runs it, directly and through Postern. What psql prints on
 * both ways must be the same, byte for byte; what PostgreSQL's developers expect of it is compared with the direct way only
 * to tell whether the run itself was in order.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { known } from "../regress/known.ts";
import { buildLibraries, expectedOutputs, readModules, readSource, type Source } from "../regress/source.ts";
import { difference } from "../support/compare.ts";
import { connectionEnv, runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair, Way } from "../support/servers.ts";

export interface RegressOptions {
  /** An unpacked source of PostgreSQL. */
  readonly source: string;
  /** Programs of the same major version: psql, pg_config. */
  readonly bin: string;
  /** The suites of contrib/ and PL/pgSQL instead of the server's own. */
  readonly modules: boolean;
  /** Tests of a group at the same time. */
  readonly parallel: boolean;
  /** The gateway uses connections again; else each session has one of its own. */
  readonly reused: boolean;
  /** Run on both servers in each new database, before the tests. */
  readonly before: readonly string[];
  /** Only these tests, after test_setup. */
  readonly only: readonly string[] | null;
}

/** What pg_regress sets for the databases it makes, so that the server's own locale does not show. */
const makeDatabase = [
  "drop database if exists regression with (force)",
  "create database regression template template0 owner conformance",
  ...["lc_messages", "lc_monetary", "lc_numeric", "lc_time"].map(
    (name) => `alter database regression set ${name} to 'C'`,
  ),
  "alter database regression set bytea_output to 'hex'",
  "alter database regression set timezone_abbreviations to 'Default'",
];

export async function regressSuite(report: Report, pair: Pair, options: RegressOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-regress-"));
  chmodSync(folder, 0o755);
  const unusual: string[] = [];
  let count = 0;
  try {
    const libraries = join(folder, "lib");
    const regress = readSource(options.source);
    await buildLibraries(regress, options.bin, libraries);
    const sources = options.modules ? await modulesOf(options) : [regress];
    for (const source of sources) {
      const groups = chosen(source, options);
      if (groups.length === 0) continue;
      const run = (way: Way) =>
        runWay(pair, way, source, groups, join(folder, way.name, source.name), libraries, options);
      const [direct, postern] = await Promise.all([run(pair.direct), run(pair.postern)]);
      for (const test of groups.flat()) {
        const [left = "", right = ""] = [direct.get(test), postern.get(test)];
        const name = `${source.name}: ${test}`;
        keep(name, left, right);
        count++;
        if (!expectedOutputs(source, test).includes(left)) unusual.push(name);
        compareTest(report, name, left, right, options.reused);
      }
    }
    console.log(
      `      directly, ${unusual.length} of ${count} tests print other than PostgreSQL's developers expect on their own build: ${unusual.join(", ")}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function modulesOf({ source, bin }: RegressOptions): Promise<Source[]> {
  const installed = (await runProgram(join(bin, "pg_config"), ["--pkglibdir"])).stdout.trim();
  return readModules(source, installed);
}

function chosen(source: Source, options: RegressOptions): string[][] {
  const { only } = options;
  const wanted = (test: string) =>
    only === null || test === "test_setup" || only.includes(test) || only.includes(source.name);
  const groups = source.groups.map((group) => group.filter(wanted)).filter((group) => group.length > 0);
  return options.parallel ? groups : groups.flat().map((test) => [test]);
}

/** All tests of one suite on one way, in a database of their own; what each of them printed. */
async function runWay(
  pair: Pair,
  way: Way,
  source: Source,
  groups: readonly (readonly string[])[],
  build: string,
  libraries: string,
  { bin, before }: RegressOptions,
): Promise<Map<string, string>> {
  const query = pair.servers[way.name];
  for (const sql of makeDatabase) await query("postgres", sql);
  for (const sql of before) await query("regression", sql);
  for (const name of source.extensions)
    await query("regression", `create extension if not exists ${name} cascade`);
  for (const at of [build, join(build, "results")]) {
    mkdirSync(at, { recursive: true });
    // The server, which is another user, writes files there too.
    chmodSync(at, 0o777);
  }
  // Some tests name their data as seen from where pg_regress runs.
  const data = join(source.folder, "data");
  if (existsSync(data)) symlinkSync(data, join(build, "data"));
  const printed = new Map<string, string>();
  for (const group of groups)
    await Promise.all(
      group.map(async (test) => {
        const output = join(build, "results", `${test}.out`);
        const since = performance.now();
        const psql = ["-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"];
        // Both streams into one file, as they come: the place of an error between results counts.
        const done = await runProgram(
          "/bin/sh",
          ["-c", 'exec "$0" "$@" >"$OUTPUT" 2>&1', join(bin, "psql"), ...psql],
          {
            input: readFileSync(join(source.folder, "sql", `${test}.sql`)),
            limit: 900,
            cwd: build,
            env: {
              ...connectionEnv(way, "regression"),
              OUTPUT: output,
              PGAPPNAME: `pg_regress/${test}`,
              PGTZ: "America/Los_Angeles",
              PGDATESTYLE: "Postgres, MDY",
              PGOPTIONS: "-c intervalstyle=postgres_verbose",
              PG_ABS_SRCDIR: source.folder,
              PG_ABS_BUILDDIR: build,
              PG_LIBDIR: libraries,
              PG_DLSUFFIX: ".so",
              LC_ALL: "",
              LC_MESSAGES: "C",
            },
          },
        );
        const text = readFileSync(output, "latin1").replaceAll(build, "BUILDDIR");
        printed.set(test, done.code === 0 ? text : `${text}\n(exit code ${done.code})${done.stderr}`);
        const seconds = (performance.now() - since) / 1000;
        if (process.env.CONFORMANCE_VERBOSE !== undefined)
          console.log(`      ${way.name}: ${test} ${seconds.toFixed(1)} s`);
      }),
    );
  return printed;
}

function compareTest(report: Report, name: string, direct: string, postern: string, reused: boolean): void {
  const expected = reused ? known[name] : undefined;
  const normal = expected?.normalise ?? ((text: string) => text);
  if (direct === postern) report.pass(`${name} (${direct.length} bytes)`);
  else if (expected !== undefined && normal(direct) === normal(postern)) report.known(name, expected.why);
  else report.fail(name, difference(normal(direct), normal(postern)));
}

/** With CONFORMANCE_OUT set, everything that was compared is left in that folder. */
function keep(name: string, direct: string, postern: string): void {
  const folder = process.env.CONFORMANCE_OUT;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name.replace(": ", "-"));
  writeFileSync(`${file}.direct`, direct, "latin1");
  writeFileSync(`${file}.postern`, postern, "latin1");
}
