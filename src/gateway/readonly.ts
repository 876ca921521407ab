/**
 * Whom no rule lets change anything: such sessions run in READ ONLY transactions, as a second line behind the policy
 * (PostgreSQL manual, "SET TRANSACTION": default_transaction_read_only).
 */
import type { Effect } from "../facts/effects.ts";
import type { Principal } from "../facts/principal.ts";
import type { CompiledPolicy, SessionFacts } from "../policy/index.ts";

/** Effects that a READ ONLY transaction refuses, or may refuse. */
const changing: readonly Effect[] = ["admin", "ddl", "execute", "lock", "write"];
const beside: readonly Effect[] = ["file", "network", "read", "session"];

const known = new WeakMap<CompiledPolicy, Map<string, boolean>>();
const maxKnown = 4096;

/** true: whatever a statement of theirs is, and whenever it comes, one that changes something is denied. */
export function readsOnly(policy: CompiledPolicy, principal: Principal, session: SessionFacts): boolean {
  const key = policy.cacheKey(principal, session);
  let answers = known.get(policy);
  if (answers === undefined) {
    answers = new Map();
    known.set(policy, answers);
  }
  const kept = key === null ? undefined : answers.get(key);
  if (kept !== undefined) return kept;
  const answer = subsets(changing)
    .filter((effects) => effects.length > 0)
    .every((effects) =>
      subsets(beside).every((more) => denied(policy, principal, session, [...effects, ...more].sort())),
    );
  if (key !== null) {
    if (answers.size >= maxKnown) answers.clear();
    answers.set(key, answer);
  }
  return answer;
}

function denied(
  policy: CompiledPolicy,
  principal: Principal,
  session: SessionFacts,
  effects: readonly Effect[],
): boolean {
  const judged = policy.judge({ principal, session, statement: { effects }, now: null });
  return judged.determined && judged.decision.verdict === "deny";
}

function subsets<T>(items: readonly T[]): T[][] {
  const sets: T[][] = [[]];
  for (const item of items) sets.push(...sets.map((set) => [...set, item]));
  return sets;
}
