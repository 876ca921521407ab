/**
 * `npm run conformance`: real clients, directly against PostgreSQL and through Postern; what they say must be the same.
 * Options: --only NAME (part of a suite's name, may be repeated); --policy allow-all (with analysis, nothing denied);
 * --suite regress|modules --source DIR [--bin DIR] [--parallel] [--reset close] [--only TEST …] (PostgreSQL's
 * regression suite, or those of its extensions, from its source, with the programs in `bin`). Exit code 0 when nothing failed.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findProgram } from "../../bench/processes.ts";
import { javaDriver, javaSuite } from "./suites/java.ts";
import { nodeSuite } from "./suites/node.ts";
import { pgbenchSuite } from "./suites/pgbench.ts";
import { pgDumpSuite } from "./suites/pgdump.ts";
import { psqlSuite } from "./suites/psql.ts";
import { pythonDriver, pythonSuite } from "./suites/python.ts";
import { regressSuite } from "./suites/regress.ts";
import { policies, protectedTable } from "./support/policies.ts";
import { runProgram } from "./support/program.ts";
import { createReport } from "./support/report.ts";
import { debianFolder, distribution, type Pair, startPair } from "./support/servers.ts";
import type { Intent } from "./support/trail.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    policy: { type: "string" },
    suite: { type: "string" },
    source: { type: "string" },
    bin: { type: "string" },
    reset: { type: "string" },
    parallel: { type: "boolean", default: false },
  },
});
/** With `--policy allow-all`: everything is allowed, and everything is analysed. */
const policy = options.policy === undefined ? null : policyNamed(options.policy);
const reset = resetNamed(options.reset ?? "discard_all");
const report = createReport((line) => console.log(line));
const wanted = (name: string) =>
  options.only === undefined || options.only.some((part) => name.includes(part));
const began = performance.now();

const psql = findProgram("psql");
const major = psql === null ? "" : (/ (\d+)/.exec((await runProgram(psql, ["--version"])).stdout)?.[1] ?? "");
const debian = major === "" ? null : debianFolder(major);
console.log(`Conformance on ${distribution()}, Node ${process.versions.node}; ${await versions()}`);

function policyNamed(name: string): string {
  const found = policies[name];
  if (found !== undefined) return found;
  throw new Error(
    `there is no policy ${JSON.stringify(name)} for this; expected ${Object.keys(policies).join(" or ")}`,
  );
}

function resetNamed(name: string): "discard_all" | "close" {
  if (name === "discard_all" || name === "close") return name;
  throw new Error(`--reset ${JSON.stringify(name)}: expected discard_all or close`);
}

/** What is installed here, of what the suites use. */
async function versions(): Promise<string> {
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"),
  ) as Record<"dependencies" | "devDependencies", Record<string, string>>;
  const pinned = { ...dependencies, ...devDependencies };
  const found: [string, string | null][] = [
    [
      "psql",
      psql === null
        ? null
        : (/ (\S+)/.exec((await runProgram(psql, ["--version"])).stdout.slice(5))?.[1] ?? "?"),
    ],
    ["pg", pinned.pg ?? null],
    ["postgres.js", pinned.postgres ?? null],
    ["psycopg2", await pythonDriver("psycopg2")],
    ["psycopg", await pythonDriver("psycopg3")],
    ["asyncpg", await pythonDriver("asyncpg")],
    ["pgjdbc", await javaDriver()],
  ];
  return found.map(([name, version]) => `${name} ${version ?? "not installed"}`).join(", ");
}

/** Runs suites on a pair of servers, then has the gateway's log verified. */
async function on(
  folder: string | null,
  suites: Readonly<Record<string, (pair: Pair) => Promise<void>>>,
  servers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const chosen = Object.entries(suites).filter(([name]) => options.suite !== undefined || wanted(name));
  if (chosen.length === 0) return;
  const logStatements = options.suite !== undefined;
  const pair = await startPair(folder, policy, { servers, reset, logStatements });
  try {
    for (const [name, suite] of chosen) {
      const since = performance.now();
      await suite(pair);
      console.log(
        `      ${name} on ${pair.version} took ${((performance.now() - since) / 1000).toFixed(1)} s`,
      );
    }
    const { ok, said, trail, coverage, complaints, intents } = await pair.verify();
    const name = `the audit log of all this verifies (${pair.version})`;
    if (ok) report.pass(`${name}: ${said.split("\n")[0]}`);
    else report.fail(name, said);
    const counts = (of: ReadonlyMap<string, number>) => [...of].map(([what, n]) => `${n} ${what}`).join(", ");
    console.log(
      `      ${trail.intents} statements; outcomes: ${counts(trail.outcomes)}; sessions: ${counts(trail.endings)}`,
    );
    keepEvidence(intents, complaints);
    const quiet = "the gateway's own log complains of nothing";
    if (complaints.length === 0) report.pass(quiet);
    // The batteries of clients end sessions and servers in ways that a gateway may complain of.
    else if (options.suite === undefined)
      console.log(`      the gateway's own log:\n${complaints.join("\n")}`);
    else report.fail(quiet, complaints.slice(0, 20).join("\n"));
    if (coverage !== null) {
      const known = `every statement of the server's log has an intent (${coverage.statements}, and ${coverage.own} of the gateway's own)`;
      const missing = coverage.missing.map(({ pid, how, text }) => `${pid} ${how}: ${text.slice(0, 200)}`);
      if (missing.length === 0 && coverage.statements > 0) report.pass(known);
      else report.fail(known, [`${missing.length} have none:`, ...missing.slice(0, 40)].join("\n"));
    }
    if (options.suite !== undefined) {
      const settled = "every statement has an intent and a known outcome";
      if (trail.unsettled.length === 0 && trail.intents > 0) report.pass(settled);
      else
        report.fail(
          settled,
          `leaves ${trail.unsettled.slice(0, 20).join(", ")} (${trail.unsettled.length} of them)`,
        );
    }
  } finally {
    await pair.stop();
  }
}

/** With CONFORMANCE_OUT set: what was refused and what the gateway's own log complained of. */
function keepEvidence(intents: readonly Intent[], complaints: readonly string[]): void {
  const folder = process.env.CONFORMANCE_OUT;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const refused = intents.filter(({ code }) => code !== null).map((one) => JSON.stringify(one));
  writeFileSync(join(folder, "refused.jsonl"), `${refused.join("\n")}\n`);
  writeFileSync(join(folder, "gateway.log"), `${complaints.join("\n")}\n`);
}

if (options.suite === undefined) await everything();
else if (options.suite === "regress" || options.suite === "modules") await regression(options.suite);
else
  throw new Error(
    `there is no suite ${JSON.stringify(options.suite)} of its own; expected regress or modules`,
  );

async function everything(): Promise<void> {
  await on(null, {
    psql: (pair) => psqlSuite(report, pair, psql),
    pgbench: (pair) => pgbenchSuite(report, pair),
    "node-postgres": (pair) => nodeSuite(report, pair, "node-postgres"),
    psycopg2: (pair) => pythonSuite(report, pair, "psycopg2"),
    psycopg3: (pair) => pythonSuite(report, pair, "psycopg3"),
    asyncpg: (pair) => pythonSuite(report, pair, "asyncpg"),
    pgjdbc: (pair) => javaSuite(report, pair),
    "postgres.js": (pair) => nodeSuite(report, pair, "postgres.js"),
  });
  if (debian === null)
    report.skip(
      "psql and pg_dump on their own version",
      psql === null ? "psql is not installed" : `no PostgreSQL ${major} server is installed`,
    );
  else
    await on(debian, {
      "psql-own": (pair) => psqlSuite(report, pair, psql),
      pg_dump: (pair) => pgDumpSuite(report, pair),
    });
}

/** PostgreSQL's own suites, on servers that are set up as pg_regress does. */
async function regression(suite: "regress" | "modules"): Promise<void> {
  const { source } = options;
  if (source === undefined)
    throw new Error("--suite regress needs --source DIR, an unpacked source of PostgreSQL");
  const bin = options.bin ?? debian;
  if (bin === null) throw new Error("--suite regress needs psql and a PostgreSQL server of the same version");
  await on(
    bin,
    {
      [suite]: (pair) =>
        regressSuite(report, pair, {
          source,
          modules: suite === "modules",
          bin,
          parallel: options.parallel,
          reused: reset === "discard_all",
          before: options.policy === "labels" ? protectedTable : [],
          only: options.only ?? null,
        }),
    },
    { max_prepared_transactions: "2", wal_level: "replica", shared_buffers: "128MB" },
  );
}

const { passed, failed, known, skipped } = report.counts;
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(
  `\n${passed} passed, ${failed} failed, ${known} known differences, ${skipped} skipped, ${seconds} s`,
);
for (const name of report.failures) console.log(`  failed: ${name}`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
