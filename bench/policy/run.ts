/**
 * What a policy costs. `node bench/policy/run.ts [--only statements|load|rows|beside] [--seconds N] [--rounds N]`: CPU of
 * analysis and decision; pgbench and a large result through a gateway with the policy agent-safe and labels, interleaved with the
 * same gateway without; and what a client that sends poison does to another one.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startCluster } from "../../test/support/cluster.ts";
import { findProgram, run, stop } from "../processes.ts";
import { benchBeside } from "./beside.ts";
import { startGateway, type Target } from "./gateway.ts";
import { benchLoad, benchRows } from "./load.ts";
import { benchStatements } from "./statements.ts";
import { schema } from "./texts.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
  },
});

/** agent-safe for an application, with every limit that is counted; two columns of each large table are masked. */
export const policy = `
version: 1
extends: agent-safe
labels:
  - label: pii.email
    columns: ["*.*.*.email"]
    mask: partial
  - label: pii.person
    columns: ["*.*.*.full_name", "*.*.*.phone", "*.*.wide.name"]
    mask: redact
rules:
  - name: bench
    when: 'principal.kind == "service"'
    then: limit
    limits: { rows: 10000000, bytes: 10GiB, per_minute: 100000000 }
`;

const wanted = (name: string) => options.only === undefined || options.only === name;
const pgbench = findProgram("pgbench");
const psql = findProgram("psql");
const folder = mkdtempSync(join(tmpdir(), "postern-policy-bench-"));
chmodSync(folder, 0o755);
const targets: Target[] = [];
const cluster = await startCluster({ conf: { shared_buffers: "256MB", max_connections: "100" } });
try {
  const database = await cluster.createDatabase("bench");
  await cluster.query(database, "create role bench login password 'bench' superuser");
  if (pgbench === null || psql === null)
    throw new Error("bench needs pgbench and psql (Debian: apt-get install postgresql)");
  run(
    pgbench,
    ["-h", "127.0.0.1", "-p", String(cluster.port), "-U", "bench", "-i", "-q", "-s", "5", database],
    { PGPASSWORD: "bench", PGSSLMODE: "disable" },
  );
  await cluster.query(database, schema);
  await cluster.query(database, "vacuum analyze");
  const place = { host: "127.0.0.1", port: cluster.port, user: "bench", password: "bench", dbname: database };
  if (wanted("statements")) {
    console.log("\nCPU of analysis and decision, a statement");
    await benchStatements(place, policy);
  }
  const load = { pgbench, psql, seconds: Number(options.seconds), rounds: Number(options.rounds) };
  const direct = { ...place, name: "direct", database, child: null };
  if (wanted("load") || wanted("rows") || wanted("beside")) {
    targets.push(await startGateway(folder, "no policy", place, null));
    targets.push(await startGateway(folder, "policy", place, policy));
  }
  const [without, with_] = targets;
  if (without !== undefined && with_ !== undefined) {
    if (wanted("load")) benchLoad([without, with_], load);
    if (wanted("rows")) {
      for (const [table, names] of [
        ["plain", "name, mail"],
        ["wide", "name, email"],
      ] as const)
        await cluster.query(
          database,
          `create table ${table} (id, ${names}, amount, at, flag, note) as select g, md5(g::text), 'maria.' || g || '@example.com', g * 1.5, now(), g % 2 = 0, 'note ' || g from generate_series(1, 500000) g`,
        );
      await cluster.query(database, "vacuum analyze");
      benchRows(
        [
          { ...direct, table: "wide" },
          { ...without, table: "wide" },
          { ...with_, name: "policy, nothing masked", table: "plain" },
          { ...with_, name: "policy, 2 of 7 masked", table: "wide" },
        ],
        load,
      );
    }
    if (wanted("beside")) await benchBeside(with_, folder, load);
  }
} finally {
  for (const { child } of targets) if (child !== null) await stop(child);
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}
