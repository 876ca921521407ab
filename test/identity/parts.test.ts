/** The parts that take bytes from strangers, under arbitrary input. */
import { generateKeyPairSync, sign, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { readPublicJwk } from "../../src/identity/algorithms.ts";
import { type CacheEntry, createTokenCache } from "../../src/identity/cache.ts";
import { claimAt } from "../../src/identity/claims.ts";
import { readCompact, sha256 } from "../../src/identity/compact.ts";
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

test.each([
  ["ES256", "P-256", "sha256", 32],
  ["ES384", "P-384", "sha384", 48],
  ["ES512", "P-521", "sha512", 66],
])("the twin of an %s signature is one that verifies", (alg, namedCurve, digest, half) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part({ alg })}.${part({ sub: "s" })}`;
  const signature = sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const token = `${input}.${signature.toString("base64url")}`;
  const order = BigInt(
    {
      ES256: "115792089210356248762697446949407573529996955224135760342422259061068512044369",
      ES384:
        "39402006196394479212279040100143613805079739270465446667946905279627659399113263569398956308152294913554433653942643",
      ES512:
        "6864797660130609714981900799081393217269435300143305409394463459185543183397655394245057746333217197532963996371363321113864768612440380340372808892707005449",
    }[alg] ?? "0",
  );
  const s = order - BigInt(`0x${signature.toString("hex", half)}`);
  const other = Buffer.concat([
    signature.subarray(0, half),
    Buffer.from(s.toString(16).padStart(half * 2, "0"), "hex"),
  ]);
  expect(verify(digest, Buffer.from(input), { key: publicKey, dsaEncoding: "ieee-p1363" }, other)).toBe(true);
  const twin = `${input}.${other.toString("base64url")}`;
  expect(readCompact(token).twinSha256).toBe(sha256(twin));
  expect(readCompact(twin).twinSha256).toBe(sha256(token));
  expect(readCompact(`${input}.AA`).twinSha256).toBeNull();
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
      revocations.add(hex(index), {
        ...entry(1),
        principal: { ...principal, token: { ...principal.token, input: hex(index + 10_000) } },
        until: 1000,
      });
    revocations.add(hex(5000), null);
    expect(revocations.has([hex(1), undefined], 1000)).toBe(true);
    expect(revocations.has(["other", hex(10_001)], 61_000)).toBe(true);
    expect(revocations.has(["other"], 61_001)).toBe(false);
    expect(revocations.has([hex(5000)], 1e15)).toBe(true);
  });
});
