/** A policy file as a whole. */
import { builtinNames } from "../builtin.ts";
import { maxLabels, maxRules } from "../limits.ts";
import type { DetectPolicy } from "../types.ts";
import type { Reader, Spot } from "../yaml/reader.ts";
import { type PatternCheck, readDetect } from "./detect.ts";
import { type LabelEntry, readLabel } from "./label.ts";
import { type RuleEntry, readRule } from "./rule.ts";

export type Mode = "enforce" | "observe";

export interface FileEntry {
  readonly reader: Reader;
  readonly mode: Mode;
  readonly masking: Mode;
  readonly default: { readonly value: "allow" | "deny"; readonly spot: Spot } | null;
  readonly extends: readonly string[];
  readonly labels: readonly LabelEntry[];
  readonly detect: { readonly value: DetectPolicy; readonly spot: Spot } | null;
  readonly rules: readonly RuleEntry[];
  /** Every name of a rule or label, also of those that could not be read. */
  readonly names: readonly { readonly kind: "rule" | "label"; readonly name: string; readonly spot: Spot }[];
  /** Every mention of a label, to be checked when all files are read. */
  readonly mentions: readonly { readonly label: string; readonly spot: Spot; readonly offset: number }[];
}

const known = [
  "version",
  "extends",
  "mode",
  "masking",
  "default",
  "labels",
  "detect",
  "rules",
  "description",
] as const;

/** Reads a file; mistakes are noted by the reader and what is sound is given back. */
export function readFile(reader: Reader, checkPattern: PatternCheck): FileEntry {
  const root = reader.root();
  const names: { kind: "rule" | "label"; name: string; spot: Spot }[] = [];
  const mentions: { label: string; spot: Spot; offset: number }[] = [];
  const empty: FileEntry = {
    reader,
    mode: "enforce",
    masking: "enforce",
    default: null,
    extends: [],
    labels: [],
    detect: null,
    rules: [],
    names,
    mentions,
  };
  if (root.node.kind === "none") {
    reader.fail(root, "the file is empty", "a policy that starts with version: 1");
    return empty;
  }
  const fields = reader.map(root, known, "a policy that starts with version: 1");
  if (fields === null) return empty;
  if (fields.version === undefined) reader.fail(root, "has no version", "version: 1");
  else reader.whole(fields.version, 1, 1);
  if (fields.description !== undefined) reader.text(fields.description, "a sentence", 4000);

  const mode = (spot: Spot | undefined): Mode =>
    (spot === undefined ? null : reader.choice(spot, ["enforce", "observe"])) ?? "enforce";
  const fallback = fields.default === undefined ? null : reader.choice(fields.default, ["deny", "allow"]);
  const items = (spot: Spot | undefined, what: string, most: number) =>
    spot === undefined ? [] : (reader.list(spot, `a list of ${what}`, 0, most) ?? []);
  const present = <Entry>(entry: Entry | null): entry is Entry => entry !== null;
  const noted = {
    name: (name: string, spot: Spot) => names.push({ kind: "rule", name, spot }),
    label: (label: string, spot: Spot, offset: number) => mentions.push({ label, spot, offset }),
  };
  const detect = fields.detect === undefined ? null : readDetect(reader, fields.detect, checkPattern);
  return {
    reader,
    mode: mode(fields.mode),
    masking: mode(fields.masking),
    default:
      fallback === null || fields.default === undefined ? null : { value: fallback, spot: fields.default },
    extends: fields.extends === undefined ? [] : readExtends(reader, fields.extends),
    labels: items(fields.labels, "labels", maxLabels)
      .map((item) => readLabel(reader, item, (name, spot) => names.push({ kind: "label", name, spot })))
      .filter(present),
    detect: detect === null || fields.detect === undefined ? null : { value: detect, spot: fields.detect },
    rules: items(fields.rules, "rules", maxRules)
      .map((item) => readRule(reader, item, noted))
      .filter(present),
    names,
    mentions,
  };
}

function readExtends(reader: Reader, spot: Spot): string[] {
  const spots = spot.node.kind === "list" ? (reader.list(spot, "built-in policies", 1, 10) ?? []) : [spot];
  return spots.flatMap((item) => {
    const name = reader.choice(item, builtinNames);
    return name === null ? [] : [name];
  });
}
