import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteCache } from "../../src/sql/index.ts";

const size = (key: string, value: number) => key.length + value;

test("whatever is asked of it, it holds no more than its bound, and only what was given to it", () => {
  const key = fc.string({ minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), key, value: fc.integer({ min: 0, max: 120 }) }),
    fc.record({ kind: fc.constant("get" as const), key }),
    fc.record({ kind: fc.constant("resize" as const), bytes: fc.integer({ min: 1, max: 300 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let bound = 200;
      const cache = new ByteCache<number>(bound, size);
      const given = new Map<string, number>();
      for (const one of steps) {
        if (one.kind === "set") {
          cache.set(one.key, one.value);
          // One that is too large for it leaves what it had.
          if (size(one.key, one.value) <= bound / 2) given.set(one.key, one.value);
        } else if (one.kind === "resize") {
          bound = one.bytes;
          cache.resize(bound);
        } else {
          const found = cache.get(one.key);
          if (found !== undefined) expect(found).toBe(given.get(one.key));
        }
        expect(cache.bytes).toBeLessThanOrEqual(bound);
        expect(cache.bytes).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test("what fits stays, also in a bound that shrinks", () => {
  const cache = new ByteCache<number>(1000, size);
  cache.set("a", 9);
  cache.set("b", 19);
  cache.resize(100);
  expect([cache.get("a"), cache.get("b"), cache.bytes]).toEqual([9, 19, 30]);
  cache.resize(40);
  expect([cache.get("a"), cache.get("b"), cache.bytes]).toEqual([undefined, undefined, 0]);
  cache.set("a", 9);
  expect(cache.get("a")).toBe(9);
});
