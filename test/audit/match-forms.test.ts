/** Numbers in binary form, texts that no server has, and results of a size that is hashed once only. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { encodeRow, type Row } from "../../src/audit/capture/read.ts";
import { matchCopy } from "../../src/audit/match/match.ts";
import type { DeliveredResult } from "../../src/audit/match/verdict.ts";

const salt = Buffer.alloc(18, 5);

function delivered(types: readonly string[], rows: readonly Row[], formats: readonly number[], kept = true) {
  const messages = Buffer.concat(rows.map(encodeRow));
  return {
    copy: false,
    columns: types.map((type, i) => ({ name: `c${i}`, type })),
    formats,
    rows: rows.length,
    bytes: messages.length,
    complete: true,
    suspended: false,
    digest: createHash("sha256").update(messages).update(salt).digest("base64"),
    salt,
    captured: kept ? messages : null,
    mayBeBinary: true,
  } satisfies DeliveredResult;
}

function float(type: "float4" | "float8", value: number): Buffer {
  const out = Buffer.alloc(type === "float4" ? 4 : 8);
  if (type === "float4") out.writeFloatBE(value);
  else out.writeDoubleBE(value);
  return out;
}

test.each(["float4", "float8"] as const)(
  "a captured %s in binary form: another number is a mismatch",
  (type) => {
    const result = delivered(["text", type], [[Buffer.from("a"), float(type, 2.5)]], [0, 1]);
    const verdict = (value: string) => matchCopy(Buffer.from(`["a",${value}]\n`), "jsonl", result).verdict;
    expect(verdict("2.5")).toBe("match");
    expect(verdict("25e-1")).toBe("match");
    expect(verdict("2.6")).toBe("mismatch");
    expect(verdict("-2.5")).toBe("mismatch");
    // A program that keeps few digits.
    expect(verdict("2.500001")).toBe("cannot tell");
    expect(matchCopy(Buffer.from("a,2.75\n"), "csv", result).verdict).toBe("mismatch");
  },
);

test("what is not finite, or no float, is not guessed at", () => {
  const result = delivered(["float8"], [[float("float8", Number.NaN)]], [1]);
  expect(matchCopy(Buffer.from("[1]\n"), "jsonl", result).verdict).toBe("cannot tell");
  const numeric = delivered(["numeric"], [[Buffer.from([0, 1, 0, 0, 0, 0, 0, 0, 0, 5])]], [1]);
  expect(matchCopy(Buffer.from("[6]\n"), "jsonl", numeric).verdict).toBe("cannot tell");
});

test("half of a surrogate pair is not the sign that stands for what cannot be read", () => {
  for (const kept of [true, false]) {
    const result = delivered(["text"], [[Buffer.from("\ufffd")]], [], kept);
    expect(matchCopy(Buffer.from('["\\ud800"]\n'), "jsonl", result).verdict).toBe("mismatch");
    expect(matchCopy(Buffer.from('["\ufffd"]\n'), "jsonl", result).verdict).toBe("match");
  }
});

test("a large result that can be read in one way is compared, whatever its size", () => {
  const rows = [[Buffer.from("a")], [Buffer.from("b")]];
  const result = { ...delivered(["text"], rows, [], false), bytes: 300 * 1024 * 1024 };
  expect(matchCopy(Buffer.from("c0\na\nb\n"), "csv", result).verdict).toBe("match");
  expect(matchCopy(Buffer.from("c0\na\nc\n"), "csv", result).verdict).toBe("mismatch");
});
