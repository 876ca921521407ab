/** pgbench through Postern: every mode, no error, and the sums that its transactions must leave behind. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../../bench/processes.ts";
import { connectionEnv, runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair } from "../support/servers.ts";

const pipeline = `\\set id random(1, 100000)
\\startpipeline
select abalance from pgbench_accounts where aid = :id;
insert into marks(id) values (:id);
select :id + 1;
\\endpipeline
`;
const pipelineTransaction = `\\set id random(1, 1000)
\\startpipeline
begin;
update counters set n = n + 1 where id = :id % 10;
insert into marks(id) values (:id);
end;
\\endpipeline
`;
const gset = `\\set id random(1, 100000)
select abalance as b, bid from pgbench_accounts where aid = :id \\gset x_
select :x_b::int + :x_bid::int as sum, :id::int as same \\aset
select 2 as two \\gset
\\if :two = 2
insert into marks(id) values (:same);
\\else
select 1/0;
\\endif
`;
/** Only the simple protocol takes several statements at once. */
const combined = `select 1 as a \\; insert into marks(id) values (1) \\; select 2 as b, 3 as c \\aset
\\if :a + :b + :c = 6
insert into marks(id) values (2);
\\endif
`;
const serializable = `begin isolation level serializable;
select sum(n) as s from counters \\gset
update counters set n = n + 1 where id = :client_id % 10;
end;
`;
/** COPY and a long text inside a script. */
const odd = `select repeat('x', 100000);
do $$ begin raise notice 'n'; end $$;
-- a comment
select /* another */ 1;
`;

export async function pgbenchSuite(report: Report, pair: Pair): Promise<void> {
  const prefix = "pgbench";
  const pgbench = findProgram("pgbench");
  if (pgbench === null) return report.skip(prefix, "pgbench is not installed");
  const folder = mkdtempSync(join(tmpdir(), "postern-pgbench-"));
  const script = (name: string, text: string) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const query = (sql: string) => pair.servers.postern("pgbench", sql);
  const number = async (sql: string) => Number((await query(`select (${sql})::int8 as n`))[0]?.n);
  const run = (args: readonly string[]) =>
    runProgram(pgbench, args, { env: connectionEnv(pair.postern, "pgbench"), limit: 180 });

  /** Runs transactions; checks that all were processed, and what `check` says of the database. */
  async function bench(
    name: string,
    clients: number,
    each: number,
    args: readonly string[],
    check: () => Promise<string | null> = async () => null,
  ): Promise<void> {
    const done = await run(["-n", "-c", String(clients), "-j", "2", "-t", String(each), ...args]);
    const wanted = `${clients * each}/${clients * each}`;
    const processed = /actually processed: (\S+)/.exec(done.stdout)?.[1];
    const failed = /number of failed transactions: (\d+)/.exec(done.stdout)?.[1];
    const full = `${prefix}: ${name}`;
    const noise = done.stderr.replaceAll(/^pgbench \(.*\n|^(pgbench: )?NOTICE: .*\n/gm, "");
    const wrong =
      done.code === 0 && processed === wanted && failed === "0" && noise === "" ? await check() : "run";
    if (wrong === null) report.pass(`${full} (${processed} transactions)`);
    else
      report.fail(
        full,
        `${wrong}\nexit code ${done.code}, processed ${processed} of ${wanted}, failed ${failed}\n${noise.slice(0, 1000)}`,
      );
  }

  let history = 0;
  /** After tpcb-like runs: every transaction is in the history once, and all balances agree. */
  const tpcb = (transactions: number) => async () => {
    history += transactions;
    const rows = await number("select count(*) from pgbench_history");
    const sums = await query(
      "select (select coalesce(sum(delta),0) from pgbench_history)::text as h, (select sum(abalance) from pgbench_accounts)::text as a, (select sum(tbalance) from pgbench_tellers)::text as t, (select sum(bbalance) from pgbench_branches)::text as b",
    );
    const { h, a, t, b } = sums[0] ?? {};
    if (rows !== history) return `${rows} rows in the history, not ${history}`;
    return h === a && h === t && h === b ? null : `sums differ: ${JSON.stringify(sums[0])}`;
  };
  const marks = (transactions: number) => async () => {
    const rows = await number("select count(*) from marks");
    await query("truncate marks");
    return rows === transactions ? null : `${rows} rows in marks, not ${transactions}`;
  };

  try {
    for (const steps of ["dtgvp", "dtGvpf"]) {
      const made = await run(["-i", "-I", steps, "-s", "1"]);
      const accounts = made.code === 0 ? await number("select count(*) from pgbench_accounts") : 0;
      const name = `${prefix}: -i -I ${steps}`;
      if (accounts === 100_000) report.pass(`${name} (${accounts} accounts)`);
      else report.fail(name, `exit code ${made.code}, ${accounts} accounts\n${made.stderr}`);
    }
    const partitioned = await run(["-i", "-q", "-s", "1", "--partitions=4"]);
    if (partitioned.code === 0) report.pass(`${prefix}: -i --partitions=4`);
    else report.fail(`${prefix}: -i --partitions=4`, partitioned.stderr);
    await query(
      "create table marks(id int); create table counters as select g as id, 0 as n from generate_series(0, 9) g",
    );

    for (const mode of ["simple", "extended", "prepared"]) {
      await bench(`-M ${mode}, tpcb-like, -c 8`, 8, 50, ["-M", mode], tpcb(400));
      await bench(`-M ${mode}, select-only, -c 8`, 8, 500, ["-M", mode, "-S"]);
      await bench(`-M ${mode} -C (a connection each), -c 8`, 8, 15, ["-M", mode, "-C"], tpcb(120));
      await bench(
        `-M ${mode}, \\gset, \\aset, \\if`,
        4,
        50,
        ["-M", mode, "-f", script("gset", gset)],
        marks(200),
      );
      await bench(`-M ${mode}, long results and notices`, 4, 25, ["-M", mode, "-f", script("odd", odd)]);
      if (mode === "simple") continue;
      await bench(
        `-M ${mode}, \\startpipeline`,
        8,
        100,
        ["-M", mode, "-f", script("pipeline", pipeline)],
        marks(800),
      );
      await bench(
        `-M ${mode}, a transaction in a pipeline`,
        8,
        50,
        ["-M", mode, "-f", script("pipeline2", pipelineTransaction)],
        marks(400),
      );
    }
    await bench("-M simple, combined statements", 4, 50, ["-f", script("combined", combined)], marks(400));
    await bench("serialization failures are retried", 8, 20, [
      "--max-tries=1000",
      "-f",
      script("serializable", serializable),
    ]);
    await bench("three scripts mixed", 8, 50, ["-b", "tpcb-like@1", "-b", "select-only@3", "-M", "prepared"]);
    await bench("-c 40", 40, 20, ["-S", "-M", "prepared"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
