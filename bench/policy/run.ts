/**
 * What a policy costs. `node bench/policy/run.ts [--only statements|load|rows|beside] [--seconds N] [--rounds N]`: CPU of
 * analysis and decision; pgbench and a large result through a gateway with the policy agent-safe and labels, interleaved with the
 * same gateway without; and what a client that sends poison does to another one.
 */
import { parseArgs } from "node:util";
import { startCluster } from "../../test/support/cluster.ts";
import { findProgram, run } from "../processes.ts";
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
const cluster = await startCluster({ conf: { shared_buffers: "256MB", max_connections: "100" } });
try {
  const database = await cluster.createDatabase("bench");
  await cluster.query(database, "create role bench login password 'bench' superuser");
  if (pgbench === null) throw new Error("bench needs pgbench (Debian: apt-get install postgresql)");
  run(
    pgbench,
    ["-h", "127.0.0.1", "-p", String(cluster.port), "-U", "bench", "-i", "-q", "-s", "5", database],
    { PGPASSWORD: "bench", PGSSLMODE: "disable" },
  );
  await cluster.query(database, schema);
  await cluster.query(database, "vacuum analyze");
  if (wanted("statements")) {
    console.log("\nCPU of analysis and decision, a statement");
    await benchStatements(
      { host: "127.0.0.1", port: cluster.port, user: "bench", password: "bench", dbname: database },
      policy,
    );
  }
} finally {
  await cluster.stop();
}
