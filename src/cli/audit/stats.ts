/** `postern audit stats`: how many statements, by verdict, principal, relation, rule, outcome and hour. */
import { printable } from "../../audit/read/sentence.ts";
import { addStats, type Counts, logStats, type Stats, type StatsFilters } from "../../audit/read/stats.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { moment } from "./filters.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit stats [--subject S] [--database D] [--verdict V] [--since T] [--until T] [--top N] [--json]

Counts come from the search index, by the hour: the hours in which --since and --until lie count whole.

      --top N    lines of each list (default 10)
      --scan     count the log itself, not its index
      --json     all counts as one JSON object
${placeUsage}`;

export async function stats(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...placeOptions,
    subject: word,
    database: word,
    verdict: word,
    since: word,
    until: word,
    top: { type: "string", default: "10" },
    scan: { type: "boolean" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const top = Number(values.top);
  if (!Number.isSafeInteger(top) || top < 1) throw new UsageError("--top is not a number above 0", usage);
  const filters: StatsFilters = {
    ...(values.subject === undefined ? {} : { subject: values.subject }),
    ...(values.database === undefined ? {} : { database: values.database }),
    ...(values.verdict === undefined ? {} : { verdict: values.verdict }),
    ...(values.since === undefined ? {} : { since: moment("--since", values.since, usage) }),
    ...(values.until === undefined ? {} : { until: moment("--until", values.until, usage) }),
  };
  const place = await findPlace(values, usage);
  const results = place.logs.map((log) => {
    const result = logStats(log, filters, values.scan === true);
    if (result.notice !== null)
      process.stderr.write(
        `postern audit stats: ${log.name === "" ? "" : `${log.name}: `}${result.notice}\n`,
      );
    return result.stats;
  });
  const sum = addStats(results);
  process.stdout.write(values.json === true ? `${JSON.stringify(sum)}\n` : describe(sum, top));
  return 0;
}

const titles: readonly (readonly [Exclude<keyof Stats, "statements" | "hour">, string])[] = [
  ["verdict", "by verdict"],
  ["status", "by outcome"],
  ["principal", "by principal"],
  ["database", "by database"],
  ["rule", "by rule"],
  ["reads", "relations read"],
  ["writes", "relations written"],
];

function describe(stats: Stats, top: number): string {
  const parts = [`${stats.statements} statement${stats.statements === 1 ? "" : "s"}\n`];
  for (const [name, title] of titles) parts.push(table(title, stats[name], top));
  const hours = Object.entries(stats.hour);
  parts.push(table("by hour", Object.fromEntries(hours.slice(-Math.max(top, 24))), Math.max(top, 24)));
  return parts.filter((p) => p !== "").join("\n");
}

function table(title: string, counts: Counts, top: number): string {
  const entries = Object.entries(counts);
  if (entries.length === 0) return "";
  const shown = entries.slice(0, top).map(([name, n]) => `${String(n).padStart(10)}  ${printable(name)}\n`);
  const rest = entries.slice(top).reduce((sum, [, n]) => sum + n, 0);
  const more = rest === 0 ? "" : `${String(rest).padStart(10)}  ${entries.length - top} more\n`;
  return `${title}\n${shown.join("")}${more}`;
}
