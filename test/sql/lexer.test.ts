import fc from "fast-check";
import { loadModule, scanSync } from "libpg-query";
import { beforeAll, describe, expect, it } from "vitest";
import { Lexer, token } from "../../src/sql/lexer.ts";
import { UnreadableSql } from "../../src/sql/limits.ts";
import { examples } from "./statements.ts";
import { tricky } from "./tricky.ts";

beforeAll(() => loadModule());

function tokens(text: string): [kind: number, text: string][] {
  const lexer = new Lexer(text);
  const found: [number, string][] = [];
  for (let kind = lexer.next(); kind !== token.end; kind = lexer.next())
    found.push([kind, text.slice(lexer.start, lexer.end)]);
  return found;
}
const literals = (text: string): string[] =>
  tokens(text).flatMap(([kind, t]) => (kind === token.literal ? [t] : []));

describe("lexer", () => {
  it.each<[string, string[]]>([
    ["'a''b'", ["'a''b'"]],
    ["'a\\'", ["'a\\'"]],
    ["E'a\\'b'", ["E'a\\'b'"]],
    ["e'\\\\'", ["e'\\\\'"]],
    ["'a'\n'b'", ["'a'\n'b'"]],
    ["'a' -- x\r\t-- y 'z'\n 'b'", ["'a' -- x\r\t-- y 'z'\n 'b'"]],
    ["E'a'\n'\\'b'", ["E'a'\n'\\'b'"]],
    ["'a' 'b'", ["'a'", "'b'"]],
    ["'a' /* \n */ 'b'", ["'a'", "'b'"]],
    ["'a'\u00a0\n'b'", ["'a'", "'b'"]],
    [
      "N'x' n'y' B'1' X'fF' U&'\\0061' u&'!0061' UESCAPE '!'",
      ["N'x'", "n'y'", "B'1'", "X'fF'", "U&'\\0061'", "u&'!0061'", "'!'"],
    ],
    ["ab'x' _e'x\\'", ["'x'", "'x\\'"]],
    ["$$a$b$$ $t1$ $t2$ $t1 $t1$ $é_1$'$é_1$", ["$$a$b$$", "$t1$ $t2$ $t1 $t1$", "$é_1$'$é_1$"]],
    ["a$$b$$ $1 t1 $2", []],
    [
      "1 1_000 0x1F 0o17 0b101 1.5 .5 5. 1e5 1E-5 1.5e+10",
      ["1", "1_000", "0x1F", "0o17", "0b101", "1.5", ".5", "5.", "1e5", "1E-5", "1.5e+10"],
    ],
    ["1..10 a[1:2]", ["1", "10", "1", "2"]],
    ["1-1 1- -1", ["1", "1", "1", "1"]],
    ['"a\'b" "c""d\'" U&"d\'0061"', []],
    ["-- 'x'\n 'y' -- 'z'\r'w'", ["'y' -- 'z'\r'w'"]],
    ["/* 'x' /* */ 'y' */ 'z'", ["'z'"]],
    ["*/**/ 'x'", ["'x'"]],
  ])("finds the literals of %j", (text, expected) => {
    expect(literals(text)).toEqual(expected);
  });

  it("ends operators before comments", () => {
    const operators = (text: string) =>
      tokens(text).flatMap(([kind, t]) => (kind === token.operator ? [t] : []));
    expect(operators("1 +-- c\n2")).toEqual(["+"]);
    expect(operators("1 *//* c */ 2")).toEqual(["*/"]);
    expect(operators("a@-1")).toEqual(["@-"]);
  });

  it.each(["'a", "E'a\\'", '"a', "$$a$", "$a$ $b$", "/* /* */", "U&'x", "'a'\n'b"])(
    "refuses the unterminated %j",
    (text) => {
      expect(() => tokens(text)).toThrow(new UnreadableSql("syntax"));
    },
  );

  it("gives every unit of any text to exactly one token, or refuses it", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        "$",
        "$a$",
        "--",
        "/*",
        "*/",
        "\n",
        "\r",
        " ",
        "E'",
        "U&",
        "\\",
        ".",
        "1",
        "0x",
        "e",
        "+",
        ";",
        "é",
        "(",
        "n",
      ),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join("");
        try {
          expect(
            tokens(text)
              .map(([, t]) => t)
              .join(""),
          ).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UnreadableSql);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("agrees with PostgreSQL's own lexer on where literals are", () => {
    for (const text of [...examples.map((e) => e.sql), ...tricky]) {
      const bytes = Buffer.from(text);
      const theirs = scanSync(text).tokens.flatMap(
        (t: { tokenName: string; start: number; end: number; text: string }) =>
          /^[IFS]CONST$/.test(t.tokenName) || (t.tokenName === "UNKNOWN" && /^(?:[bx]|u&)'/i.test(t.text))
            ? [t]
            : [],
      );
      const lexer = new Lexer(text);
      const ours: { start: number; end: number }[] = [];
      for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
        if (kind !== token.literal) continue;
        const start = Buffer.byteLength(text.slice(0, lexer.start));
        ours.push({ start, end: start + Buffer.byteLength(text.slice(lexer.start, lexer.end)) });
      }
      const show = (places: { start: number; end: number }[]) =>
        places.map(({ start, end }) => bytes.toString("utf8", start, end));
      // Each of theirs lies in one of ours, and each of ours begins with one of theirs (N'x' is two tokens for them).
      for (const t of theirs)
        expect(
          ours.some((o) => o.start <= t.start && t.end <= o.end),
          `${text}: ${t.text}`,
        ).toBe(true);
      for (const o of ours)
        expect(
          theirs.some((t) => o.start === t.start || o.start + 1 === t.start),
          `${text}: ${show([o])}`,
        ).toBe(true);
    }
  });
});
