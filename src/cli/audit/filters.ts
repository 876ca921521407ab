/** The filters that `postern audit search`, `stats` and `export` share. */
import type { SearchFilters } from "../../audit/read/filters.ts";
import { UsageError } from "../lib/args.ts";

const word = { type: "string" } as const;
export const filterOptions = {
  subject: word,
  group: word,
  token: word,
  session: word,
  request: word,
  database: word,
  table: word,
  column: word,
  label: word,
  function: word,
  fingerprint: word,
  rule: word,
  type: word,
  since: word,
  until: word,
  verdict: word,
  status: word,
  text: word,
  run: word,
} as const;

export const filterUsage = `      --subject S --group G   who, as the token says
      --token T               the token's id (jti) or its SHA-256
      --session ID            one session; --request ID one client message
      --database D --table T  where; T is schema.relation or relation
      --column C --label L    what: schema.relation.column or its end; a label of the policy
      --function F            schema.function or function
      --fingerprint F         statements of one shape
      --rule R --verdict V    the policy's rule; allow, deny or approve
      --status S              ok, error, denied, cancelled, cut or unknown
      --type T                the record's type, e.g. session.start
      --since T --until T     when: 2026-11-22, 2026-11-22T10:00:00Z, or ago: 90s, 15m, 6h, 7d
      --text WORDS            all of these words in the record (literals are sealed and not searched); end* for beginnings
      --run ID                the run the caller claims, its traceparent or trace id, or a session
`;

const verdicts = ["allow", "deny", "approve"];
const statuses = ["ok", "error", "denied", "cancelled", "cut", "unknown"];

export type FilterValues = { readonly [Name in keyof typeof filterOptions]?: string | undefined };

/** Throws UsageError. */
export function readFilters(values: FilterValues, usage: string): SearchFilters {
  const filters: Record<string, string | number> = {};
  for (const name of Object.keys(filterOptions) as (keyof typeof filterOptions)[]) {
    const value = values[name];
    if (value === undefined) continue;
    if (name === "since" || name === "until") filters[name] = moment(`--${name}`, value, usage);
    else filters[name] = value;
  }
  oneOf("--verdict", values.verdict, verdicts, usage);
  oneOf("--status", values.status, statuses, usage);
  return filters as SearchFilters;
}

function oneOf(option: string, value: string | undefined, known: readonly string[], usage: string): void {
  if (value !== undefined && !known.includes(value))
    throw new UsageError(`${option} is one of ${known.join(", ")}`, usage);
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as a person gives it, in milliseconds since the epoch. Throws UsageError. */
export function moment(option: string, value: string, usage: string): number {
  const ago = /^(\d{1,6})([smhd])$/.exec(value);
  const unit = units[ago?.[2] ?? ""];
  if (unit !== undefined) return Date.now() - Number(ago?.[1]) * unit;
  const time = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`${option}: neither a time nor a span like 15m`, usage);
  // A day as the upper bound is the whole day.
  return option === "--until" && /^\d{4}-\d\d-\d\d$/.test(value) ? time + 86_399_999 : time;
}
