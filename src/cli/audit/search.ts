/** `postern audit search`: records by who, what, where, when and how it ended. */
import { AuditOpenError } from "../../audit/index.ts";
import { at } from "../../audit/read/leaves.ts";
import { type SearchFilters, searchLog } from "../../audit/read/search.ts";
import { printable, sentence } from "../../audit/read/sentence.ts";
import { readUndone, type ToldHit } from "../../audit/read/undone.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { filterOptions, filterUsage, readFilters } from "./filters.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit search [filters] [--limit N] [--json]

${filterUsage}      --value V               a parameter or literal known to be V (needs the index and the keys; see docs/audit-search.md)
      --limit N               the latest N (default 100)
      --scan                  read the log itself, not its index
      --keys DIR              the folder of the keys, for --value (default: as postern.yaml says)
      --json                  one record a line, with its place and outcome
${placeUsage}
Every hit is checked against its record before it is shown; a row of the index that differs is reported on stderr.
Exit code 0: found. 1: nothing found, or the index was tampered with.
`;

export async function search(args: string[]): Promise<number> {
  const options = {
    ...placeOptions,
    ...filterOptions,
    value: { type: "string" },
    limit: { type: "string", default: "100" },
    scan: { type: "boolean" },
    keys: { type: "string" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const limit = Number(values.limit);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new UsageError("--limit is not a number above 0", usage);
  const filters: SearchFilters = {
    ...readFilters(values, usage),
    ...(values.value === undefined ? {} : { value: values.value }),
  };
  const place = await findPlace(values, usage);
  const keys = values.value === undefined ? null : (values.keys ?? place.keys);
  const hits: ToldHit[] = [];
  let tampered = false;
  try {
    for (const log of place.logs) {
      const result = searchLog(log, filters, limit, { scan: values.scan === true, keys });
      const undone = readUndone(log, result.hits, values.scan === true);
      hits.push(...result.hits.map((hit) => ({ ...hit, undone: undone.get(hit.index) ?? null })));
      if (result.notice !== null && values.scan !== true) say(log.name, result.notice);
      for (const { index, problem } of result.tampered) {
        tampered = true;
        say(log.name, `the index was tampered with: its row ${index} is not shown, ${problem}`);
      }
    }
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    say("", error.message);
    return 1;
  }
  hits.sort((a, b) => String(a.leaf.time).localeCompare(String(b.leaf.time)));
  for (const hit of hits.slice(-limit))
    process.stdout.write(values.json === true ? `${asJson(hit)}\n` : asText(hit));
  if (values.json !== true && hits.length === 0) process.stderr.write("nothing found\n");
  if (values.json !== true && hits.length >= limit)
    process.stderr.write(`the latest ${limit}; there may be more (--limit)\n`);
  return hits.length > 0 && !tampered ? 0 : 1;
}

function say(log: string, text: string): void {
  process.stderr.write(`postern audit search: ${log === "" ? "" : `${log}: `}${text}\n`);
}

function asJson({ log, index, leaf, outcome, undone }: ToldHit): string {
  return JSON.stringify({ log, index, ...leaf, outcome, ...(undone === null ? {} : { undone }) });
}

function asText(hit: ToldHit): string {
  const id = at(hit.leaf, "request") ?? at(hit.leaf, "id");
  return `${sentence(hit.leaf, null, hit.outcome, hit.undone)}\n    ${printable(String(id))}\n`;
}
