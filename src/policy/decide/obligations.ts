/** What matching rules attach to an allowed statement: limits, rates, durability, demands for people, masks lifted. */
import type { Durability } from "../../facts/audit.ts";
import type { ApproverDemand, DecisionLimits } from "../../facts/decision.ts";
import type { Budget, Use } from "../types.ts";
import type { CompiledRule } from "./rules.ts";

export const unlimited: DecisionLimits = {
  rows: null,
  bytes: null,
  timeoutMs: null,
  affectedRows: null,
  perMinute: null,
};

type LimitName = keyof DecisionLimits;
const limitNames: readonly LimitName[] = ["rows", "bytes", "timeoutMs", "affectedRows", "perMinute"];

/**
 * The most generous of the granting rules (one without a limit sets none), then the smallest of that and every limiting
 * rule's.
 */
export function limitsOf(
  granting: readonly CompiledRule[],
  limiting: readonly CompiledRule[],
): DecisionLimits {
  const limits = { ...unlimited };
  for (const name of limitNames) {
    let value = most(granting.map((rule) => rule.limits[name]));
    for (const rule of limiting) {
      const other = rule.limits[name];
      if (other !== null) value = value === null ? other : Math.min(value, other);
    }
    limits[name] = value;
  }
  return limits;
}

/** The largest; null (no limit) is larger than any. */
function most(values: readonly (number | null)[]): number | null {
  let largest: number | null = null;
  for (const value of values) {
    if (value === null) return null;
    largest = largest === null ? value : Math.max(largest, value);
  }
  return largest;
}

const rates = [
  { name: "perMinute", unit: "statements", perSeconds: 60 },
  { name: "perHour", unit: "statements", perSeconds: 3600 },
  { name: "perDay", unit: "statements", perSeconds: 86_400 },
  { name: "rowsPerHour", unit: "rows", perSeconds: 3600 },
  { name: "rowsPerDay", unit: "rows", perSeconds: 86_400 },
] as const;

/**
 * The rates that a statement counts against: for each kind the most generous granting rule's (by name where several are), none
 * when one of them has none; and each limiting rule's own.
 */
export function budgetsOf(granting: readonly CompiledRule[], limiting: readonly CompiledRule[]): Budget[] {
  const budgets: Budget[] = [];
  for (const { name, unit, perSeconds } of rates) {
    const amount = most(granting.map((rule) => rule.limits[name]));
    const owner = granting.find((rule) => rule.limits[name] === amount);
    if (amount !== null && owner !== undefined) budgets.push({ rule: owner.name, unit, amount, perSeconds });
    for (const rule of limiting) {
      const own = rule.limits[name];
      if (own !== null) budgets.push({ rule: rule.name, unit, amount: own, perSeconds });
    }
  }
  return budgets;
}

const durabilities: readonly Durability[] = ["process", "disk", "strict"];

/** The most durable that any of the rules asks for. */
export function durabilityOf(rules: readonly CompiledRule[]): Durability | null {
  let level = -1;
  for (const { durability } of rules)
    if (durability !== null) level = Math.max(level, durabilities.indexOf(durability));
  return durabilities[level] ?? null;
}

export function demandsOf(rules: readonly CompiledRule[]): ApproverDemand[] {
  return rules.flatMap((rule) => (rule.approvers === null ? [] : [rule.approvers]));
}

export function unmaskedBy(rules: readonly CompiledRule[]): string[] {
  return [...new Set(rules.flatMap((rule) => rule.unmask))].sort();
}

/** What granting rules relax. Each label's uses combined: see `looser`. */
export function relaxedBy(rules: readonly CompiledRule[]): Map<string, Use> {
  const relaxed = new Map<string, Use>();
  for (const rule of rules)
    for (const { label, use } of rule.use) relaxed.set(label, looser(relaxed.get(label) ?? "output", use));
  return relaxed;
}

/** The looser of two uses. `equality` and `derived` permit different things and have no common step below `any`: equality stands. */
export function looser(a: Use, b: Use): Use {
  const order: readonly Use[] = ["output", "derived", "equality", "any"];
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}
