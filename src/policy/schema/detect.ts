/** `detect:`: looking for personal data by content in columns that have no label. */
import type { Mask } from "../../facts/effects.ts";
import { maxDetectPatterns } from "../limits.ts";
import type { DetectPolicy, DetectRule } from "../types.ts";
import { describe, type Reader, type Spot } from "../yaml/reader.ts";
import { readName } from "./label.ts";
import { readMask } from "./mask.ts";

/** What can be told by its form; masking/ knows how. */
export const detectKinds = ["email", "card", "iban", "ssn", "phone", "ipv4", "jwt", "cloud_key"] as const;
const actions = ["mask", "alert"] as const;

/** What is wrong with a pattern of the owner's; null: nothing. masking/ knows: policies are read without it. */
export type PatternCheck = (pattern: string) => string | null;

const expected = "what to look for: { kinds: { email: mask }, patterns: [ … ] }";
const patternExpected = "a pattern without look-around and back-references, such as 'EMP-\\d{6}'";

/** Reads the section; null and noted mistakes when it is not sound. */
export function readDetect(reader: Reader, spot: Spot, check: PatternCheck): DetectPolicy | null {
  const fields = reader.map(spot, ["kinds", "patterns", "mask", "rows", "confidence"], expected);
  if (fields === null) return null;
  const kinds = fields.kinds === undefined ? [] : readKinds(reader, fields.kinds);
  const patterns = fields.patterns === undefined ? [] : readPatterns(reader, fields.patterns, check);
  const mask: Mask | null = fields.mask === undefined ? { kind: "redact" } : readMask(reader, fields.mask);
  const rows = fields.rows === undefined ? 200 : reader.whole(fields.rows, 1, 1_000_000);
  const confidence = fields.confidence === undefined ? 0.6 : readShare(reader, fields.confidence);
  if (kinds === null || patterns === null || mask === null || rows === null || confidence === null)
    return null;
  const rules = [...kinds, ...patterns];
  // A misspelt kind has its mistake already.
  const given = fields.kinds?.node;
  if (
    fields.patterns === undefined &&
    (given === undefined || (given.kind === "map" && given.pairs.length === 0))
  )
    return reader.fail(spot, "looks for nothing", expected);
  return { rules, mask, rows, confidence };
}

function readKinds(reader: Reader, spot: Spot): DetectRule[] | null {
  const fields = reader.map(spot, detectKinds, "kinds and what to do: { email: mask, phone: alert }");
  if (fields === null) return null;
  const rules: DetectRule[] = [];
  let sound = true;
  for (const kind of detectKinds) {
    const field = fields[kind];
    if (field === undefined) continue;
    const action = reader.choice(field, actions);
    if (action === null) sound = false;
    else rules.push({ kind, pattern: null, action });
  }
  return sound ? rules : null;
}

function readPatterns(reader: Reader, spot: Spot, check: PatternCheck): DetectRule[] | null {
  const items = reader.list(spot, "a list of { name, pattern, action }", 1, maxDetectPatterns);
  if (items === null) return null;
  const names = new Set<string>(detectKinds);
  const rules: DetectRule[] = [];
  for (const item of items) {
    const fields = reader.map(item, ["name", "pattern", "action"], "{ name, pattern, action }");
    if (fields === null) continue;
    const name = readName(reader, fields.name, item, "name", "staff.number");
    if (name !== null && names.has(name))
      reader.fail(fields.name ?? item, `another kind is called ${JSON.stringify(name)}`, "a name of its own");
    if (name !== null) names.add(name);
    const missing = (key: string) => reader.fail(item, `has no ${key}`, `{ name, pattern, action }`);
    const pattern =
      fields.pattern === undefined ? missing("pattern") : reader.text(fields.pattern, patternExpected);
    const action = fields.action === undefined ? missing("action") : reader.choice(fields.action, actions);
    const fault = pattern === null ? null : check(pattern);
    if (fault !== null) reader.fail(fields.pattern ?? item, fault, patternExpected);
    if (name !== null && pattern !== null && action !== null && fault === null)
      rules.push({ kind: name, pattern, action });
  }
  return rules.length === items.length ? rules : null;
}

function readShare(reader: Reader, spot: Spot): number | null {
  const value = spot.node.kind === "scalar" ? spot.node.value : null;
  if (typeof value === "number" && value > 0 && value <= 1) return value;
  return reader.fail(spot, describe(spot.node), "a number above 0, up to 1, such as 0.6");
}
