/** One entry of `labels:`. */
import type { Mask } from "../../facts/effects.ts";
import { maxPatterns } from "../limits.ts";
import type { Use } from "../types.ts";
import type { Reader, Spot } from "../yaml/reader.ts";
import { offsetInScalar } from "../yaml/scalar.ts";
import { type ColumnPattern, parsePattern, patternExpected } from "./columns.ts";
import { readMask } from "./mask.ts";

export const uses = ["output", "equality", "derived", "any"] as const;

export interface LabelEntry {
  readonly label: string;
  readonly description: string | null;
  readonly patterns: readonly ColumnPattern[];
  readonly mask: Mask;
  readonly access: "masked" | "none";
  readonly use: Use;
  readonly equalityPerMinute: number;
  readonly spot: Spot;
}

const known = ["label", "description", "columns", "mask", "access", "use", "equality_per_minute"] as const;
/** A name that can stand in a record, a message and a condition without quoting. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/;

/** Reads a label; null when it lacks what it cannot do without. Its name is noted even when the rest is wrong. */
export function readLabel(
  reader: Reader,
  spot: Spot,
  names: (name: string, at: Spot) => void,
): LabelEntry | null {
  const fields = reader.map(spot, known, "a label: { label, columns, mask }");
  if (fields === null) return null;
  const name = readName(reader, fields.label, spot, "label", "pii.email");
  if (name !== null) names(name, fields.label ?? spot);
  const description =
    fields.description === undefined ? null : reader.text(fields.description, "a sentence", 2000);
  const patterns = readColumns(reader, fields.columns, spot);
  const access = fields.access === undefined ? "masked" : reader.choice(fields.access, ["masked", "none"]);
  const mask: Mask | null = fields.mask === undefined ? { kind: "null" } : readMask(reader, fields.mask);
  const use = fields.use === undefined ? "output" : reader.choice(fields.use, uses);
  const budget =
    fields.equality_per_minute === undefined ? 60 : reader.whole(fields.equality_per_minute, 1, 1_000_000);
  if (access === "none") {
    if (fields.mask !== undefined)
      reader.fail(fields.mask, "a column of access: none is never shown, so it has no mask", "no mask");
    if (fields.use !== undefined) reader.fail(fields.use, "a column of access: none is never used", "no use");
  }
  if (fields.equality_per_minute !== undefined && use !== "equality")
    reader.fail(fields.equality_per_minute, "counts only under use: equality", "use: equality with it");
  if (
    name === null ||
    patterns === null ||
    access === null ||
    mask === null ||
    use === null ||
    budget === null
  )
    return null;
  return { label: name, description, patterns, mask, access, use, equalityPerMinute: budget, spot };
}

/** A required name at `spot`. */
export function readName(
  reader: Reader,
  spot: Spot | undefined,
  parent: Spot,
  key: string,
  example: string,
): string | null {
  const expected = `a name such as ${example} (letters, digits, ., _, / and -, at most 100)`;
  if (spot === undefined) return reader.fail(parent, `has no ${key}`, expected);
  const name = reader.text(spot, expected);
  if (name === null) return null;
  return namePattern.test(name)
    ? name
    : reader.fail(spot, `${JSON.stringify(name.slice(0, 60))} is not a name`, expected);
}

function readColumns(reader: Reader, spot: Spot | undefined, parent: Spot): ColumnPattern[] | null {
  if (spot === undefined) return reader.fail(parent, "has no columns", `a list of ${patternExpected}`);
  const items = reader.list(spot, `a list of ${patternExpected}`, 1, maxPatterns);
  if (items === null) return null;
  const patterns: ColumnPattern[] = [];
  for (const item of items) {
    const text = reader.text(item, patternExpected, 300);
    if (text === null || item.node.kind !== "scalar") continue;
    const result = parsePattern(text);
    if (result.ok) patterns.push(result.pattern);
    else
      reader.fail(
        item,
        result.what,
        patternExpected,
        offsetInScalar(reader.source.text, item.node.scalar, result.at),
      );
  }
  return patterns.length === items.length ? patterns : null;
}
