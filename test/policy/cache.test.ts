import { expect, test } from "vitest";
import { createDecider } from "../../src/policy/index.ts";
import { input, rules } from "./support.ts";

test("a statement that comes again is not decided again, whoever asks alike", () => {
  const policy = rules("a: allow 'x' in principal.groups");
  const decide = createDecider(policy);
  const key = (given: Parameters<typeof input>[0] = {}) => {
    const { principal, session } = input(given);
    return policy.cacheKey(principal, session);
  };
  const shape = {};
  const first = decide(key(), shape, input());
  expect(first.verdict).toBe("deny");
  expect(decide(key({ principal: { subject: "other" } }), shape, input())).toBe(first);
  expect(decide(key(), {}, input())).not.toBe(first);
  const member = { principal: { groups: ["x"] } };
  expect(decide(key(member), shape, input(member)).verdict).toBe("allow");
  expect(decide(key(), shape, input())).toBe(first);
  expect(Object.isFrozen(first)).toBe(true);
});

test("without a key every statement is decided anew", () => {
  const policy = rules("a: allow now < timestamp('2026-11-23T12:00:00Z')");
  const decide = createDecider(policy);
  const shape = {};
  expect(decide(null, shape, input({ now: "2026-11-23T10:00:00Z" })).verdict).toBe("allow");
  expect(decide(null, shape, input({ now: "2026-11-23T13:00:00Z" })).verdict).toBe("deny");
});
