/** The trail's query: the filters of `postern audit search`, as a line of text, as an address, and as a question to the API. */

export interface FilterName {
  readonly name: string;
  readonly help: string;
  /** The only values it takes; absent: any. */
  readonly values?: readonly string[];
}

/** In the order in which a person is told of them. */
export const filterNames = [
  { name: "subject", help: "who, as the token says" },
  { name: "agent", help: "the agent that the caller claims to be" },
  { name: "group", help: "one of the caller's groups" },
  { name: "verdict", help: "what the policy decided", values: ["allow", "deny", "approve"] },
  {
    name: "status",
    help: "how it ended",
    values: ["ok", "error", "denied", "cancelled", "cut", "unknown"],
  },
  { name: "table", help: "a relation it touches: public.customers or customers" },
  { name: "column", help: "a column it touches: customers.email" },
  { name: "label", help: "a label of the policy: pii.email" },
  { name: "function", help: "a function it calls" },
  { name: "database", help: "the database asked for" },
  { name: "rule", help: "a rule that matched" },
  { name: "run", help: "an agent run, a trace or a session" },
  { name: "session", help: "one session" },
  { name: "request", help: "one message of a client" },
  { name: "fingerprint", help: "statements of one shape" },
  { name: "token", help: "the token's id or its SHA-256" },
  { name: "type", help: "the record's type, e.g. auth.failed; any: all of them" },
  { name: "value", help: "a parameter or literal known to be exactly this" },
  { name: "since", help: "from then on: 15m, 6h, 7d or 2026-11-22" },
  { name: "until", help: "up to then: 15m, 6h, 7d or 2026-11-22T10:00:00Z" },
] as const satisfies readonly FilterName[];

export type Filter = (typeof filterNames)[number]["name"] | "text";
/** Filters that are set; all of them must fit. */
export type Query = { readonly [Name in Filter]?: string };

const known: ReadonlySet<string> = new Set(filterNames.map(({ name }) => name));
const longest = 500;

export function isFilter(name: string): name is Filter {
  return name === "text" || known.has(name);
}

export interface ReadQuery {
  readonly query: Query;
  /** What could not be understood, for the person; the rest of the query holds. */
  readonly problems: readonly string[];
}

/**
 * Reads a line such as `subject:agent-7 verdict:deny table:"public.Big Table" refund*`. Words without a name are searched in
 * the records' text. A name given twice: the last one counts, and that is said.
 */
export function readQuery(line: string): ReadQuery {
  const query: Partial<Record<Filter, string>> = {};
  const problems: string[] = [];
  const words: string[] = [];
  for (const token of tokens(line.slice(0, 4000))) {
    const named = /^([a-z]+):/.exec(token.raw);
    const name = named?.[1] ?? "";
    if (named === null || token.quoted) {
      words.push(token.quoted ? `"${token.text}"` : token.text);
      continue;
    }
    const value = token.text.slice(name.length + 1);
    if (!isFilter(name)) {
      if (/^(?:https?|postern)$/.test(name)) words.push(token.text);
      else problems.push(`There is no filter “${name}”: it is one of ${[...known].join(", ")}.`);
      continue;
    }
    if (value === "") {
      problems.push(`${name}: says nothing.`);
      continue;
    }
    const wrong = problemOf(name, value);
    if (wrong !== null) {
      problems.push(wrong);
      continue;
    }
    if (query[name] !== undefined && query[name] !== value)
      problems.push(`${name}: is there twice; the last one counts.`);
    query[name] = value.slice(0, longest);
  }
  if (words.length > 0) query.text = words.join(" ").slice(0, longest);
  return { query, problems };
}

/** What is wrong with a filter's value; null: nothing. */
export function problemOf(name: string, value: string): string | null {
  const filter: FilterName | undefined = filterNames.find((one) => one.name === name);
  if (filter?.values !== undefined && !filter.values.includes(value))
    return `${name}: is one of ${filter.values.join(", ")}.`;
  if ((name === "since" || name === "until") && moment(value, 0) === null)
    return `${name}: is a time such as 2026-11-22T10:00:00Z or a span such as 15m, 6h, 7d.`;
  return null;
}

interface Token {
  /** As typed. */
  readonly raw: string;
  /** Without quotation marks. */
  readonly text: string;
  /** It begins with a quotation mark. */
  readonly quoted: boolean;
}

/** Words of a line; `"…"` keeps white space together, also behind a name. An open quotation ends with the line. */
function tokens(line: string): readonly Token[] {
  const found: Token[] = [];
  for (const match of line.matchAll(/(?:"[^"]*"?|[^\s"])+/g)) {
    const raw = match[0];
    const text = raw.replaceAll('"', "");
    if (text !== "") found.push({ raw, text, quoted: raw.startsWith('"') });
  }
  return found;
}

/** The line that reads as `query`. */
export function writeQuery(query: Query): string {
  const parts: string[] = [];
  for (const { name } of filterNames) {
    const value = query[name];
    if (value !== undefined && value !== "")
      parts.push(`${name}:${/[\s"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value}`);
  }
  if (query.text !== undefined && query.text !== "") parts.push(query.text);
  return parts.join(" ");
}

/** The filters in an address; what is unknown or wrong there is left out. */
export function fromSearch(search: URLSearchParams): Query {
  const query: Partial<Record<Filter, string>> = {};
  for (const [name, value] of search)
    if (isFilter(name) && value !== "" && problemOf(name, value) === null)
      query[name] = value.slice(0, longest);
  return query;
}

/** The address's part behind the question mark; "" for no filter. */
export function toSearch(query: Query): string {
  const search = new URLSearchParams();
  for (const name of ["text", ...known] as Filter[]) {
    const value = query[name];
    if (value !== undefined && value !== "") search.set(name, value);
  }
  return search.toString();
}

/** The console's address for statements that fit. */
export function trailLink(query: Query): string {
  const search = toSearch(query);
  return search === "" ? "/trail" : `/trail?${search}`;
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as a person gives it, in milliseconds since the epoch, spans being ago from `now`; null: it is none. */
export function moment(value: string, now: number): number | null {
  const ago = /^(\d{1,6})([smhd])$/.exec(value);
  const unit = units[ago?.[2] ?? ""];
  if (unit !== undefined) return now - Number(ago?.[1]) * unit;
  const time = /^\d{4}-\d\d-\d\d(?:$|T)/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

/** The filter `type:any`: all of them. */
const everything = "any";

/**
 * Whether the list is of statements alone: they were asked for, or nothing but a time was. Who looks around looks for
 * what was done, not for who looked around before.
 */
export function statementsAlone(query: Query): boolean {
  if (query.type !== undefined) return query.type === "statement.intent";
  return (Object.keys(query) as Filter[]).every((name) => name === "since" || name === "until");
}

/** The question to GET /api/audit: spans become times, counted from `now`; `type:any` and a filter ask for every type. */
export function toApi(query: Query, now: number, after: string | null, limit: number): string {
  const search = new URLSearchParams(toSearch(query));
  for (const name of ["since", "until"] as const) {
    const value = query[name];
    const time = value === undefined ? null : moment(value, now);
    if (time !== null) search.set(name, new Date(time).toISOString());
  }
  if (statementsAlone(query)) search.set("type", "statement.intent");
  else if (query.type === everything) search.delete("type");
  search.set("limit", String(limit));
  if (after !== null) search.set("after", after);
  return `/api/audit?${search}`;
}
