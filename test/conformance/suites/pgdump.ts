/** pg_dump, pg_restore, pg_dumpall: a dump through Postern is the direct one, byte for byte; so is what a restore makes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../../bench/processes.ts";
import { difference } from "../support/compare.ts";
import { connectionEnv, type Done, runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair, Way } from "../support/servers.ts";

const content = readFileSync(join(import.meta.dirname, "../dump/content.sql"), "utf8");

/** The server behind Postern as clients reach it directly: both ways lead to the same data. */
interface Ways {
  readonly around: Way;
  readonly through: Way;
}

export async function pgDumpSuite(report: Report, pair: Pair): Promise<void> {
  const prefix = `pg_dump on ${pair.version}`;
  const dump = findProgram("pg_dump");
  const restore = findProgram("pg_restore");
  const dumpall = findProgram("pg_dumpall");
  const psql = findProgram("psql");
  if (dump === null || restore === null || dumpall === null || psql === null)
    return report.skip(prefix, "pg_dump, pg_restore, pg_dumpall or psql is not installed");
  const { around, postern: through } = pair;
  const ways: Ways = { around, through };
  const made = await runProgram(psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"], {
    env: connectionEnv(around, "dump"),
    input: content,
  });
  if (made.code !== 0) return report.fail(`${prefix}: content`, made.stderr);
  const folder = mkdtempSync(join(tmpdir(), "postern-dump-"));
  try {
    for (const [name, args] of [
      ["plain", []],
      ["plain with --clean --if-exists --create", ["--clean", "--if-exists", "--create"]],
      ["--inserts", ["--inserts", "--rows-per-insert=50"]],
      ["--column-inserts --disable-dollar-quoting", ["--column-inserts", "--disable-dollar-quoting"]],
      ["--schema-only", ["--schema-only"]],
      ["--data-only --serializable-deferrable", ["--data-only", "--serializable-deferrable"]],
      ["one table", ["-t", "sales.orders"]],
      ["-Ft", ["-Ft"]],
      ["-Fc", ["-Fc", "-Z", "6"]],
      ["wrong table", ["-t", "no.such"]],
      [
        "--lock-wait-timeout --enable-row-security",
        ["--lock-wait-timeout=1000", "--enable-row-security", "-n", "sales"],
      ],
      ["-E LATIN1, which the database does not fit into", ["-E", "LATIN1", "-t", "sales.status_log"]],
    ] as const)
      await twice(report, `${prefix}: ${name}`, ways, dump, args, "dump");
    await twice(
      report,
      `${prefix}: pg_dumpall --globals-only`,
      ways,
      dumpall,
      ["--globals-only", "-l", "dump"],
      "postgres",
    );
    await directory(report, prefix, ways, dump, restore, folder);
    await restored(report, prefix, pair, { dump, restore, psql }, folder);
    await closed(report, prefix, pair, dump);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every dump has a random word of its own for \restrict. */
const plainText = (text: string) => text.replaceAll(/^\\(un)?restrict \w+$/gm, "\\$1restrict WORD");

async function twice(
  report: Report,
  name: string,
  ways: Ways,
  program: string,
  args: readonly string[],
  database: string,
): Promise<void> {
  const [left, right] = await Promise.all(
    [ways.around, ways.through].map((way) =>
      runProgram(program, args, { env: connectionEnv(way, database) }),
    ),
  );
  if (left === undefined || right === undefined) return;
  if (left.code === 0 && (args.includes("-Ft") || args.includes("-Fc"))) {
    // The archives hold the time of the dump; as SQL they must be alike.
    const restore = findProgram("pg_restore") as string;
    const [one, two] = await Promise.all(
      [left, right].map((done) =>
        runProgram(restore, ["-f", "-"], { input: Buffer.from(done.stdout, "latin1") }),
      ),
    );
    if (one !== undefined && two !== undefined) same(report, `${name} as SQL`, one, two);
    return;
  }
  same(report, name, left, right);
}

function same(report: Report, name: string, left: Done, right: Done): void {
  const [want, got] = [plainText(left.stdout), plainText(right.stdout)];
  if (left.code !== right.code)
    report.fail(name, `exit codes ${left.code}, ${right.code}\n${left.stderr}\n${right.stderr}`);
  else if (want !== got) report.fail(name, difference(want, got));
  else if (left.stderr !== right.stderr) report.fail(name, difference(left.stderr, right.stderr));
  else report.pass(`${name} (${left.code === 0 ? `${left.stdout.length} bytes` : `exit code ${left.code}`})`);
}

/** -Fd -j 2: several connections on one exported snapshot. */
async function directory(
  report: Report,
  prefix: string,
  ways: Ways,
  dump: string,
  restore: string,
  folder: string,
): Promise<void> {
  const name = `${prefix}: -Fd -j 2`;
  for (const [as, way] of [
    ["around", ways.around],
    ["through", ways.through],
  ] as const) {
    const done = await runProgram(dump, ["-Fd", "-j", "2", "-f", join(folder, as)], {
      env: connectionEnv(way, "dump"),
    });
    if (done.code !== 0 || done.stderr !== "")
      return report.fail(name, `${as}: exit code ${done.code}\n${done.stderr}`);
  }
  const left = readdirSync(join(folder, "around")).sort();
  const right = readdirSync(join(folder, "through")).sort();
  const unequal = left.filter(
    (file) =>
      file !== "toc.dat" &&
      !(
        right.includes(file) &&
        readFileSync(join(folder, "around", file)).equals(readFileSync(join(folder, "through", file)))
      ),
  );
  if (left.join() !== right.join() || unequal.length > 0)
    return report.fail(
      name,
      `files: ${left.join(" ")}\n       ${right.join(" ")}\nunequal: ${unequal.join(" ")}`,
    );
  report.pass(`${name} (${left.length} files)`);
  const [one, two] = await Promise.all(
    ["around", "through"].map((as) => runProgram(restore, ["-f", "-", join(folder, as)])),
  );
  if (one !== undefined && two !== undefined) same(report, `${name}: its contents as SQL`, one, two);
}

/** What a restore through Postern makes is dumped again and compared with the dump of the original. */
async function restored(
  report: Report,
  prefix: string,
  pair: Pair,
  programs: { dump: string; restore: string; psql: string },
  folder: string,
): Promise<void> {
  const { around, postern: through } = pair;
  const plain = await runProgram(programs.dump, [], { env: connectionEnv(around, "dump") });
  const ways: readonly [string, () => Promise<Done>][] = [
    [
      "pg_restore -j 2 through Postern",
      () =>
        runProgram(programs.restore, ["-j", "2", "-d", "restored", join(folder, "through")], {
          env: connectionEnv(through, "restored"),
        }),
    ],
    [
      "pg_restore --single-transaction through Postern",
      () =>
        runProgram(programs.restore, ["-1", "-d", "restored", join(folder, "through")], {
          env: connectionEnv(through, "restored"),
        }),
    ],
    [
      "plain dump restored by psql through Postern with function_call: false",
      () =>
        runProgram(programs.psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", "-"], {
          env: connectionEnv(pair.closed, "restored"),
          input: Buffer.from(plain.stdout, "latin1"),
        }),
    ],
  ];
  for (const [what, run] of ways) {
    const name = `${prefix}: ${what}`;
    await pair.servers.postern("postgres", "drop database if exists restored with (force)");
    await pair.servers.postern("postgres", "create database restored owner conformance");
    const done = await run();
    if (done.code !== 0 || done.stderr !== "") {
      report.fail(name, `exit code ${done.code}\n${done.stderr}`);
      continue;
    }
    const again = await runProgram(programs.dump, [], { env: connectionEnv(around, "restored") });
    same(report, `${name}: dumps alike`, plain, again);
  }
}

/** With large objects in the database, pg_dump needs the fast path. */
async function closed(report: Report, prefix: string, pair: Pair, dump: string): Promise<void> {
  const name = `${prefix}: large objects with function_call: false`;
  const env = connectionEnv(pair.closed, "dump");
  const whole = await runProgram(dump, [], { env });
  const without = await runProgram(dump, ["--no-blobs"], { env });
  if (
    /the FunctionCall message is not allowed here/.test(whole.stderr) &&
    whole.code === 1 &&
    without.code === 0
  )
    report.known(name, "pg_dump fails with a clear error and works with --no-blobs");
  else report.fail(name, `exit codes ${whole.code} and ${without.code}\n${whole.stderr}\n${without.stderr}`);
}
