/** `postern audit reindex`: makes the search index anew, or checks it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compareIndex } from "../../audit/index/compare.ts";
import { IndexWriter } from "../../audit/index/writer.ts";
import { AuditOpenError } from "../../audit/index.ts";
import type { LogPlace } from "../../audit/read/leaves.ts";
import { isSqlite } from "../../audit/read/search.ts";
import { readArgs } from "../lib/args.ts";
import { type AuditPlace, findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit reindex [--check] [--update] [--json]

Makes the search index (index.db beside the segments) anew from the log. A running gateway does this by itself.

      --check     compare every row of the index with its record, and change nothing
      --update    take only what the index has not yet
      --keys DIR  the folder of the keys, for the search of known values (default: as postern.yaml says)
      --no-keys   make an index without known values
      --json      the result as JSON, one line a log
${placeUsage}
Exit code 0: done, or the index is right. 1: it is not, with the first disagreement.
`;

export async function reindex(args: string[]): Promise<number> {
  const flag = { type: "boolean" } as const;
  const options = {
    ...placeOptions,
    check: flag,
    update: flag,
    keys: { type: "string" },
    "no-keys": flag,
    json: flag,
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const place = await findPlace(values, usage);
  const keys = values["no-keys"] === true ? null : keysFolder(place, values.keys);
  let code = 0;
  for (const log of place.logs) {
    try {
      const done = values.check === true ? check(log, keys) : build(log, keys, values.update === true);
      if (!done.ok) code = 1;
      process.stdout.write(
        values.json === true ? `${JSON.stringify({ log: log.name, ...done.json })}\n` : `${done.text}\n`,
      );
    } catch (error) {
      if (!isSqlite(error) && !(error instanceof AuditOpenError)) throw error;
      process.stderr.write(
        `postern audit reindex: ${log.name === "" ? "" : `${log.name}: `}${error.message}\n`,
      );
      code = 1;
    }
  }
  return code;
}

interface Done {
  readonly ok: boolean;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Without the keys (an auditor's copy) there is an index all the same, only none of known values. */
function keysFolder(place: AuditPlace, given: string | undefined): string | null {
  if (given !== undefined) return given;
  return existsSync(join(place.keys, "master.key")) ? place.keys : null;
}

function check(log: LogPlace, keys: string | null): Done {
  const name = log.name === "" ? log.dir : log.name;
  const report = compareIndex(log, { keys, progress: progress(name) });
  if (report === null)
    return {
      ok: false,
      text: `BAD  ${name}: there is no index`,
      json: { ok: false, problem: "there is no index" },
    };
  const { ok, records, behind, values, firstDisagreement: first } = report;
  const where = first?.index == null ? "" : ` at record ${first.index}`;
  const rest = behind === 0 ? "" : `; ${behind} more are not in it yet`;
  return {
    ok,
    text: ok
      ? `OK   ${name}: ${records} records as the index has them${values ? ", known values too" : ""}${rest}`
      : `BAD  ${name}: the index disagrees${where}: ${first?.problem}`,
    json: { ...report },
  };
}

function build(log: LogPlace, keys: string | null, update: boolean): Done {
  const name = log.name === "" ? log.dir : log.name;
  const show = progress(name);
  const writer = new IndexWriter(log, { keys });
  const start = performance.now();
  try {
    if (!update) writer.reset();
    let taken = 0;
    for (let count = writer.step(20_000); count > 0; count = writer.step(20_000)) {
      taken += count;
      show(taken);
    }
    const seconds = (performance.now() - start) / 1000;
    const json = {
      ok: true,
      records: writer.size,
      taken,
      seconds: Number(seconds.toFixed(3)),
      values: keys !== null,
    };
    return { ok: true, text: `OK   ${name}: ${taken} records indexed in ${seconds.toFixed(1)} s`, json };
  } finally {
    writer.close();
  }
}

function progress(name: string): (records: number) => void {
  if (!process.stderr.isTTY) return () => {};
  return (records) => process.stderr.write(`\r${name}: ${records} records`);
}
