/** psql: SQL scripts, single commands and exit codes, on every server. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Case, compareWhole } from "../support/compare.ts";
import { connectionEnv, runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair, Way } from "../support/servers.ts";

const scripts = join(import.meta.dirname, "../psql");

/** Object numbers of imports are the servers' own. */
const oids = (text: string) => text.replaceAll(/lo_import \d+/g, "lo_import N");

/** A statement of about a megabyte that does something at its start and at its end. */
const megabyte = `select ${Array.from({ length: 40_000 }, (_, i) => `'v${i}' as c${i % 1000}`)
  .slice(0, 1600)
  .join(", ")}, '${"x".repeat(1_000_000)}' = 'y' as last;\n`;

const commands: readonly { name: string; args: readonly string[]; input?: string }[] = [
  {
    name: "-c with several statements",
    args: ["-c", "select 1; select 2; create table m(x int); drop table m"],
  },
  { name: "-c with an error in the middle", args: ["-c", "select 1; select nope; select 2"] },
  { name: "several -c", args: ["-c", "select 1", "-c", "select nope", "-c", "select 3"] },
  {
    name: "ON_ERROR_STOP, exit code 3",
    args: ["-v", "ON_ERROR_STOP=1"],
    input: "select 1;\nselect nope;\nselect 2;\n",
  },
  {
    name: "single transaction",
    args: ["-1", "-c", "create table s(x int)", "-c", "select nope", "-c", "select 1"],
  },
  {
    name: "single transaction from a file",
    args: ["-1", "-f", "-"],
    input: "create table s(x int);\nselect nope;\nselect 1;\n",
  },
  { name: "table s was rolled back", args: ["-c", "select to_regclass('s')"] },
  {
    name: "unaligned, separators, tuples only",
    args: ["-At", "-F", "|", "-R", "~", "-c", "values (1,2),(3,4)"],
  },
  { name: "NUL separated", args: ["-At0z", "-c", "values (1,2),(3,4)"] },
  { name: "list of databases", args: ["-l"] },
  { name: "--csv", args: ["--csv", "-c", "values (1,'a,b'),(2,null)"] },
  { name: "1 MB statement", args: ["-At", "-f", "-"], input: megabyte },
  {
    name: "1 MB literal and result",
    args: ["-At", "-f", "-"],
    input: `select '${"abcdefgh".repeat(128 * 1024)}';\n`,
  },
  { name: "10,000 statements in one message", args: ["-At", "-c", "select 1;".repeat(10_000)] },
  { name: "10,000 messages", args: ["-At", "-f", "-"], input: "select 1;\n".repeat(10_000) },
  { name: "2,000 errors", args: ["-At", "-f", "-"], input: "select nope;\n".repeat(2_000) },
  {
    name: "20,000 notices",
    args: ["-c", "do $$ begin for i in 1..20000 loop raise notice '%', i; end loop; end $$"],
  },
  {
    name: "200,000 rows",
    args: ["-At", "-c", "select g, md5(g::text), g * 1.5 from generate_series(1, 200000) g"],
  },
  { name: "one row of 50 MB", args: ["-At", "-c", "select repeat('0123456789', 5000000)"] },
  { name: "characters of every length", args: ["-c", "select 'é€𝄞', length('é€𝄞') as \"sché€𝄞\""] },
  {
    name: "PGOPTIONS",
    args: ["-c", "show search_path; show statement_timeout; show timezone; show datestyle"],
  },
  {
    name: "the server ends the session",
    args: ["-f", "-"],
    input: "select 1;\nselect pg_terminate_backend(pg_backend_pid());\nselect 2;\n",
  },
  {
    name: "the server ends the session, -c",
    args: ["-c", "select 1; select pg_terminate_backend(pg_backend_pid())"],
  },
  {
    name: "idle_in_transaction_session_timeout",
    args: ["-f", "-"],
    input: "set idle_in_transaction_session_timeout = '100ms';\nbegin;\n\\! sleep 0.6\nselect 1;\n",
  },
  {
    name: "COPY from standard input",
    args: ["-c", "create temp table c(a int, b text)", "-c", "copy c from stdin", "-c", "table c"],
    input: "1\ta\n2\tb\n",
  },
  {
    name: "COPY cut off at end of input",
    args: ["-f", "-"],
    input: "create temp table c(a int);\ncopy c from stdin;\n1\n2\n",
  },
  {
    name: "\\password",
    args: ["-f", "-"],
    input: "create role pw_role;\n\\password pw_role\n\nsecret\nsecret\n",
  },
  { name: "clean up", args: ["-c", "drop role if exists pw_role"] },
];

const environments: Readonly<Record<string, Record<string, string>>> = {
  PGOPTIONS: {
    PGOPTIONS: "-c search_path=a,public -c statement_timeout=12345",
    PGTZ: "Asia/Tokyo",
    PGDATESTYLE: "SQL, DMY",
    PGAPPNAME: "conformance",
  },
};

/** Compares psql on both ways. */
export async function psqlSuite(report: Report, pair: Pair, psql: string | null): Promise<void> {
  const prefix = `psql on ${pair.version}`;
  if (psql === null) return report.skip(prefix, "psql is not installed");
  for (const file of readdirSync(scripts).sort()) {
    await compareWhole(report, `${prefix}: ${file}`, pair, "psql", {
      command: psql,
      args: ["-X", "-e", "-f", join(scripts, file)],
      normalise: oids,
    });
    await compareWhole(report, `${prefix}: ${file} quietly, single step of input`, pair, "psql", {
      command: psql,
      args: ["-X", "-q", "-f", "-"],
      options: { input: `\\i ${join(scripts, file)}\n` },
      normalise: oids,
    });
  }
  for (const { name, args, input } of commands) {
    const env = environments[name];
    const one: Case = {
      command: psql,
      args: ["-X", ...args],
      options: { ...(input === undefined ? {} : { input }), ...(env === undefined ? {} : { env }) },
    };
    await compareWhole(report, `${prefix}: ${name}`, pair, "psql", one);
  }
  await interrupted(report, prefix, pair, psql, false);
  await overTls(report, `${prefix} over TLS`, pair, psql);
  await refused(report, prefix, pair, psql);
}

/** The same inside TLS, for what moves much data or opens connections. */
async function overTls(report: Report, prefix: string, pair: Pair, psql: string): Promise<void> {
  for (const file of ["03-copy.sql", "05-statements.sql"])
    await compareWhole(report, `${prefix}: ${file}`, pair, "psql", {
      command: psql,
      args: ["-X", "-e", "-f", join(scripts, file)],
      tls: true,
    });
  for (const { name, args, input } of commands) {
    if (!/[MR]B|rows|messages|ends the session/.test(name)) continue;
    const options = input === undefined ? {} : { input };
    await compareWhole(report, `${prefix}: ${name}`, pair, "psql", {
      command: psql,
      args: ["-X", ...args],
      options,
      tls: true,
    });
  }
  await interrupted(report, prefix, pair, psql, true);
}

/** Ctrl-C: psql sends a CancelRequest on a connection of its own. */
async function interrupted(
  report: Report,
  prefix: string,
  pair: Pair,
  psql: string,
  tls: boolean,
): Promise<void> {
  for (const [name, sql] of [
    ["Ctrl-C during a statement", "select pg_sleep(60)"],
    ["Ctrl-C in a transaction", "begin; select pg_sleep(60); commit"],
    ["Ctrl-C while rows come", "select g, pg_sleep(0.001) from generate_series(1, 100000) g"],
  ] as const) {
    await compareWhole(report, `${prefix}: ${name}`, pair, "psql", {
      command: psql,
      args: ["-X", "-c", sql, "-c", "select 'after'"],
      options: { limit: 90 },
      tls,
      async meanwhile(way: Way, signal) {
        for (let i = 0; i < 200; i++) {
          const running = await pair.servers[way.name](
            "psql",
            "select 1 from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and datname = 'psql' and pid <> pg_backend_pid()",
          );
          if (running.length > 0) break;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        signal("SIGINT");
      },
    });
  }
}

/** What is refused when FunctionCall is not allowed: a clear error each time, and the session goes on. */
async function refused(report: Report, prefix: string, pair: Pair, psql: string): Promise<void> {
  const name = `${prefix}: large objects with function_call: false`;
  const { code, stdout, stderr } = await runProgram(
    psql,
    ["-X", "-q", "-At", "-f", join(scripts, "06-large-objects.sql")],
    { env: connectionEnv(pair.closed, "psql") },
  );
  const errors = stderr.match(/0A000: policy: the FunctionCall message is not allowed here/g)?.length ?? 0;
  const went = code === 0 && errors >= 3 && /^after$/m.test(stdout) && /^777002$/m.test(stdout);
  if (went) report.pass(`${name} (${errors} clear refusals, the session goes on)`);
  else report.fail(name, `exit code ${code}\n${stdout.slice(0, 500)}\n${stderr.slice(0, 1500)}`);
}
