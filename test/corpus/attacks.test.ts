/**
 * The visible half of the corpus, every `sql` case by simple query, by extended query with text and with binary results.
 * Three oracles after each: the database is as it was, no protected value came back, and the record says what happened.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Leaf } from "../support/postern.ts";
import { type Case, cases, type Lab, leaks, type Outcome, runCase, startLab, type Way } from "./lab.ts";

/** Where we answer otherwise than the corpus' line, and why. */
const deviations: Readonly<Record<string, { readonly expected: string; readonly why: string }>> = {
  G01: { expected: "MASK", why: "COPY TO STDOUT in text and CSV is masked cell by cell (docs/masking.md)" },
};

const ways: readonly Way[] = ["simple", "extended", "binary"];
const sql = cases().filter((one) => one.kind === "sql");
const limited = sql.filter((one) => one.expected === "LIMIT");

let lab: Lab;
let untouched: string;
const ran = new Map<string, { readonly one: Case; readonly way: Way; readonly outcome: Outcome }>();

beforeAll(async () => {
  lab = await startLab();
  untouched = await lab.digest();
});

afterAll(async () => {
  await lab?.stop();
});

async function run(one: Case, way: Way): Promise<Outcome> {
  const tag = `${one.id}/${way}`;
  const outcome = await runCase(lab, one.sql, way, tag);
  ran.set(tag, { one, way, outcome });
  expect(leaks(outcome.bytes, one.sql), "protected values").toEqual([]);
  return outcome;
}

const expectedOf = (one: Case): string => deviations[one.id]?.expected ?? one.expected;

describe.each(sql.filter((one) => one.expected !== "LIMIT"))("$id $expected: $sql", (one) => {
  test.each(ways)("%s", async (way) => {
    const { error } = await run(one, way);
    const text = error === null ? null : `${error.code} ${error.message}`;
    switch (expectedOf(one)) {
      case "ALLOW":
      case "MASK":
        expect(text).toBeNull();
        break;
      case "DENY-MASK":
        break;
      case "DENY":
      case "DENY-RO":
      case "APPROVE":
        expect(text).not.toBeNull();
        break;
      default:
        throw new Error(`the corpus expects ${one.expected}`);
    }
    // A refusal is one that somebody meant, never an accident of ours.
    expect(text ?? "").not.toMatch(/^XX|internal/i);
    expect(await lab.digest(), "the database").toBe(untouched);
  });
});

test("what is expensive ends within its limits, three ways at once", async () => {
  // At most 1 MiB of rows (policy.yaml), and what the protocol wraps around them.
  const most = 1024 * 1024 + 65_536;
  for (const way of ways)
    await Promise.all(
      limited.map(async (one) => {
        const { error, rows, bytes } = await run(one, way);
        expect(bytes.length, one.id).toBeLessThan(most);
        expect(rows, one.id).toBeLessThanOrEqual(5000);
        if (error !== null)
          expect(error.code, `${one.id} ${error.message}`).toMatch(/^(57014|54\w{3}|42501|2201B)$/);
      }),
    );
  expect(await lab.digest()).toBe(untouched);
}, 60_000);

test("every record says what happened", async () => {
  const sessions = new Map<string, { intents: Leaf[]; outcomes: Leaf[] }>();
  const tags = new Map<string, string>();
  for (const leaf of await lab.postern.records()) {
    const session = String(leaf.session);
    if (leaf.type === "session.start") {
      tags.set(session, String((leaf.client as { application: string }).application));
      sessions.set(session, { intents: [], outcomes: [] });
    } else if (leaf.type === "statement.intent") sessions.get(session)?.intents.push(leaf);
    else if (leaf.type === "statement.outcome") sessions.get(session)?.outcomes.push(leaf);
  }
  const seen = new Map([...tags].map(([session, tag]) => [tag, sessions.get(session)]));
  expect(ran.size).toBe(sql.length * ways.length);
  for (const [tag, { one, outcome }] of ran) {
    const { intents = [], outcomes = [] } = seen.get(tag) ?? {};
    const verdicts = intents.map((leaf) => (leaf.decision as { verdict: string }).verdict);
    const masked = intents.flatMap((leaf) => (leaf.decision as { masked: string[] }).masked);
    const statuses = outcomes.map((leaf) => leaf.status);
    expect(outcomes.length, tag).toBe(intents.length);
    expect(intents.length, tag).toBeGreaterThan(0);
    if (outcome.error === null) {
      expect(new Set(verdicts), tag).toEqual(new Set(["allow"]));
      expect(new Set(statuses), tag).toEqual(new Set(["ok"]));
      if (expectedOf(one) === "MASK") expect(masked.length, tag).toBeGreaterThan(0);
      continue;
    }
    // Of a message one part of which is refused, no part has run.
    if (verdicts.some((verdict) => verdict !== "allow"))
      expect(new Set(statuses), tag).toEqual(new Set(["denied"]));
    else expect(statuses.at(-1), tag).toMatch(/^(error|cut|cancelled)$/);
    expect(
      outcomes.map((leaf) => leaf.sqlstate),
      tag,
    ).toContain(outcome.error.code);
  }
});
