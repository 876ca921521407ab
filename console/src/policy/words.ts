/** The policy in words. */
import { isRecord } from "../lib/api.ts";
import type { PolicyLabel, PolicyRule } from "./types.ts";

/** Order of force: what comes first wins. */
export const order = ["deny", "approve", "allow", "limit", "unmask"] as const;

export const groupTitles: Readonly<Record<(typeof order)[number], readonly [string, string]>> = {
  deny: ["Deny", "Any of these that matches wins."],
  approve: ["Ask a person", "Held until people agree; all that match must."],
  allow: ["Allow", "One is enough, where nothing above matches."],
  limit: ["Limit", "Every one that matches tightens what is allowed."],
  unmask: ["Show in the clear", "Lifts masks, only for the labels named."],
};

/** A mask as words: `partial`, `keep: first 1, last 4`, `date: month`. */
export function maskWords(mask: unknown): string {
  if (typeof mask === "string") return known[mask] ?? mask;
  if (!isRecord(mask)) return "masked";
  const { kind, first, last, unit, keep, date } = mask;
  if (isRecord(keep)) return keepWords(Number(keep.first ?? 0), Number(keep.last ?? 0));
  if (typeof date === "string") return `cut to the ${date}`;
  if (kind === "keep") return keepWords(Number(first ?? 0), Number(last ?? 0));
  if (kind === "date") return `cut to the ${String(unit)}`;
  return typeof kind === "string" ? (known[kind] ?? kind) : "masked";
}

function keepWords(first: number, last: number): string {
  const ends = [first > 0 ? `first ${first}` : null, last > 0 ? `last ${last}` : null].filter(
    (end) => end !== null,
  );
  if (ends.length === 0) return "keeps no character";
  return `keeps the ${ends.join(" and ")} character${ends.length === 1 && Math.max(first, last) === 1 ? "" : "s"}`;
}

const known: Readonly<Record<string, string>> = {
  null: "comes back as NULL",
  redact: "replaced by a constant such as [redacted]",
  partial: "partly hidden",
  hash: "hashed with a key; equal values stay equal",
};

const uses: Readonly<Record<string, string>> = {
  output: "only as a plain output column; conditions on it are refused",
  equality: "plain = and IN comparisons are allowed",
  derived: "expressions of it come back fully masked",
  any: "conditions are free; outputs are masked",
};

/** What a label does, as a sentence. */
export function labelWords(label: {
  readonly access: PolicyLabel["access"];
  readonly mask: unknown;
  readonly use: string | null;
}): string {
  if (label.access === "none") return "Cannot be read at all.";
  return `${capital(maskWords(label.mask))}; ${uses[label.use ?? "output"] ?? label.use ?? ""}.`;
}

export function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

const quoted = /"([^"\\]{1,60})"\s+in\s+principal\.groups/g;

/** Groups that the policy's conditions speak of, each once, as people to try in the playground. */
export function groupsIn(rules: readonly Pick<PolicyRule, "when">[]): readonly string[] {
  const found = new Set<string>();
  for (const { when } of rules) for (const match of when.matchAll(quoted)) found.add(match[1] ?? "");
  return [...found].sort();
}
