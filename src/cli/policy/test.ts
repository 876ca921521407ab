/** `postern policy test`: runs the *.test.yaml beside a policy. */
import { policyTestFiles } from "../../policy/index.ts";
import { readCases } from "../../policy/lab/cases.ts";
import { runCases, type TestResult } from "../../policy/lab/run.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { printable } from "../lib/table.ts";
import type { OpenAnalyser } from "./analyser.ts";
import { findPolicy, placeOptions, reporting } from "./place.ts";

const usage = `Usage: postern policy test [DIR] [-p POLICY] [-c postern.yaml] [--json]

Runs the *.test.yaml in DIR (or one such file) against the policy there; without DIR, those beside the policy of postern.yaml.
A test: { as: {...principal}, database, sql, expect: allow | deny | approve | masked, rule?, code?, columns_masked? }

  -p, --policy PATH  the policy, where it does not lie in DIR
  -c, --config FILE  analyse the statements on the databases of this configuration
      --json         one result a line

Without -c only tests that give the statement's facts (facts: { effects: [read], … }) are run, the others are skipped.
Exit code 0: all that ran passed. 1: a test failed. 2: a mistake in a file, or no test could run. 3: a database cannot be asked.
`;

export async function test(args: string[], openAnalyser: OpenAnalyser | null): Promise<number> {
  const parsed = readArgs(args, usage, placeOptions, { least: 0, most: 1 });
  if (parsed === null) return 0;
  const { json, config, policy: path } = parsed.values;
  const [dir] = parsed.positionals;
  return reporting(json, async () => {
    const beside = dir?.endsWith(".yaml") === true ? undefined : dir;
    const place = await findPolicy(
      { path: path ?? beside, config: config ?? (dir === undefined ? "postern.yaml" : undefined) },
      usage,
    );
    const cases = readCases(policyTestFiles(dir ?? place.path));
    if (cases.length === 0) throw new UsageError(`${dir ?? place.path} holds no *.test.yaml`, usage);
    const { settings } = place;
    const opened = settings === null || openAnalyser === null ? null : await openAnalyser(settings);
    try {
      const results = await runCases(place.policy, cases, opened?.analyse ?? null);
      return tell(results, json === true);
    } finally {
      await opened?.close();
    }
  });
}

function tell(results: readonly TestResult[], json: boolean): number {
  const count = (outcome: TestResult["outcome"]) => results.filter((one) => one.outcome === outcome).length;
  for (const { test: one, outcome, why, got } of results) {
    const place = `${one.file}:${one.line}`;
    if (json)
      process.stdout.write(
        `${JSON.stringify({ file: one.file, line: one.line, name: one.name, outcome, why, got })}\n`,
      );
    else if (outcome !== "passed")
      process.stdout.write(
        `${outcome.toUpperCase()}  ${printable(`${place}  ${one.name}`)}\n      ${printable(why ?? "")}\n`,
      );
  }
  const [passed, failed, skipped] = [count("passed"), count("failed"), count("skipped")];
  if (!json)
    process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
  if (failed > 0) return 1;
  if (passed > 0) return 0;
  process.stderr.write(
    "postern policy test: no test could run (give -c postern.yaml, or facts in the tests)\n",
  );
  return 2;
}
