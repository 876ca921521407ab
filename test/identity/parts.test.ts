/** The parts that take bytes from strangers, under arbitrary input. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { readPublicJwk } from "../../src/identity/algorithms.ts";
import { type CacheEntry, createTokenCache } from "../../src/identity/cache.ts";
import { claimAt } from "../../src/identity/claims.ts";
import { readCompact } from "../../src/identity/compact.ts";
import { IdentityError, quote } from "../../src/identity/errors.ts";
import { parseStrictJson } from "../../src/identity/json.ts";
import { readKeySet } from "../../src/identity/keyset.ts";
import { createRevocations } from "../../src/identity/revocations.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");

describe("strict JSON", () => {
  test("reads what JSON.parse reads", () => {
    const json = fc.jsonValue({ maxDepth: 6, stringUnit: "grapheme" });
    fc.assert(
      fc.property(json, fc.constantFrom(0, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        fc.pre(!text.includes("__proto__"));
        expect(parseStrictJson(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });
  test("reads nothing that JSON.parse does not, and throws only SyntaxError", () => {
    const fragment = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "u00e9",
      "a",
      "1",
      "-",
      "0",
      ".",
      "e",
      "true",
      "null",
      " ",
      "\n",
      "\u00a0",
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), (fragments) => {
        const text = fragments.join("");
        let parsed: unknown;
        try {
          parsed = parseStrictJson(bytes(text));
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
          return;
        }
        expect(parsed).toEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });
  test.each([
    "",
    "{",
    '{"a"}',
    '{"a":1,}',
    "[1,]",
    "01",
    "+1",
    "1.",
    ".5",
    "'a'",
    '"\t"',
    '"\\x"',
    '{"a":1}{}',
    "\ufeff{}",
    "NaN",
    "tru",
  ])("refuses %j", (text) => {
    expect(() => parseStrictJson(bytes(text))).toThrow(SyntaxError);
  });
  test.each([
    '{"a":1,"a":1}',
    '{"a":{"b":1,"\\u0062":2}}',
    '["\\udc00"]',
    '{"\\ud83d":1}',
    '{"__proto__":1}',
    "1e400",
  ])("refuses the doubtful %j", (text) => {
    JSON.parse(text);
    expect(() => parseStrictJson(bytes(text))).toThrow(SyntaxError);
  });
  test("members named like those of Object are just members", () => {
    expect(parseStrictJson(bytes('{"toString":1,"constructor":2}'))).toEqual({ toString: 1, constructor: 2 });
  });
});

test("arbitrary tokens are refused with an IdentityError or read", () => {
  const piece = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => bytes(text).toString("base64url")),
    fc
      .record(
        { alg: fc.constantFrom("RS256", "none", 1), typ: fc.string(), kid: fc.string() },
        { requiredKeys: [] },
      )
      .map((header) => bytes(JSON.stringify(header)).toString("base64url")),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(".")),
      ),
      (token) => {
        try {
          expect(typeof readCompact(token).algorithm).toBe("string");
        } catch (error) {
          expect(error).toBeInstanceOf(IdentityError);
        }
      },
    ),
  );
});

test("arbitrary key sets are read or refused with SyntaxError", () => {
  const member = fc.dictionary(
    fc.constantFrom("kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops"),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.array(member).map((keys) => JSON.stringify({ keys })),
      ),
      (text) => {
        try {
          readKeySet(bytes(text)).select("RS256", null);
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
        }
      },
    ),
  );
});

test.each([
  [1024, false],
  [2047, false],
  [2048, true],
  [4096, true],
  [8192, true],
  [8193, false],
])("an RSA modulus of %i bits: usable %j", (bits, usable) => {
  const hex = (1n << BigInt(bits - 1)).toString(16);
  const padded = `00${hex.length % 2 === 0 ? hex : `0${hex}`}`;
  const n = Buffer.from(padded, "hex").toString("base64url");
  expect(readPublicJwk({ kty: "RSA", n, e: "AQAB" }) !== null).toBe(usable);
});

test("quoted text is one line of printable, well-formed characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const shown = quote(text);
      expect(shown.isWellFormed()).toBe(true);
      expect(shown).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(shown.length).toBeLessThan(800);
    }),
  );
});

test("a claim is found by name before path, and never on a prototype", () => {
  expect(claimAt({ "a.b": 1, a: { b: 2 } }, "a.b")).toBe(1);
  expect(claimAt({ a: { b: 2 } }, "a.b")).toBe(2);
  for (const path of ["toString", "a.toString", "a.b.c", "x.y", "a..b", "."])
    expect(claimAt({ a: { b: "c" } }, path)).toBeUndefined();
});

describe("the cache", () => {
  const principal: Principal = {
    subject: "s",
    issuer: "i",
    email: null,
    kind: "agent",
    groups: [],
    actor: [],
    provider: "p",
    claims: {},
    token: { jti: null, sha256: "", issued: 0, expires: 0 },
  };
  const entry = (weight: number): CacheEntry => ({
    principal,
    until: 1,
    weight,
    inputSha256: "",
    stillTrusted: () => true,
  });

  test("drops the least recently used beyond its number", () => {
    const cache = createTokenCache({ maxEntries: 2, maxWeight: 100 });
    cache.set("a", entry(1));
    cache.set("b", entry(1));
    cache.get("a");
    cache.set("c", entry(1));
    expect(["a", "b", "c"].map((name) => cache.get(name) !== null)).toEqual([true, false, true]);
  });
  test("stays within number and weight whatever is done", () => {
    const step = fc.tuple(
      fc.constantFrom("a", "b", "c", "d", "e"),
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = createTokenCache({ maxEntries: 3, maxWeight: 100 });
        for (const [name, weight, remove] of steps) {
          if (remove) cache.delete(name);
          else cache.set(name, entry(weight));
          const held = ["a", "b", "c", "d", "e"].flatMap((key) => cache.get(key) ?? []);
          expect(held.length).toBe(cache.size);
          expect(cache.size).toBeLessThanOrEqual(3);
          expect(held.reduce((sum, one) => sum + one.weight, 0)).toBeLessThanOrEqual(100);
        }
      }),
    );
  });
  test("revocations outlive their tokens, and are then forgotten", () => {
    const revocations = createRevocations();
    const hex = (index: number) => index.toString(16).padStart(64, "0");
    for (let index = 0; index < 2000; index += 1)
      revocations.add(hex(index), { ...entry(1), until: 1000, inputSha256: hex(index + 10_000) });
    revocations.add(hex(5000), null);
    expect(revocations.has(hex(1), null, 1000)).toBe(true);
    expect(revocations.has("other", hex(10_001), 61_000)).toBe(true);
    expect(revocations.has("other", null, 61_001)).toBe(false);
    expect(revocations.has(hex(5000), null, 1e15)).toBe(true);
  });
});
