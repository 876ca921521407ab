/** Column patterns: `database.schema.relation.column`, parts as PostgreSQL quotes them, `*` for anything. */

export interface ColumnPattern {
  readonly text: string;
  matchesDatabase(database: string): boolean;
  matches(schema: string, relation: string, column: string): boolean;
}

export type PatternResult =
  | { readonly ok: true; readonly pattern: ColumnPattern }
  | { readonly ok: false; readonly what: string; readonly at: number };

export const patternExpected =
  'database.schema.relation.column, such as shop.public.customers.email, "shop.*.*.email" or shop.public."Order".*';

type Matcher = (name: string) => boolean;
const anything: Matcher = () => true;

/**
 * Reads a pattern. A part is a name in lower case, a name in double quotes (`""` stands for a quote), or has `*` for any number
 * of characters. `at` of a refusal counts characters of the text.
 */
export function parsePattern(text: string): PatternResult {
  const parts: { matcher: Matcher; at: number }[] = [];
  let at = 0;
  for (;;) {
    const rest = text.slice(at);
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest);
    const plain = /^[^\s."]+/.exec(rest);
    if (quoted !== null) {
      const name = (quoted[1] ?? "").replaceAll('""', '"');
      parts.push({ matcher: (given) => given === name, at });
      at += quoted[0].length;
    } else if (plain !== null) {
      const word = plain[0];
      // The first part names a database of postern.yaml, which is no SQL identifier.
      if (parts.length > 0 && /[A-Z]/.test(word))
        return {
          ok: false,
          what: `${word} is not how PostgreSQL writes this name ("${word}" in quotes)`,
          at,
        };
      parts.push({ matcher: glob(word), at });
      at += word.length;
    } else return { ok: false, what: at >= text.length ? "a part is missing" : "a part is not readable", at };
    if (at === text.length) break;
    if (text[at] !== ".") return { ok: false, what: "a dot or the end is missing", at };
    at += 1;
  }
  const [database, schema, relation, column] = parts;
  if (
    database === undefined ||
    schema === undefined ||
    relation === undefined ||
    column === undefined ||
    parts.length > 4
  )
    return { ok: false, what: `has ${parts.length} parts, not 4`, at: 0 };
  return {
    ok: true,
    pattern: {
      text,
      matchesDatabase: database.matcher,
      matches: (s, r, c) => column.matcher(c) && relation.matcher(r) && schema.matcher(s),
    },
  };
}

/** `*` matches any number of characters, also none; time grows with the product of both lengths at most. */
export function glob(pattern: string): Matcher {
  if (/^\*+$/.test(pattern)) return anything;
  if (!pattern.includes("*")) return (name) => name === pattern;
  const pieces = pattern.split(/\*+/);
  const first = pieces[0] ?? "";
  const last = pieces.at(-1) ?? "";
  const middle = pieces.slice(1, -1);
  return (name) => {
    if (name.length < first.length + last.length) return false;
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    let from = first.length;
    const end = name.length - last.length;
    // Leftmost places suffice: what stands between stars is free to be anything.
    for (const piece of middle) {
      const found = name.indexOf(piece, from);
      if (found < 0 || found + piece.length > end) return false;
      from = found + piece.length;
    }
    return true;
  };
}

/** `schema."Relation".column`, as PostgreSQL quotes it, → its parts; null when it is not so written. */
export function splitName(text: string): string[] | null {
  const parts: string[] = [];
  let rest = text;
  for (;;) {
    const match = /^(?:"((?:[^"]|"")+)"|([^".]+))(\.|$)/.exec(rest);
    if (match === null) return null;
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === "") return parts;
    rest = rest.slice(match[0].length);
  }
}
