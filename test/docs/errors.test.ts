/** docs/errors.md and docs/identity.md hold every code that the source can send, and no code that it cannot. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Words in capitals that are no codes of ours: PostgreSQL's parser and catalog, libraries, SQL. A new one has to be named here. */
const foreign = [
  /^(?:AEXPR|ANY|AND|CMD|COERCE|CONSTR|DEFELEM|EXISTS|EXPR|FRAMEOPTION|IS|JOIN|LIMIT_OPTION|MERGE_WHEN|NOT_EXPR|OBJECT|OR|PARTITION|RTE|SETOP|SORTBY|SVFOP|TRANS_STMT|VAR|XMLOPTION)(?:_[A-Z]+)+$|^NOT_EXPR$/,
  /^ERR_/,
  // The `yaml` package.
  /^(?:BLOCK_LITERAL|QUOTE_DOUBLE|QUOTE_SINGLE|DUPLICATE_KEY|MULTIPLE_DOCS|NON_STRING_KEY|TAG_RESOLVE_FAILED)$/,
  // Node.js, a file of PostgreSQL's data folder, a statement of PostgreSQL.
  /^(?:MODULE_NOT_FOUND|PG_VERSION|DISCARD_ALL)$/,
  // A variable of the environment, in lines for clients.
  /^POSTERN_TOKEN$/,
  // Errors of the masking room: they end the session, and the client is told XX000.
  /^MASK_(?:PLAN|MALFORMED|TOO_LARGE)$/,
];

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
}

const texts = sources(join(root, "src"));
const found = new Set<string>();
const literals = new Set<string>();
for (const text of texts) {
  for (const [, literal = ""] of text.matchAll(/["'`]([A-Z][A-Z0-9_]*)["'`]/g)) literals.add(literal);
  for (const [, code = ""] of text.matchAll(/["'`]([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)["'`]/g)) found.add(code);
  // Codes of one word are known by where they stand.
  for (const [, code = ""] of text.matchAll(/\bcode(?:\??:| =) "([A-Z]{3,})"/g)) found.add(code);
  for (const [, code = ""] of text.matchAll(
    /new SessionRefused\(\s*(?:"[0-9A-Z]{5}"|[\w.]+),\s*"([A-Z_]+)"/g,
  ))
    found.add(code);
}
const codes = [...found].filter(
  (code) => code !== "EADDRINUSE" && code !== "DEMO" && !foreign.some((pattern) => pattern.test(code)),
);

/** Codes stand alone between backticks, in tables and in lists. */
const told = (page: string) => [...page.matchAll(/`([A-Z][A-Z0-9_]{2,})`/g)].map(([, code = ""]) => code);
const errors = read("docs/errors.md");
const listed = new Set([...told(errors), ...told(read("docs/identity.md"))]);

describe("docs/errors.md", () => {
  test("the source has codes to look for", () => expect(codes.length).toBeGreaterThan(60));

  test("holds every code of the source", () => {
    expect(codes.filter((code) => !listed.has(code)).sort()).toEqual([]);
  });

  test("holds no code that the source does not have", () => {
    const gone = told(errors).filter(
      (code) => !literals.has(code) && !/^(?:ROLLBACK|SELECT|PGOPTIONS)$/.test(code),
    );
    expect(gone).toEqual([]);
  });

  test("each refused statement has an SQLSTATE, a meaning, what to do and whether to try again", () => {
    const refused = errors.slice(
      errors.indexOf("## Refused statements"),
      errors.indexOf("## Refused connections"),
    );
    const rows = refused.split("\n").filter((line) => line.startsWith("| `"));
    expect(rows.length).toBeGreaterThan(35);
    for (const row of rows)
      expect(row).toMatch(
        /^\| `[A-Z_]+` \|(?: [0-9A-Z]{5} | the server's )\|(?: [^|]+ \|){3} (?:yes|no) \|$/,
      );
  });
});
