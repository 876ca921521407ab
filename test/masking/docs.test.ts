/** The examples of docs/masking.md are what the masks give. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import { maskText } from "../../src/masking/index.ts";
import { keys } from "./support.ts";

const docs = readFileSync(join(import.meta.dirname, "../../docs/masking.md"), "utf8");
const rows = docs
  .slice(docs.indexOf("| value |"))
  .split("\n\n")[0]
  ?.split("\n")
  .slice(2)
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const types: Readonly<Record<string, number>> = {
  text: 25,
  bigint: 20,
  numeric: 1700,
  date: 1082,
  inet: 869,
  jsonb: 3802,
  boolean: 16,
  "text[]": 1009,
};
const masks: readonly Mask[] = [
  { kind: "redact" },
  { kind: "partial" },
  { kind: "hash" },
  { kind: "keep", first: 1, last: 4 },
];

describe("docs/masking.md", () => {
  test.each(rows ?? [])("%s", (value, ...examples) => {
    const [, type = "", text = ""] = /^(\S+) `(.*)`$/.exec(value) ?? [];
    // A uuid is shortened to fit the page.
    if (type === "uuid") return;
    for (const [i, example] of examples.entries()) {
      // An example in words.
      if (!example.startsWith("`") && example !== "NULL") continue;
      const masked = maskText(masks[i] as Mask, types[type] ?? 0, text, keys(), "test");
      expect(masked === null ? "NULL" : `\`${masked}\``).toBe(example);
    }
  });
  test("has examples", () => expect(rows?.length).toBeGreaterThan(10));
});
