import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeOauthBearer,
  encodeOauthFailure,
  isOauthFailureReply,
  md5Password,
  ProtocolError,
} from "../../src/protocol/index.ts";
import { saslprep } from "../../src/protocol/sasl/saslprep.ts";
import * as tables from "../../src/protocol/sasl/saslprep-tables.ts";

test("md5Password", () => {
  // Computed with Python's hashlib.
  expect(md5Password("postgres", "secret", Buffer.from([1, 2, 3, 4]))).toBe(
    "md5bb41a296aab6baccb36ff243a562abff",
  );
});

describe("decodeOauthBearer", () => {
  const message = (text: string) => decodeOauthBearer(Buffer.from(text, "latin1"));

  test.each<[string, string, string | null]>([
    ["a token", "n,,\x01auth=Bearer abc.def-_~+/==\x01\x01", "abc.def-_~+/=="],
    ["a client that knows channel binding", "y,,\x01auth=Bearer abc\x01\x01", "abc"],
    ["a scheme in another case", "n,,\x01auth=bEARER abc\x01\x01", "abc"],
    ["several spaces", "n,,\x01auth=Bearer    abc\x01\x01", "abc"],
    ["other pairs", "n,,\x01host=db.example\x01auth=Bearer abc\x01port=5432\x01\x01", "abc"],
    ["a pair without a value", "n,,\x01host=\x01auth=Bearer abc\x01\x01", "abc"],
    ["a value with white space", "n,,\x01x= a\tb\r\nc\x01auth=Bearer abc\x01\x01", "abc"],
    ["discovery", "n,,\x01auth=\x01\x01", null],
  ])("%s", (_, text, token) => {
    expect(message(text)).toEqual({ token });
  });

  test.each([
    ["channel binding", "p=tls-server-end-point,,\x01auth=Bearer abc\x01\x01"],
    ["nothing", ""],
    ["only a flag", "n"],
    ["no header end", "n,"],
    ["no separator", "n,,auth=Bearer abc\x01\x01"],
    ["another flag", "x,,\x01auth=Bearer abc\x01\x01"],
    ["another attribute", "n,b=c,\x01auth=Bearer abc\x01\x01"],
    ["no auth", "n,,\x01host=x\x01\x01"],
    ["no pairs", "n,,\x01\x01"],
    ["two auths", "n,,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01"],
    ["two auths, first empty", "n,,\x01auth=\x01auth=Bearer abc\x01\x01"],
    ["no final terminator", "n,,\x01auth=Bearer abc\x01"],
    ["no pair terminator", "n,,\x01auth=Bearer abc"],
    ["data behind the end", "n,,\x01auth=Bearer abc\x01\x01x"],
    ["a second end", "n,,\x01auth=Bearer abc\x01\x01\x01"],
    ["a pair without =", "n,,\x01auth\x01\x01"],
    ["a key of other characters", "n,,\x01au_th=x\x01auth=Bearer abc\x01\x01"],
    ["an empty key", "n,,\x01=x\x01auth=Bearer abc\x01\x01"],
    ["a NUL", "n,,\x01auth=Bearer abc\0\x01\x01"],
    ["a NUL in another value", "n,,\x01host=\0\x01auth=Bearer abc\x01\x01"],
    ["a byte above ASCII", "n,,\x01auth=Bearer ab\xe9\x01\x01"],
    ["another scheme", "n,,\x01auth=Basic abc\x01\x01"],
    ["no token", "n,,\x01auth=Bearer\x01\x01"],
    ["only a space", "n,,\x01auth=Bearer \x01\x01"],
    ["a tab for the space", "n,,\x01auth=Bearer\tabc\x01\x01"],
    ["a space behind the token", "n,,\x01auth=Bearer abc \x01\x01"],
    ["two tokens", "n,,\x01auth=Bearer abc def\x01\x01"],
    ["= inside the token", "n,,\x01auth=Bearer a=b\x01\x01"],
    ["a line break behind the token", "n,,\x01auth=Bearer abc\n\x01\x01"],
    ["a line break behind a pair", "n,,\x01auth=Bearer abc\x01host=x\n\0\x01\x01"],
  ])("refuses %s", (_, text) => {
    expect(() => message(text)).toThrow(expect.objectContaining({ code: "08P01" }));
  });

  test("refuses an authorization identity", () => {
    expect(() => message("n,a=admin,\x01auth=Bearer abc\x01\x01")).toThrow(
      expect.objectContaining({ code: "0A000" }),
    );
  });

  test("refuses what is too large", () => {
    const token = "a".repeat(65_535 - "n,,\x01auth=Bearer \x01\x01".length);
    expect(message(`n,,\x01auth=Bearer ${token}\x01\x01`)).toEqual({ token });
    expect(() => message(`n,,\x01auth=Bearer ${token}a\x01\x01`)).toThrow(
      expect.objectContaining({ code: "54000" }),
    );
  });

  test("an error never holds the token", () => {
    try {
      message("n,,\x01auth=Bearer s3cr3t!\x01\x01");
      expect.unreachable();
    } catch (caught) {
      expect(String(caught)).not.toContain("s3cr3t");
    }
  });

  test("arbitrary bytes give a token, null or a ProtocolError", () => {
    const piece = fc.oneof(
      fc.constantFrom("n,,", "y,", "\x01", "auth=", "Bearer ", "host=x", "=", "a"),
      fc.string({ unit: "binary", maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          const { token } = message(pieces.join(""));
          if (token !== null) expect(token).toMatch(/^[\w.~+/-]+=*$/);
        } catch (caught) {
          expect(caught).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("OAuth failure", () => {
  test("the JSON libpq reads", () => {
    const json = encodeOauthFailure("https://i.example/.well-known/openid-configuration", "openid email");
    expect(json.toString()).toBe(
      '{"status":"invalid_token","openid-configuration":"https://i.example/.well-known/openid-configuration","scope":"openid email"}',
    );
  });
  test("stays below 1900 bytes", () => {
    expect(encodeOauthFailure("https://i.example", "s".repeat(1700)).length).toBeLessThan(1900);
    expect(() => encodeOauthFailure("https://i.example", "s".repeat(1900))).toThrow(ProtocolError);
    expect(() => encodeOauthFailure("https://i.example", "é".repeat(950))).toThrow(ProtocolError);
  });
  test("the reply is one byte 0x01", () => {
    expect(isOauthFailureReply(Buffer.from([1]))).toBe(true);
    for (const other of [[], [0], [1, 1], [2]]) expect(isOauthFailureReply(Buffer.from(other))).toBe(false);
  });
});

describe("saslprep", () => {
  test.each([
    // RFC 4013 section 3.
    ["I\u00ADX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00AA", "a"],
    ["\u2168", "IX"],
    // Mapped to a space; dropped; composed.
    ["a\u00A0b", "a b"],
    ["a\u200Bb\u3000", "a b "],
    ["a\uFEFFé", "aé"],
    ["e\u0301", "é"],
    ["пароль", "пароль"],
    // Right to left from end to end.
    ["\u0627\u0628", "\u0627\u0628"],
  ])("%j becomes %j", (password, prepared) => {
    expect(saslprep(password)).toBe(prepared);
  });

  test.each([
    ["ASCII, control characters too", "a\u0007b\n"],
    ["a control character (C.2.2)", "é\u0085"],
    ["ASCII control beside other text (C.2.1)", "é\u0007"],
    ["private use (C.3)", "é\uE000\u2168"],
    ["not a character (C.4)", "\u2168\uFDD0"],
    ["a tag (C.9)", "\u2168\u{E0041}"],
    ["unassigned in Unicode 3.2 (A.1)", "\u2168\u0221"],
    ["an emoji of Unicode 6 (A.1)", "\u2168\u{1F600}"],
    ["right-to-left that does not end so (RFC 4013 section 3)", "\u0627\u0031"],
    ["right-to-left with left-to-right inside", "\u0627\u2168\u0627"],
    ["nothing left", "\u00AD"],
  ])("takes the password as it is: %s", (_, password) => {
    expect(saslprep(password)).toBe(password);
  });

  test("tables: ascending pairs that do not overlap, as many as RFC 3454 has", () => {
    const sizes = {
      nonAsciiSpace: 6,
      mappedToNothing: 8,
      rightToLeft: 34,
      leftToRight: 360,
      unassigned: 396,
    };
    for (const [name, ranges] of Object.entries(tables)) {
      expect(ranges.length % 2).toBe(0);
      for (let i = 0; i < ranges.length; i += 2) {
        expect(ranges[i]).toBeLessThanOrEqual(ranges[i + 1] ?? -1);
        if (i > 0) expect(ranges[i]).toBeGreaterThan((ranges[i - 1] ?? 0) + 1);
      }
      if (name in sizes) expect(ranges.length / 2).toBe(sizes[name as keyof typeof sizes]);
    }
  });

  test("tables agree with what Unicode says today", () => {
    const has = (ranges: readonly number[], point: number) =>
      ranges.some((first, i) => i % 2 === 0 && point >= first && point <= (ranges[i + 1] ?? -1));
    const sample: number[] = [];
    for (let point = 0x80; point < 0x3000; point++) sample.push(point);
    for (let point = 0x3000; point <= 0x10_ffff; point += 257) sample.push(point);
    for (const point of sample) {
      const char = String.fromCodePoint(point);
      const nonCharacter = (point & 0xfffe) === 0xfffe || (point >= 0xfdd0 && point <= 0xfdef);
      // What is unassigned now was unassigned in Unicode 3.2.
      if (/\p{Cn}/u.test(char) && !nonCharacter) expect(has(tables.unassigned, point)).toBe(true);
      if (nonCharacter || /[\p{Co}\p{Cs}]/u.test(char))
        expect(has(tables.prohibitedOutput, point)).toBe(true);
      // U+2132 became a letter after Unicode 3.2.
      if (point === 0x2132) continue;
      if (has(tables.unassigned, point)) {
        expect(has(tables.leftToRight, point) || has(tables.rightToLeft, point)).toBe(false);
      } else {
        if (/[\p{Script=Hebrew}\p{Script=Arabic}]/u.test(char) && /\p{Lo}/u.test(char))
          expect(has(tables.rightToLeft, point)).toBe(true);
        if (
          /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Han}]/u.test(char) &&
          /[\p{Lu}\p{Ll}\p{Lo}]/u.test(char)
        )
          expect(has(tables.leftToRight, point)).toBe(true);
      }
    }
  });
});
