/** Rates of policies: token buckets for each principal and rule. Pure but for what is passed in; the gateway keeps one instance. */
import type { Principal } from "../facts/principal.ts";
import type { Budget } from "./types.ts";

/**
 * Whether statements may be sent now. `budget`: the rate that is used up; `retryMs`: when they would pass; Infinity: never, as they are
 * more at once than the rate ever has.
 */
export type Charge =
  | { readonly ok: true }
  | { readonly ok: false; readonly budget: Budget; readonly retryMs: number };

export interface BudgetKeeper {
  /**
   * Takes a statement's weight from every `statements` rate, or nothing from any; a `rows` rate must have one left. Rates of several
   * statements together: a rate that is named more than once is asked for as many. `now`: milliseconds of a clock that never goes back
   * (performance.now()).
   */
  charge(principal: Principal, budgets: readonly Budget[], now: number): Charge;
  /** Gives back what `charge` took for statements that did not run after all. */
  refund(principal: Principal, budgets: readonly Budget[], now: number): void;
  /** Counts rows that were delivered against every `rows` rate. A result may overdraw it: the next statement then waits. */
  spend(principal: Principal, budgets: readonly Budget[], rows: number, now: number): void;
  /** What is left of each rate; nothing is taken. */
  left(principal: Principal, budgets: readonly Budget[], now: number): readonly number[];
  /** Principal-and-rule pairs kept. */
  readonly size: number;
}

interface Bucket {
  left: number;
  at: number;
  amount: number;
  perMs: number;
}

/** Full buckets say nothing and are dropped beyond this many. */
const defaultMost = 100_000;

/** A keeper of rates. `most` bounds its memory: beyond it the buckets that were used longest ago are forgotten first. */
export function createBudgets(most = defaultMost): BudgetKeeper {
  // In order of last use.
  const buckets = new Map<string, Bucket>();

  function bucketOf(principal: Principal, budget: Budget, now: number): Bucket {
    const key = keyOf(principal, budget);
    const perMs = budget.amount / (budget.perSeconds * 1000);
    const found = buckets.get(key);
    const bucket = found ?? { left: budget.amount, at: now, amount: budget.amount, perMs };
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > most) forget();
    bucket.left += Math.max(0, now - bucket.at) * bucket.perMs;
    bucket.at = Math.max(bucket.at, now);
    // A reloaded policy may have changed the rate: what is left counts on under the new one.
    bucket.amount = budget.amount;
    bucket.perMs = perMs;
    bucket.left = Math.min(bucket.left, bucket.amount);
    return bucket;
  }

  function forget(): void {
    for (const key of buckets.keys()) {
      if (buckets.size <= most * 0.9) return;
      buckets.delete(key);
    }
  }

  return {
    charge(principal, budgets, now) {
      const taken: [Bucket, number][] = [];
      for (const budget of budgets) {
        const bucket = bucketOf(principal, budget, now);
        // Sums of fractions may end a hair below what they mean.
        const weight = weightOf(budget);
        if (bucket.left < weight - 1e-9) {
          for (const [other, its] of taken) other.left += its;
          return { ok: false, budget, retryMs: waitOf(bucket, budget, budgets, principal) };
        }
        if (budget.unit !== "statements") continue;
        bucket.left -= weight;
        taken.push([bucket, weight]);
      }
      return { ok: true };
    },
    refund(principal, budgets, now) {
      for (const budget of budgets) {
        if (budget.unit !== "statements") continue;
        const bucket = bucketOf(principal, budget, now);
        bucket.left = Math.min(bucket.amount, bucket.left + weightOf(budget));
      }
    },
    spend(principal, budgets, rows, now) {
      for (const budget of budgets)
        if (budget.unit === "rows") bucketOf(principal, budget, now).left -= Math.max(0, rows);
    },
    left: (principal, budgets, now) =>
      budgets.map((budget) => Math.max(0, Math.floor(bucketOf(principal, budget, now).left + 1e-9))),
    get size() {
      return buckets.size;
    },
  };
}

/** What one statement takes of a rate; of a rate of rows, what must be left of it. */
function weightOf({ unit, weight = 1 }: Budget): number {
  return unit === "statements" ? weight : 1;
}

/** How long until all that is asked of `bucket` would be there; nothing of it is taken. */
function waitOf(bucket: Bucket, budget: Budget, budgets: readonly Budget[], principal: Principal): number {
  const key = keyOf(principal, budget);
  const same = budget.unit === "statements" ? budgets.filter((other) => keyOf(principal, other) === key) : [];
  const wanted = Math.max(
    1,
    same.reduce((sum, other) => sum + weightOf(other), 0),
  );
  if (wanted > bucket.amount) return Number.POSITIVE_INFINITY;
  return Math.ceil((wanted - bucket.left) / bucket.perMs);
}

/** Both live as long as a session and a decision do, and are charged with every statement. */
const keys = new WeakMap<Principal, WeakMap<Budget, string>>();

/** Issuer and subject together are the principal: two providers may know the same subject. */
function keyOf(principal: Principal, budget: Budget): string {
  let own = keys.get(principal);
  if (own === undefined) {
    own = new WeakMap();
    keys.set(principal, own);
  }
  let key = own.get(budget);
  if (key === undefined) {
    key = JSON.stringify([principal.issuer, principal.subject, budget.rule, budget.unit, budget.perSeconds]);
    own.set(budget, key);
  }
  return key;
}

const ofLabels = "label:";

/** The budget of comparisons with one label under `use: equality`, for `charge` with so many of them. */
export function equalityBudget(
  label: { readonly label: string; readonly equalityPerMinute: number },
  weight = 1,
): Budget {
  return {
    rule: `${ofLabels}${label.label}`,
    unit: "statements",
    amount: label.equalityPerMinute,
    perSeconds: 60,
    ...(weight > 1 ? { weight } : {}),
  };
}

/** The budget when so many more values are compared than its judgement says; null: nobody knows how many, so all that there may be. */
export function withComparisons(budget: Budget, more: number | null): Budget {
  if (more === 0 || !budget.rule.startsWith(ofLabels) || budget.unit !== "statements") return budget;
  return { ...budget, weight: more === null ? budget.amount : (budget.weight ?? 0) + more };
}
