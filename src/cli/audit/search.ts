/** `postern audit search`: records by who, what, where, when and how it ended. */
import { at } from "../../audit/read/leaves.ts";
import { type Hit, type SearchFilters, searchLog } from "../../audit/read/search.ts";
import { sentence } from "../../audit/read/sentence.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit search [filters] [--limit N] [--json]

      --subject S --group G   who, as the token says
      --database D --table T  where; T is schema.relation or relation
      --since T --until T     when: 2026-11-22, 2026-11-22T10:00:00Z, or ago: 90s, 15m, 6h, 7d
      --verdict V             allow, deny or approve
      --status S              ok, error, denied, cancelled, cut or unknown
      --text WORDS            anywhere in the record as stored (literals are sealed and not searched)
      --run ID                the run the caller claims, its trace id, or a session
      --limit N               the latest N (default 100)
      --json                  one record a line, with its place and outcome
${placeUsage}
Exit code 0: found. 1: nothing found.
`;

const verdicts = ["allow", "deny", "approve"];
const statuses = ["ok", "error", "denied", "cancelled", "cut", "unknown"];

export async function search(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...placeOptions,
    subject: word,
    group: word,
    database: word,
    table: word,
    since: word,
    until: word,
    verdict: word,
    status: word,
    text: word,
    run: word,
    limit: { type: "string", default: "100" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const limit = Number(values.limit);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new UsageError("--limit is not a number above 0", usage);
  const filters: SearchFilters = {
    ...given("subject", values.subject),
    ...given("group", values.group),
    ...given("database", values.database),
    ...given("table", values.table),
    ...given("text", values.text),
    ...given("run", values.run),
    ...given("verdict", oneOf("--verdict", values.verdict, verdicts)),
    ...given("status", oneOf("--status", values.status, statuses)),
    ...given("since", moment("--since", values.since)),
    ...given("until", moment("--until", values.until)),
  };
  const place = await findPlace(values, usage);
  const hits = place.logs
    .flatMap((log) => searchLog(log, filters, limit))
    .sort((a, b) => String(a.leaf.time).localeCompare(String(b.leaf.time)))
    .slice(-limit);
  for (const hit of hits) process.stdout.write(values.json === true ? `${asJson(hit)}\n` : asText(hit));
  if (values.json !== true && hits.length === limit)
    process.stderr.write(`the latest ${limit}; there may be more (--limit)\n`);
  return hits.length > 0 ? 0 : 1;
}

function given<Name extends keyof SearchFilters>(
  name: Name,
  value: SearchFilters[Name] | undefined,
): SearchFilters {
  return value === undefined ? {} : { [name]: value };
}

function oneOf(option: string, value: string | undefined, known: readonly string[]): string | undefined {
  if (value !== undefined && !known.includes(value))
    throw new UsageError(`${option} is one of ${known.join(", ")}`, usage);
  return value;
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function moment(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ago = /^(\d{1,6})([smhd])$/.exec(value);
  const unit = units[ago?.[2] ?? ""];
  if (unit !== undefined) return Date.now() - Number(ago?.[1]) * unit;
  const time = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`${option}: neither a time nor a span like 15m`, usage);
  return time;
}

function asJson(hit: Hit): string {
  return JSON.stringify({ log: hit.log, index: hit.index, ...hit.leaf, outcome: hit.outcome });
}

function asText(hit: Hit): string {
  const id = at(hit.leaf, "request") ?? at(hit.leaf, "id");
  return `${sentence(hit.leaf, null, hit.outcome)}\n    ${String(id)}\n`;
}
