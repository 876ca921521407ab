import { expect, test } from "vitest";
import { Company, Patience } from "../../src/audit/patience.ts";

/** Turns that a batch waited to which `arrivals` come, turn by turn. */
function turns(patience: Patience, arrivals: readonly number[]): number {
  let records = 1;
  for (let turn = 0; ; turn++) {
    if (!patience.wait(records)) return turn;
    records += arrivals[turn] ?? 0;
  }
}

test("a lone session is not kept waiting, but now and then somebody looks", () => {
  const patience = new Patience();
  const waited = Array.from({ length: 320 }, () => turns(patience, []));
  expect(waited.slice(1, 20)).toEqual(Array(19).fill(0));
  expect(waited.reduce((a, b) => a + b)).toBeLessThanOrEqual(12);
});

test("while others keep coming a batch waits for them, not for ever", () => {
  const patience = new Patience();
  const many = Array(100).fill(1);
  for (let i = 0; i < 10; i++) turns(patience, many);
  expect(turns(patience, many)).toBe(3);
  // They stop coming: one turn in vain is enough.
  expect(turns(patience, [])).toBeLessThanOrEqual(1);
  expect(turns(patience, [])).toBe(0);
});

test("an fdatasync waits for those of the last one, until they have come or time is up", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const company = new Company(resolve);
  expect(company.complete(1)).toBe(true);
  company.served(3, 1, 2);
  expect(company.complete(1)).toBe(false);
  expect(company.complete(3)).toBe(false);
  expect(company.complete(4)).toBe(true);
  company.served(3, 1, 2);
  expect(company.complete(1)).toBe(false);
  await promise;
  // Nobody came: no waiting for a while, then another try.
  expect(company.complete(1)).toBe(true);
  let tries = 0;
  for (let i = 0; i < 100; i++) {
    company.served(3, 1, 2);
    if (!company.complete(1)) {
      tries++;
      expect(company.complete(4)).toBe(true);
    }
  }
  expect(tries).toBeGreaterThan(0);
  expect(tries).toBeLessThan(100);
  company.end();
});
