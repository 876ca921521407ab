/** One entry of `rules:`. */
import type { Durability } from "../../facts/audit.ts";
import type { ApproverDemand } from "../../facts/decision.ts";
import { type Condition, compileCondition } from "../condition/compile.ts";
import { maxCondition, maxLabels } from "../limits.ts";
import type { Use } from "../types.ts";
import { describe, type Fields, type Reader, type Spot } from "../yaml/reader.ts";
import { offsetInScalar } from "../yaml/scalar.ts";
import { readName, uses } from "./label.ts";
import { noLimits, type RuleLimits, readLimits } from "./limits.ts";
import { readDuration } from "./units.ts";

export const verbs = ["allow", "deny", "approve", "limit", "unmask"] as const;
export type Then = (typeof verbs)[number];

/** Told of every name and every mention of a label, also in rules that cannot be used otherwise. */
export interface Mentions {
  name(name: string, at: Spot): void;
  label(label: string, at: Spot, offset: number): void;
}

export interface RuleEntry {
  readonly name: string;
  readonly description: string | null;
  readonly then: Then;
  readonly condition: Condition;
  /** null: as the file. */
  readonly mode: "enforce" | "observe" | null;
  readonly message: string | null;
  readonly hint: string | null;
  readonly limits: RuleLimits;
  readonly durability: Durability | null;
  readonly approvers: Omit<ApproverDemand, "rule"> | null;
  /** Labels whose masks are lifted: by `unmask` at once, by `approve` for the one statement that people agreed to. */
  readonly labels: readonly string[];
  readonly use: readonly { readonly label: string; readonly use: Use }[];
  readonly spot: Spot;
}

const known = [
  "name",
  "description",
  "when",
  "then",
  "mode",
  "message",
  "hint",
  "limits",
  "durability",
  "approvers",
  "labels",
  "use",
] as const;
type Key = (typeof known)[number];

/** Which keys say something on which kind of rule; the others would be silently without effect, so they are mistakes. */
const belongs: Readonly<Partial<Record<Key, readonly Then[]>>> = {
  message: ["deny", "approve"],
  hint: ["deny", "approve"],
  limits: ["allow", "approve", "limit"],
  durability: ["allow", "approve", "limit"],
  approvers: ["approve"],
  labels: ["unmask", "approve"],
  use: ["allow", "approve"],
};
const required: Readonly<Partial<Record<Then, readonly Key[]>>> = {
  approve: ["approvers"],
  unmask: ["labels"],
};

/** Reads a rule and compiles its condition; null when it lacks what it cannot do without. */
export function readRule(reader: Reader, spot: Spot, mentions: Mentions): RuleEntry | null {
  const fields = reader.map(spot, known, "a rule: { name, when, then }");
  if (fields === null) return null;
  const name = readName(reader, fields.name, spot, "name", "agents-read");
  if (name !== null) mentions.name(name, fields.name ?? spot);
  const then =
    fields.then === undefined
      ? reader.fail(spot, "has no then", verbs.join(", "))
      : reader.choice(fields.then, verbs);
  const condition = readWhen(reader, fields.when, spot, mentions);
  if (then !== null) checkKeys(reader, fields, then, spot);
  const text = (field: Spot | undefined, expected: string) =>
    field === undefined ? null : reader.text(field, expected, 1000);
  const entry = {
    description: text(fields.description, "a sentence"),
    message: text(fields.message, "a sentence for the caller"),
    hint: text(fields.hint, "the caller's next step, a sentence"),
    mode: fields.mode === undefined ? null : reader.choice(fields.mode, ["enforce", "observe"]),
    limits: fields.limits === undefined ? noLimits : readLimits(reader, fields.limits),
    durability:
      fields.durability === undefined
        ? null
        : reader.choice(fields.durability, ["process", "disk", "strict"]),
    approvers: fields.approvers === undefined ? null : readApprovers(reader, fields.approvers),
    labels: fields.labels === undefined ? [] : readLabels(reader, fields.labels, mentions),
    use: fields.use === undefined ? [] : readUse(reader, fields.use, mentions),
    spot,
  };
  if (name === null || then === null || condition === null || entry.limits === null) return null;
  return { ...entry, limits: entry.limits, name, then, condition };
}

function checkKeys(reader: Reader, fields: Fields<Key>, then: Then, spot: Spot): void {
  for (const key of known) {
    const field = fields[key];
    const of = belongs[key];
    if (field !== undefined && of !== undefined && !of.includes(then))
      reader.fail(field, `has no meaning with then: ${then}`, `${key} only with ${of.join(" or ")}`);
  }
  for (const key of required[then] ?? [])
    if (fields[key] === undefined) reader.fail(spot, `has no ${key}`, `${key} with then: ${then}`);
  if (then === "limit" && fields.limits === undefined && fields.durability === undefined)
    reader.fail(spot, "has no limits", "limits (or durability) with then: limit");
}

function readWhen(
  reader: Reader,
  spot: Spot | undefined,
  parent: Spot,
  mentions: Mentions,
): Condition | null {
  const expected = "a CEL condition such as 'principal.kind == \"agent\"' ('true': always)";
  if (spot === undefined) return reader.fail(parent, "has no when", expected);
  const { node } = spot;
  if (node.kind !== "scalar") return reader.fail(spot, describe(node), expected);
  // `when: true` reads naturally and means just that.
  const text =
    typeof node.value === "boolean" ? String(node.value) : reader.text(spot, expected, maxCondition);
  if (text === null) return null;
  const place = (at: number) => offsetInScalar(reader.source.text, node.scalar, at);
  const result = compileCondition(text);
  for (const { label, at } of result.labels) mentions.label(label, spot, place(at));
  if (result.ok) return result.condition;
  for (const { what, expected: instead, at } of result.faults) reader.fail(spot, what, instead, place(at));
  return null;
}

const second = 1000;
const thirtyDays = 30 * 86_400 * second;

function readApprovers(reader: Reader, spot: Spot): RuleEntry["approvers"] {
  const keys = ["groups", "count", "within", "allow_delegator", "ticket", "break_glass"] as const;
  const fields = reader.map(spot, keys, "{ groups: [data-stewards], count: 1, within: 15m }");
  if (fields === null) return null;
  const groups =
    fields.groups === undefined
      ? reader.fail(spot, "has no groups", "groups: the groups whose members may approve")
      : reader.texts(fields.groups, "a group", 1, 50);
  const count = fields.count === undefined ? 1 : reader.whole(fields.count, 1, 20);
  const withinMs =
    fields.within === undefined ? 15 * 60 * second : readDuration(reader, fields.within, second, thirtyDays);
  const allowDelegator = fields.allow_delegator === undefined ? false : reader.flag(fields.allow_delegator);
  const ticket = fields.ticket === undefined ? false : reader.flag(fields.ticket);
  const breakGlass =
    fields.break_glass === undefined ? undefined : readBreakGlass(reader, fields.break_glass, groups ?? []);
  if (groups === null || count === null || withinMs === null || allowDelegator === null || ticket === null)
    return null;
  if (breakGlass === null) return null;
  return { groups, count, withinMs, allowDelegator, ticket, breakGlass: breakGlass ?? null };
}

/** `review` left out: the rule's own approvers look at it afterwards. */
function readBreakGlass(
  reader: Reader,
  spot: Spot,
  approvers: readonly string[],
): NonNullable<ApproverDemand["breakGlass"]> | null {
  const fields = reader.map(spot, ["groups", "review"], "{ groups: [oncall], review: [security] }");
  if (fields === null) return null;
  const groups =
    fields.groups === undefined
      ? reader.fail(spot, "has no groups", "groups: the groups whose members may skip approval with a reason")
      : reader.texts(fields.groups, "a group", 1, 50);
  const review = fields.review === undefined ? approvers : reader.texts(fields.review, "a group", 1, 50);
  return groups === null || review === null ? null : { groups, review };
}

function readLabels(reader: Reader, spot: Spot, mentions: Mentions): RuleEntry["labels"] {
  const labels = reader.texts(spot, "a label", 1, maxLabels) ?? [];
  if (spot.node.kind === "list")
    for (const [index, label] of labels.entries()) {
      const node = reader.source.node(spot.node.items[index], spot.node.offset);
      mentions.label(label, { path: `${spot.path}[${index}]`, node }, node.offset);
    }
  return labels;
}

function readUse(reader: Reader, spot: Spot, mentions: Mentions): RuleEntry["use"] {
  const expected = "labels and how their columns may be used: { pii.email: equality }";
  return (reader.entries(spot, expected) ?? []).flatMap(({ key, spot: at }) => {
    mentions.label(key, at, at.node.offset);
    const use = reader.choice(at, uses);
    return use === null ? [] : [{ label: key, use }];
  });
}
