import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutAtPlaces, fill } from "../../console/src/connect/fill.ts";
import { formatSql } from "../../console/src/lib/format-sql.ts";
import { matchPath, nameOfSegment, segmentOf } from "../../console/src/lib/route.ts";
import { displayLines, sameTokens, tokens } from "../../console/src/lib/sql.ts";
import { createSseParser, type SseMessage } from "../../console/src/lib/sse.ts";
import { bytes, clip, hasHidden, oneLine, segments, visible } from "../../console/src/lib/text.ts";
import { clock, duration, relative, span } from "../../console/src/lib/time.ts";
import { nameOfSegment as readByApi } from "../../src/api/segment.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.string({
    unit: fc.constantFrom("'", '"', "$", "a", "-", "/", "*", "\\", "\n", " ", "$$", "E'", "U&", "\u202e"),
  }),
);

describe("hidden characters", () => {
  it("are named, every kind of them", () => {
    for (const [character, name] of [
      ["\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"],
      ["\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE"],
      ["\u200b", "U+200B ZERO WIDTH SPACE"],
      ["\u00a0", "U+00A0 NO-BREAK SPACE"],
      ["\u0000", "U+0000 NULL"],
      ["\u001b", "U+001B ESCAPE"],
      ["\u3164", "U+3164 HANGUL FILLER"],
      ["\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"],
      ["\u{e0041}", "U+E0041"],
      ["\ud800", "U+D800"],
      ["\u034f", "U+034F"],
    ] as const)
      expect(segments(`a${character}b`)).toEqual([
        { text: "a", hidden: null },
        { text: character, hidden: name },
        { text: "b", hidden: null },
      ]);
  });

  it("are not what people write: other scripts, accents, emoji, line feeds", () => {
    for (const text of ["Grüße, Łódź", "عربي", "日本語", "👍", "a\tb\nc", "Z̈"])
      expect(hasHidden(text)).toBe(false);
  });

  it("piled marks are counted instead of drawn over other lines", () => {
    const pile = `z${"\u0310".repeat(200)}`;
    expect(segments(pile)).toEqual([
      { text: `z${"\u0310".repeat(4)}`, hidden: null },
      { text: "\u0310".repeat(196), hidden: "196 combining marks" },
    ]);
    expect(visible(pile)).toBe(`z${"\u0310".repeat(4)}⟨196 combining marks⟩`);
  });

  it("no text is lost, and what is shown hides nothing", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(
          segments(text)
            .map((segment) => segment.text)
            .join(""),
        ).toBe(text);
        expect(hasHidden(visible(text))).toBe(false);
      }),
    );
  });

  it("cutting never leaves half a character", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", minLength: 5 }),
        fc.integer({ min: 3, max: 12 }),
        (text, limit) => {
          expect(clip(text, limit).length).toBeLessThanOrEqual(
            Math.max(limit, text.length <= limit ? text.length : limit),
          );
          expect(clip(text, limit).isWellFormed()).toBe(true);
        },
      ),
    );
    expect(oneLine("select\n  1,\t2", 50)).toBe("select 1, 2");
    expect(oneLine("x".repeat(1_000_000), 20)).toHaveLength(20);
  });
});

describe("SQL tokens", () => {
  const kinds = (sql: string) =>
    tokens(sql)
      .filter((token) => token.kind !== "space")
      .map((token) => [token.kind, sql.slice(token.start, token.end)]);

  it("follow PostgreSQL's lexical structure", () => {
    expect(kinds("SELECT a.\"B\"\"c\", 'it''s', E'\\'x', U&'d\\0061', $1 -- end")).toEqual([
      ["keyword", "SELECT"],
      ["word", "a"],
      ["symbol", "."],
      ["quoted", '"B""c"'],
      ["symbol", ","],
      ["string", "'it''s'"],
      ["symbol", ","],
      ["string", "E'\\'x'"],
      ["symbol", ","],
      ["string", "U&'d\\0061'"],
      ["symbol", ","],
      ["parameter", "$1"],
      ["comment", "-- end"],
    ]);
    expect(kinds("/* a /* b */ c */ 1.5e-3 $q$ $$ '$q$ x$1 >=--c\n2")).toEqual([
      ["comment", "/* a /* b */ c */"],
      ["number", "1.5e-3"],
      ["string", "$q$ $$ '$q$"],
      ["word", "x$1"],
      ["symbol", ">="],
      ["comment", "--c"],
      ["number", "2"],
    ]);
  });

  it("cover every text without gap or overlap, also hostile ones", () => {
    fc.assert(
      fc.property(anyText, (sql) => {
        let at = 0;
        for (const token of tokens(sql)) {
          expect(token.start).toBe(at);
          expect(token.end).toBeGreaterThan(at);
          at = token.end;
        }
        expect(at).toBe(sql.length);
        expect(
          displayLines(sql, 7)
            .map(({ start, end }) => sql.slice(start, end))
            .join(""),
        ).toBe(sql.replaceAll("\n", ""));
      }),
    );
  });

  it("cut a megabyte to its end", () => {
    const long = `SELECT ${Array.from({ length: 150_000 }, (_, i) => i).join(",")}`;
    expect(tokens(long).at(-1)?.end).toBe(long.length);
  });

  it("tell when two texts are not the same statement", () => {
    expect(sameTokens("select 1", "select\n  1")).toBe(true);
    expect(sameTokens("select 'a  b'", "select 'a b'")).toBe(false);
    expect(sameTokens("select 1", "SELECT 1")).toBe(false);
    expect(sameTokens("select a - - 1", "select a -- 1")).toBe(false);
  });

  it("what is laid out is the same statement, or is not shown", () => {
    const sql = "SELECT a, 'x  y' FROM t WHERE b = $1 AND c->>'d' ~ 'e' -- why\nORDER BY 1";
    const formatted = formatSql(sql);
    expect(formatted).not.toBeNull();
    expect(sameTokens(sql, formatted ?? "")).toBe(true);
    expect(formatted?.split("\n").length).toBeGreaterThan(3);
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = formatSql(text);
        expect(shown === null || sameTokens(text, shown)).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(formatSql("x".repeat(50_000))).toBeNull();
  });
});

describe("the event stream", () => {
  const parse = (pieces: readonly string[]) => {
    const seen: SseMessage[] = [];
    const retries: number[] = [];
    const parser = createSseParser(
      (message) => seen.push(message),
      (ms) => retries.push(ms),
    );
    for (const piece of pieces) parser.feed(piece);
    return { seen, retries };
  };
  const stream =
    ': hello\r\nretry: 2500\r\n\r\nid: 7\nevent: statement\ndata: {"a":\ndata: 1}\n\ndata: bare\rdata:x\r\r:beat\n\nevent: only\n\nid: 8\ndata\n\n';

  it("is read as the standard says, wherever it is cut", () => {
    const whole = parse([stream]);
    expect(whole.seen).toEqual([
      { id: "7", event: "statement", data: '{"a":\n1}' },
      { id: "7", event: "message", data: "bare\nx" },
      { id: "8", event: "message", data: "" },
    ]);
    expect(whole.retries).toEqual([2500]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
        const pieces = places.slice(1).map((end, index) => stream.slice(places[index], end));
        expect(parse(pieces)).toEqual(whole);
      }),
    );
  });
});

describe("addresses and lines", () => {
  it("match patterns part by part", () => {
    expect(matchPath("/trail/:request", "/trail/a%2Fb")).toEqual({ request: "a/b" });
    expect(matchPath("/", "/")).toEqual({});
    // Whatever a run is called: its address keeps it apart from every other, and the gateway reads it as the page does.
    const names = [".", "..", "...", "~", "~.", "~..", "~~.", "~a", "a/b", "%2e", "..%2f", "?#", " ", "é"];
    const addresses = names.map((name) => new URL(`/runs/${segmentOf(name)}`, "http://x").pathname);
    expect(new Set(addresses).size).toBe(names.length);
    for (const [at, name] of names.entries()) {
      const { run = "" } = matchPath("/runs/:run", addresses[at] ?? "") ?? {};
      expect([nameOfSegment(run), readByApi(run)]).toEqual([name, name]);
    }
    expect(matchPath("/live", "/live/")).toEqual({});
    expect(matchPath("/trail/:request", "/trail")).toBeNull();
    expect(matchPath("/trail/:request", "/trail/%zz")).toBeNull();
  });

  it("get the token in all its places, and only there", () => {
    expect(fill("a {token} b {token}", "pgt_$&x")).toBe("a pgt_$&x b pgt_$&x");
    expect(fill("a {token}", null)).toBe("a {token}");
    expect(cutAtPlaces("a {token} b")).toEqual(["a ", "{token}", " b"]);
  });
});

describe("times and sizes", () => {
  it("read as people say them", () => {
    expect(relative(1_000, 1_500)).toBe("now");
    expect(relative(0, 90_000)).toBe("1 min ago");
    expect(relative(7_200_000, 0)).toBe("in 2 h");
    expect(relative(Number.NaN, 0)).toBe("unknown");
    expect([duration(1.84), duration(450), duration(1500), duration(61_000)]).toEqual([
      "1.8 ms",
      "450 ms",
      "1.5 s",
      "1 min",
    ]);
    expect([clock(0), clock(-5), clock(843_000), clock(3_729_000)]).toEqual([
      "0:00",
      "0:00",
      "14:03",
      "1:02:09",
    ]);
    expect([span(900), span(3600), span(86_400), span(61)]).toEqual([
      "15 minutes",
      "1 hour",
      "1 day",
      "61 seconds",
    ]);
    expect([bytes(812), bytes(1_500), bytes(1_284_552)]).toEqual(["812 B", "1.5 kB", "1.3 MB"]);
  });
});
