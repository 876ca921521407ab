/** pgjdbc, as the distribution has it, on its JDK. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../../bench/processes.ts";
import { compareSections, type Known } from "../support/compare.ts";
import { runProgram } from "../support/program.ts";
import type { Report } from "../support/report.ts";
import type { Pair } from "../support/servers.ts";

const jar = "/usr/share/java/postgresql.jar";

/** Names that the driver makes of object numbers, which depend on how many server processes there were. */
const oids = (text: string) => text.replaceAll(/\bf_\d{5}\b/g, "f_N");

const known: Known = {
  "application_name given at connect":
    "on the server it is `postern:<principal>`; the client's own is in the record, and what SET says counts",
  "replication connection": "refused unless the database says `replication: true`",
};

/** The driver's version; null when it or a JDK is not installed. */
export async function javaDriver(): Promise<string | null> {
  const java = findProgram("java");
  if (!existsSync(jar) || java === null || findProgram("javac") === null) return null;
  const done = await runProgram(java, ["-jar", jar]);
  return /(\d+\.\d+\.\d+)/.exec(done.stdout)?.[1] ?? "?";
}

export async function javaSuite(report: Report, pair: Pair): Promise<void> {
  const java = findProgram("java");
  const javac = findProgram("javac");
  if (!existsSync(jar) || java === null || javac === null)
    return report.skip(
      "pgjdbc",
      "not installed (Debian: apt-get install libpostgresql-jdbc-java default-jdk-headless)",
    );
  const folder = mkdtempSync(join(tmpdir(), "postern-java-"));
  try {
    const source = join(import.meta.dirname, "../clients/Jdbc.java");
    const compiled = await runProgram(javac, ["-encoding", "UTF-8", "-cp", jar, "-d", folder, source]);
    if (compiled.code !== 0) return report.fail("pgjdbc: compiling", compiled.stderr);
    await compareSections(
      report,
      "pgjdbc",
      pair,
      "pgjdbc",
      {
        command: java,
        args: ["-Xmx1g", "-XX:TieredStopAtLevel=1", "-cp", `${folder}:${jar}`, "Jdbc"],
        options: { limit: 300 },
        normalise: oids,
      },
      known,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
