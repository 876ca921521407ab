/** The drivers of Node: node-postgres and postgres.js, from devDependencies. */
import { join } from "node:path";
import { compareSections, type Known } from "../support/compare.ts";
import type { Report } from "../support/report.ts";
import type { Pair } from "../support/servers.ts";

const login: Known = {
  "unknown database":
    "Postern says that the database is not known here: it need not exist on the server, and may be there",
  "wrong password": "Postern checks tokens, with one generic message",
};

const replication = "refused unless the database says `replication: true`";

const known: Readonly<Record<string, Known>> = {
  "node-postgres": {
    ...login,
    "startup setting that Postern does not pass on":
      "only the settings listed in the error may be set at connect; SET works after it",
    "replication connection": replication,
    "startup setting that is wrong":
      "the server's own error may tell of the login: replaced by one that names the setting",
    "65,536 parameters: more than Bind can count":
      "the driver writes a message that cannot be read; PostgreSQL fails the statement, Postern ends the session (08P01 both)",
    "a custom setting of an earlier session is null again, not empty":
      "connections are used again after DISCARD ALL, which leaves custom settings empty rather than unknown; `pool: { reset: close }` avoids it",
  },
  "postgres.js": {
    ...login,
    "subscribe (replication connection)": replication,
  },
};

export async function nodeSuite(
  report: Report,
  pair: Pair,
  driver: "node-postgres" | "postgres.js",
): Promise<void> {
  const file = join(
    import.meta.dirname,
    `../clients/${driver === "postgres.js" ? "postgres-js" : driver}.ts`,
  );
  await compareSections(
    report,
    driver,
    pair,
    driver === "postgres.js" ? "postgres_js" : "node_postgres",
    { command: process.execPath, args: ["--no-deprecation", file], options: { limit: 300 } },
    known[driver],
  );
}
