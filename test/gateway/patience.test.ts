import { describe, expect, test } from "vitest";
import type { AskFailure, AskResult } from "../../src/analysis/ask-read.ts";
import { patiently, pauseOf } from "../../src/gateway/statement/patience.ts";

const failed = (sqlstate: string): AskFailure => ({
  ok: false,
  stage: "statement",
  sqlstate,
  message: "no",
  fields: new Map(),
  broken: false,
  status: "I",
});
const locked = failed("55P03");

/** Gives the answers in turn, the last one for ever. */
function server(...answers: readonly AskResult[]) {
  const asked = { times: 0 };
  const ask = async () => {
    const answer = answers[Math.min(asked.times++, answers.length - 1)];
    if (answer === undefined) throw new Error("no answer");
    return answer;
  };
  return { asked, ask };
}

describe("a question about what is locked", () => {
  test("is asked until the lock is gone", async () => {
    const other = failed("42P01");
    const { asked, ask } = server(locked, locked, other, locked);
    expect(await patiently(ask, () => true)).toBe(other);
    expect(asked.times).toBe(3);
  });

  test("is given up when patience ends", async () => {
    const { asked, ask } = server(locked);
    expect(await patiently(ask, () => true, 30)).toBe(locked);
    expect(asked.times).toBeGreaterThan(1);
  });

  test("is asked the less often the more of them wait", () => {
    const pauses = Array.from({ length: 8 }, (_, attempt) => pauseOf(attempt, 1));
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    // A question that gets no lock takes 50 ms of the one connection.
    for (const waiting of [2, 3, 10, 100])
      expect((waiting * 50) / pauseOf(8, waiting)).toBeLessThanOrEqual(0.5);
  });

  test("is not asked again for nobody", async () => {
    const { asked, ask } = server(locked);
    let wanted = 2;
    expect(await patiently(ask, () => wanted-- > 0)).toBe(locked);
    expect(asked.times).toBe(3);
  });

  test("fails as the connection does", async () => {
    await expect(
      patiently(
        () => Promise.reject(new Error("lost")),
        () => true,
      ),
    ).rejects.toThrow("lost");
  });
});
