/**
 * The lineage corpus and random statements through the drivers of other languages, where they are installed: whatever they make of a
 * statement (binary formats, statements that are never described again, cursors, COPY), no token is in any byte they get.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../../bench/processes.ts";
import { randomStatement, seeded } from "../analysis/lineage-random.ts";
import { runProgram } from "../conformance/support/program.ts";
import { type LineageLab, lineageCases, startLineageLab } from "./support.ts";

const clients = join(import.meta.dirname, "clients");
/** The distribution's own interpreter sees the distribution's packages. */
const python = "/usr/bin/python3";
const jar = "/usr/share/java/postgresql.jar";
const java = existsSync(jar) ? findProgram("java") : null;
const psql = findProgram("psql");

async function hasModule(name: string): Promise<boolean> {
  return existsSync(python) && (await runProgram(python, ["-c", `import ${name}`])).code === 0;
}

interface Driver {
  readonly name: string;
  /** What the distribution calls it. */
  readonly wanted: string;
  readonly there: boolean;
  readonly command: readonly string[];
  /** How it takes the statements on stdin. */
  input(statements: readonly string[]): string;
  /** Counts what ran and what was refused. */
  count(stdout: string): { readonly ran: number; readonly refused: number };
  /** What it printed, without base64: that spells anything by chance. */
  plain?(stdout: string): string;
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const jsonLines: Pick<Driver, "input" | "count"> = {
  input: (statements) => JSON.stringify(statements),
  count(stdout) {
    const said = lines(stdout).map((line) => JSON.parse(line) as { ok: boolean });
    return { ran: said.filter(({ ok }) => ok).length, refused: said.filter(({ ok }) => !ok).length };
  },
};

const drivers: readonly Driver[] = [
  {
    name: "asyncpg",
    wanted: "python3-asyncpg",
    there: await hasModule("asyncpg"),
    command: [python, "-B", join(clients, "run_asyncpg.py")],
    ...jsonLines,
  },
  {
    name: "psycopg 3",
    wanted: "python3-psycopg",
    there: await hasModule("psycopg"),
    command: [python, "-B", join(clients, "run_psycopg.py")],
    ...jsonLines,
  },
  {
    name: "pgjdbc",
    wanted: "libpostgresql-jdbc-java and a JDK",
    there: java !== null,
    command: [
      java ?? "java",
      "-Xmx512m",
      "-XX:TieredStopAtLevel=1",
      "-cp",
      jar,
      join(clients, "RunJdbc.java"),
    ],
    input: (statements) => statements.map((sql) => `${Buffer.from(sql).toString("base64")}\n`).join(""),
    count: (stdout) => ({
      ran: lines(stdout).filter((line) => line.split(" ")[1] === "ok").length,
      refused: lines(stdout).filter((line) => line.split(" ")[1] !== "ok").length,
    }),
    plain: (stdout) =>
      lines(stdout)
        .map((line) => Buffer.from(line.split(" ")[2] ?? "", "base64").toString())
        .join("\n"),
  },
  {
    name: "psql",
    wanted: "postgresql-client",
    there: psql !== null,
    command: [psql ?? "psql", "-X", "-A", "-t"],
    // Once as it is, once described first, once in pieces by a cursor, and once as a copy.
    input: (statements) =>
      statements
        .map((sql) => {
          const reads = !/^[\s(]*(update|delete|insert|merge)/i.test(sql);
          return reads
            ? `${sql};\n${sql} \\gdesc\n\\set FETCH_COUNT 2\n${sql};\n\\unset FETCH_COUNT\n\\copy (${sql.replaceAll(/\s+/g, " ")}) to stdout csv\n\\echo ok\n`
            : `begin;\n${sql};\nrollback;\n\\echo ok\n`;
        })
        .join(""),
    count: (stdout) => ({ ran: lines(stdout).filter((line) => line !== "ok").length, refused: 1 }),
  },
];

const statements = [
  ...lineageCases.map(({ sql }) => sql.replace(/;\s*$/, "")),
  ...Array.from({ length: 60 }, (_, i) => randomStatement(seeded(9000 + i))),
];

describe.each([
  ["output", "partial"],
  ["derived", "hash"],
] as const)("use: %s, mask: %s", (use, mask) => {
  let lab: LineageLab;
  beforeAll(async () => {
    lab = await startLineageLab(use, mask);
  });
  afterAll(async () => {
    await lab?.stop();
  });

  for (const driver of drivers)
    test.skipIf(!driver.there)(
      `${driver.name}${driver.there ? "" : ` (not installed: apt-get install ${driver.wanted})`}`,
      async () => {
        const [command = "", ...args] = driver.command;
        const done = await runProgram(command, args, {
          input: driver.input(statements),
          limit: 240,
          env: {
            PGHOST: lab.recorder.host,
            PGPORT: String(lab.recorder.port),
            PGUSER: "anyone",
            PGPASSWORD: await lab.postern.token(),
            PGDATABASE: "lineage",
            PGSSLMODE: "disable",
            PYTHONHASHSEED: "0",
          },
        });
        expect(done.code, done.stderr).toBe(0);
        const { ran, refused } = driver.count(done.stdout);
        // There must be something to look at, and the driver must have gone through all of it.
        expect(ran).toBeGreaterThan(statements.length / 4);
        expect(refused).toBeGreaterThan(0);
        expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
        const said = driver.plain?.(done.stdout) ?? done.stdout;
        expect(lab.tokens.found(Buffer.from(said + done.stderr))).toEqual([]);
      },
      300_000,
    );

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
