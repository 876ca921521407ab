/** Python's drivers, as the distribution has them: psycopg2, psycopg 3, asyncpg. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compareSections, type Known } from "../support/compare.ts";
import { runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair } from "../support/servers.ts";

/** The distribution's own interpreter sees the distribution's packages. */
const python = "/usr/bin/python3";
const clients = join(import.meta.dirname, "../clients");
const modules = { psycopg2: "psycopg2", psycopg3: "psycopg", asyncpg: "asyncpg" } as const;

const known: Readonly<Record<keyof typeof modules, Known>> = {
  psycopg2: {
    "replication connection": "refused unless the database says `replication: true`",
    "a statement of 5 MB: this driver puts values into the text":
      "larger than `limits.statement_bytes` (4 MiB unless configured): refused with 54000, the session goes on",
  },
  psycopg3: {},
  asyncpg: {},
};

/** The driver's version; null when it is not installed. */
export async function pythonDriver(driver: keyof typeof modules): Promise<string | null> {
  if (!existsSync(python)) return null;
  const module = modules[driver];
  const done = await runProgram(python, ["-c", `import ${module}; print(${module}.__version__)`]);
  return done.code === 0 ? (done.stdout.split(" ")[0] ?? "").trim() : null;
}

export async function pythonSuite(report: Report, pair: Pair, driver: keyof typeof modules): Promise<void> {
  if ((await pythonDriver(driver)) === null)
    return report.skip(driver, `not installed (Debian: apt-get install python3-${modules[driver]})`);
  const battery = {
    command: python,
    args: ["-B", join(clients, `${driver}_battery.py`)],
    options: { limit: 240, env: { PYTHONHASHSEED: "0" } },
  };
  await compareSections(report, driver, pair, driver, battery, known[driver]);
  if (driver === "psycopg3") {
    const inTls = { ...battery, tls: true };
    await compareSections(report, `${driver} over TLS`, pair, driver, inTls, known[driver]);
  }
}
