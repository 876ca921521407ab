/**
 * A second set of statements of the corpus' classes, each in one way of sending that follows from its place; POSTERN_CORPUS_WAYS=all
 * takes all of them. The oracles are those of attacks.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binaries } from "../support/binaries.ts";
import { type Lab, leaks, runSteps, type SecondCase, secondCases, startLab, type Way } from "./lab.ts";

const ways: readonly Way[] = ["simple", "extended", "binary"];
const { major } = await binaries();
const all = secondCases().filter(({ from }) => from === undefined || from <= major);

let lab: Lab;
let untouched: string;
beforeAll(async () => {
  lab = await startLab();
  untouched = await lab.digest();
});
afterAll(async () => {
  await lab?.stop();
});

function waysOf(one: SecondCase, nth: number): readonly Way[] {
  // Several statements in one text are only a simple Query's.
  const several = one.kind === "messages" || (/^(?:ALLOW|MASK)$/.test(one.expected) && one.sql.includes(";"));
  if (several) return ["simple"];
  return process.env.POSTERN_CORPUS_WAYS === "all" ? ways : [ways[nth % 3] ?? "simple"];
}

const stepsOf = ({ kind, sql }: SecondCase): readonly string[] =>
  kind === "messages" ? sql.split("; ") : [sql];

describe.each([...new Set(all.map((one) => one.class))])("class %s", (name) => {
  const own = all.filter((one) => one.class === name);
  test("has enough of them", () => {
    expect(own.length).toBeGreaterThanOrEqual(10);
  });
  test.each(
    own
      .filter(({ expected }) => expected !== "LIMIT")
      .flatMap((one, nth) => waysOf(one, nth).map((way) => ({ ...one, way }))),
  )("$id $expected, $way: $sql", async ({ way, ...one }) => {
    const { error, bytes } = await runSteps(lab, stepsOf(one), way);
    const said = error === null ? null : `${error.code} ${error.message}`;
    expect(leaks(bytes, one.sql), "protected values").toEqual([]);
    switch (one.expected) {
      case "ALLOW":
      case "MASK":
        expect(said).toBeNull();
        break;
      case "DENY-MASK":
        break;
      case "DENY":
      case "DENY-RO":
        expect(said).not.toBeNull();
        break;
      default:
        throw new Error(`the corpus expects ${one.expected}`);
    }
    // What libxml and extensions say of their input is the server's own XX000.
    expect(said ?? "").not.toMatch(/^XX.*gateway|ANALYSIS_UNAVAILABLE|could not be analysed/);
    expect(await lab.digest(), "the database").toBe(untouched);
  });
});

test("what is expensive ends within its limits, and at the server, too", async () => {
  const most = 1024 * 1024 + 65_536;
  const limited = all.filter(({ expected }) => expected === "LIMIT");
  for (const [nth, one] of limited.entries())
    for (const way of one.sql.startsWith("COPY") ? ways : waysOf(one, nth)) {
      const { error, rows, bytes } = await runSteps(lab, [one.sql], way);
      expect(bytes.length, one.id).toBeLessThan(most);
      expect(rows, one.id).toBeLessThanOrEqual(5000);
      expect(leaks(bytes, one.sql), one.id).toEqual([]);
      // Of several statements in one Parse each may be fine, and PostgreSQL takes none.
      const codes = /^(57014|54\w{3}|42501|2201B|53200|42601)$/;
      if (error !== null) expect(error.code, `${one.id} ${error.message}`).toMatch(codes);
      const busy = async () =>
        (
          await lab.cluster.query(
            "lab",
            "select pid from pg_stat_activity where usename = 'agent_ro' and state = 'active'",
          )
        ).length;
      await expect.poll(busy, { timeout: 5_000 }).toBe(0);
    }
  expect(await lab.digest()).toBe(untouched);
}, 240_000);
