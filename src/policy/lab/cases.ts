/** `*.test.yaml` → test cases (SPEC section 3). */
import type { StatementFacts } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import { PolicyError, type PolicyProblem } from "../problem.ts";
import type { Estimate, SessionFacts } from "../types.ts";
import { readYaml } from "../yaml/document.ts";
import { Reader, type Spot } from "../yaml/reader.ts";
import { readFacts } from "./facts.ts";
import { plainSession, readPrincipal, readSession } from "./person.ts";

export const expectations = ["allow", "deny", "approve", "masked"] as const;
export type Expectation = (typeof expectations)[number];

export interface TestCase {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly principal: Principal;
  readonly session: SessionFacts;
  readonly sql: string;
  /** Given by hand; null: to be analysed. */
  readonly facts: StatementFacts | null;
  readonly estimate: Estimate | null;
  readonly now: Date;
  readonly expect: Expectation;
  /** null: not asked for. */
  readonly rule: string | null;
  readonly code: string | null;
  /** Sorted; null: not asked for. */
  readonly columnsMasked: readonly string[] | null;
}

const known = [
  "name",
  "as",
  "database",
  "sql",
  "params",
  "session",
  "facts",
  "estimate",
  "now",
  "expect",
  "rule",
  "code",
  "columns_masked",
] as const;
const maxCases = 10_000;

/**
 * Reads test files: a list of cases, or a mapping with `tests:`. Throws PolicyError with every mistake found.
 */
export function readCases(files: readonly { readonly file: string; readonly text: string }[]): TestCase[] {
  const problems: PolicyProblem[] = [];
  const cases = files.flatMap(({ file, text }) => {
    const result = readYaml(file, text);
    problems.push(...result.problems);
    return result.ok ? casesOf(new Reader(result.file, problems)) : [];
  });
  if (problems.length > 0) throw new PolicyError(problems);
  return cases;
}

function casesOf(reader: Reader): TestCase[] {
  const root = reader.root();
  let list: Spot = root;
  if (root.node.kind === "map") {
    const isCase = root.node.pairs.some(({ key }) => key === "expect");
    if (isCase) return present([readCase(reader, root)]);
    const fields = reader.map(root, ["version", "tests"], "a list of tests, or tests: with one");
    if (fields?.version !== undefined) reader.whole(fields.version, 1, 1);
    if (fields === null) return [];
    if (fields.tests === undefined) {
      reader.fail(root, "has no tests", "tests: a list of { as, database, sql, expect }");
      return [];
    }
    list = fields.tests;
  }
  const items = reader.list(list, "a list of { as, database, sql, expect }", 0, maxCases) ?? [];
  return present(items.map((item) => readCase(reader, item)));
}

function present<Value>(values: readonly (Value | null)[]): Value[] {
  return values.filter((value) => value !== null);
}

function readCase(reader: Reader, spot: Spot): TestCase | null {
  const fields = reader.map(spot, known, "a test: { as, database, sql, expect }");
  if (fields === null) return null;
  const needed = (key: "database" | "sql" | "expect" | "as") => {
    const field = fields[key];
    if (field === undefined) reader.fail(spot, `has no ${key}`, `${key} in every test`);
    return field;
  };
  const as = needed("as");
  const principal = as === undefined ? null : readPrincipal(reader, as);
  const place = needed("database");
  const database = place === undefined ? null : reader.text(place, "a database of postern.yaml");
  const text = needed("sql");
  const sql = text === undefined ? null : reader.text(text, "a statement", 1024 * 1024);
  const verdict = needed("expect");
  const expect = verdict === undefined ? null : reader.choice(verdict, expectations);
  // What a statement is does not depend on its parameters' values; they are accepted so that tests can be copied from use.
  if (fields.params !== undefined && fields.params.node.kind !== "list")
    reader.fail(fields.params, "is no list", "a list of values");
  const name = fields.name === undefined ? null : reader.text(fields.name, "a sentence");
  const word = (field: Spot | undefined, expected: string) =>
    field === undefined ? null : reader.text(field, expected);
  const rule = word(fields.rule, "a rule's name");
  const code = word(fields.code, "a code of docs/errors.md");
  const columns =
    fields.columns_masked === undefined
      ? null
      : reader.texts(fields.columns_masked, "a column: schema.relation.column", 0, 10_000);
  const facts = fields.facts === undefined || sql === null ? null : readFacts(reader, fields.facts, sql);
  const estimate = fields.estimate === undefined ? null : readEstimate(reader, fields.estimate);
  const now = fields.now === undefined ? new Date() : readMoment(reader, fields.now);
  if (principal === null || database === null || sql === null || expect === null || now === null) return null;
  const base = plainSession(database);
  const { file, place: placeOf } = reader.source;
  return {
    file,
    line: placeOf(spot.node.offset).line,
    name: name ?? oneLine(sql),
    principal,
    session: fields.session === undefined ? base : readSession(reader, fields.session, base),
    sql,
    facts,
    estimate,
    now,
    expect,
    rule,
    code,
    columnsMasked: columns === null ? null : [...columns].sort(),
  };
}

function readEstimate(reader: Reader, spot: Spot): Estimate | null {
  const fields = reader.map(spot, ["rows", "cost"], "{ rows: 100, cost: 12 }");
  if (fields === null) return null;
  const count = (field: Spot | undefined) => (field === undefined ? 0 : reader.whole(field, 0, 1e15));
  const rows = count(fields.rows);
  const cost = count(fields.cost);
  return rows === null || cost === null ? null : { rows, cost };
}

function readMoment(reader: Reader, spot: Spot): Date | null {
  const expected = "a moment such as 2026-11-23T10:00:00Z";
  const text = reader.text(spot, expected);
  if (text === null) return null;
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? reader.fail(spot, "is no moment", expected) : moment;
}

function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, " ").trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
