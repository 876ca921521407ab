import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Budget, createBudgets, equalityBudget } from "../../src/policy/index.ts";
import { principal } from "./support.ts";

const perMinute = (amount: number, rule = "r"): Budget => ({
  rule,
  unit: "statements",
  amount,
  perSeconds: 60,
});
const rowsPerHour = (amount: number): Budget => ({ rule: "r", unit: "rows", amount, perSeconds: 3600 });
const me = principal();

describe("statements", () => {
  test("as many at once as a minute holds, then one at a time", () => {
    const keeper = createBudgets();
    const budgets = [perMinute(6)];
    for (let i = 0; i < 6; i++) expect(keeper.charge(me, budgets, 0)).toEqual({ ok: true });
    expect(keeper.charge(me, budgets, 0)).toEqual({ ok: false, budget: budgets[0], retryMs: 10_000 });
    expect(keeper.charge(me, budgets, 9_999)).toMatchObject({ ok: false, retryMs: 1 });
    expect(keeper.charge(me, budgets, 10_000)).toEqual({ ok: true });
    expect(keeper.charge(me, budgets, 10_000)).toMatchObject({ ok: false });
  });

  test("each principal and each rule has its own", () => {
    const keeper = createBudgets();
    expect(keeper.charge(me, [perMinute(1)], 0).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(1)], 0).ok).toBe(false);
    expect(keeper.charge(me, [perMinute(1, "other")], 0).ok).toBe(true);
    expect(keeper.charge(principal({ subject: "a2" }), [perMinute(1)], 0).ok).toBe(true);
    expect(keeper.charge(principal({ issuer: "https://other" }), [perMinute(1)], 0).ok).toBe(true);
  });

  test("nothing is taken from one when another is used up", () => {
    const keeper = createBudgets();
    const both = [perMinute(5, "a"), perMinute(1, "b")];
    expect(keeper.charge(me, both, 0).ok).toBe(true);
    expect(keeper.charge(me, both, 0)).toMatchObject({ ok: false, budget: { rule: "b" } });
    for (let i = 0; i < 4; i++) expect(keeper.charge(me, [perMinute(5, "a")], 0).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(5, "a")], 0).ok).toBe(false);
  });

  test("several statements at once are charged for together, or not at all", () => {
    const keeper = createBudgets();
    const [a, b] = [perMinute(6, "a"), perMinute(2, "b")];
    expect(keeper.charge(me, [a, b, a, b, a], 0)).toEqual({ ok: true });
    expect(keeper.left(me, [a, b], 0)).toEqual([3, 0]);
    expect(keeper.charge(me, [a, a, b], 0)).toEqual({ ok: false, budget: b, retryMs: 30_000 });
    expect(keeper.charge(me, [a, a, a, a], 0)).toEqual({ ok: false, budget: a, retryMs: 10_000 });
    expect(keeper.left(me, [a, b], 0)).toEqual([3, 0]);
    expect(
      keeper.charge(
        me,
        Array.from({ length: 7 }, () => a),
        1e9,
      ),
    ).toMatchObject({
      ok: false,
      retryMs: Number.POSITIVE_INFINITY,
    });
  });

  test("what did not run is given back, and never more than there ever was", () => {
    const keeper = createBudgets();
    const [rate, rows] = [perMinute(2), rowsPerHour(10)];
    expect(keeper.charge(me, [rate, rows], 0).ok).toBe(true);
    keeper.refund(me, [rate, rows], 0);
    keeper.refund(me, [rate, rows], 0);
    expect(keeper.left(me, [rate, rows], 0)).toEqual([2, 10]);
  });

  test("a clock that goes back gives nothing", () => {
    const keeper = createBudgets();
    expect(keeper.charge(me, [perMinute(1)], 1000).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(1)], 0).ok).toBe(false);
    expect(keeper.charge(me, [perMinute(1)], 60_999).ok).toBe(false);
    expect(keeper.charge(me, [perMinute(1)], 61_000).ok).toBe(true);
  });

  test("a rate that was lowered counts at once", () => {
    const keeper = createBudgets();
    expect(keeper.charge(me, [perMinute(100)], 0).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(2)], 0).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(2)], 0).ok).toBe(true);
    expect(keeper.charge(me, [perMinute(2)], 0).ok).toBe(false);
  });

  test("comparisons with a label", () => {
    expect(equalityBudget({ label: "pii", equalityPerMinute: 3 })).toEqual({
      rule: "label:pii",
      unit: "statements",
      amount: 3,
      perSeconds: 60,
    });
  });
});

test("rows: a result may overdraw, the next statement waits", () => {
  const keeper = createBudgets();
  const budgets = [rowsPerHour(100)];
  expect(keeper.charge(me, budgets, 0).ok).toBe(true);
  keeper.spend(me, budgets, 150, 0);
  expect(keeper.charge(me, budgets, 0)).toMatchObject({ ok: false, retryMs: 1_836_000 });
  expect(keeper.charge(me, budgets, 1_835_990).ok).toBe(false);
  expect(keeper.charge(me, budgets, 1_836_000).ok).toBe(true);
});

test("memory is bounded", () => {
  const keeper = createBudgets(10);
  for (let i = 0; i < 1000; i++) keeper.charge(principal({ subject: `s${i}` }), [perMinute(1)], 0);
  expect(keeper.size).toBeLessThanOrEqual(10);
});

test("never more than the bucket and what flowed in", () => {
  const steps = fc.array(fc.nat(30_000), { maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), steps, (amount, waits) => {
      const keeper = createBudgets();
      let now = 0;
      let passed = 0;
      for (const wait of waits) {
        now += wait;
        if (keeper.charge(me, [perMinute(amount)], now).ok) passed++;
      }
      expect(passed).toBeLessThanOrEqual(amount + (now * amount) / 60_000 + 1e-6);
    }),
    { numRuns: 200 },
  );
});
