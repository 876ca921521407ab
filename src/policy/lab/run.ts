/** Running test cases against a policy. */
import type { CompiledPolicy, DecideInput, PolicyDecision } from "../types.ts";
import type { Analyse, AnalysedStatement, MaskReport } from "./analyser.ts";
import type { TestCase } from "./cases.ts";
import { refusedDecision } from "./explain.ts";

/** What a whole text comes to: the strictest of its statements, as one denied part keeps all from running. */
export interface Verdict {
  readonly verdict: "allow" | "approve" | "deny";
  readonly rule: string | null;
  readonly code: string | null;
  readonly message: string | null;
  /** Sorted. null: not known, since nothing was analysed. */
  readonly masked: readonly string[] | null;
}

export interface TestResult {
  readonly test: TestCase;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly why: string | null;
  readonly got: Verdict | null;
}

/** Runs the cases one after the other. `analyse` null: those without `facts` are skipped. Rejects with what `analyse` rejects with. */
export async function runCases(
  policy: CompiledPolicy,
  cases: readonly TestCase[],
  analyse: Analyse | null,
): Promise<TestResult[]> {
  const results: TestResult[] = [];
  for (const test of cases) results.push(await runCase(policy, test, analyse));
  return results;
}

async function runCase(policy: CompiledPolicy, test: TestCase, analyse: Analyse | null): Promise<TestResult> {
  const skipped = (why: string): TestResult => ({ test, outcome: "skipped", why, got: null });
  const { facts, session } = test;
  let got: Verdict;
  if (facts !== null) {
    if (test.columnsMasked !== null || test.expect === "masked")
      return skipped("masks are known only where the statement is analysed: leave out facts");
    got = { ...summary(policy.decide({ ...inputOf(test, session), statement: facts })), masked: null };
  } else if (analyse === null) return skipped("needs a database (-c postern.yaml) or facts");
  else {
    const { database } = session;
    const analysed = await analyse({ database, sql: test.sql, principal: test.principal, policy });
    if (analysed.ok) {
      const place = { ...analysed.session, ...given(test) };
      const verdicts: Verdict[] = [];
      for (const one of analysed.statements) verdicts.push(await verdictOf(policy, test, place, one));
      got = strictest(verdicts);
    } else got = { verdict: "deny", rule: null, code: analysed.code, message: analysed.message, masked: [] };
  }
  const why = differences(test, got);
  return { test, outcome: why === null ? "passed" : "failed", why, got };
}

/** What the test says of the session itself; the login is the database's to say. */
function given(test: TestCase): Partial<TestCase["session"]> {
  const { role, ...rest } = test.session;
  return role === "" ? rest : { ...rest, role };
}

function inputOf(test: TestCase, session: TestCase["session"]): Omit<DecideInput, "statement"> {
  const { principal, now, estimate } = test;
  return { principal, session, now, ...(estimate === null ? {} : { estimate: () => estimate }) };
}

async function verdictOf(
  policy: CompiledPolicy,
  test: TestCase,
  session: TestCase["session"],
  statement: AnalysedStatement,
): Promise<Verdict> {
  const { refusal } = statement;
  if (refusal !== null) return withMasks(refusedDecision(refusal), null);
  const input = await withEstimate(
    policy,
    { ...inputOf(test, session), statement: statement.facts },
    statement,
  );
  const decision = policy.decide(input);
  return withMasks(decision, decision.verdict === "deny" ? null : statement.mask(decision));
}

/** The input with the server's estimate, where a rule needs one and the input has none. */
export async function withEstimate(
  policy: CompiledPolicy,
  input: DecideInput,
  statement: AnalysedStatement,
): Promise<DecideInput> {
  if (input.estimate !== undefined || statement.estimate === undefined || statement.refusal !== null)
    return input;
  if (!policy.wantsEstimate(input)) return input;
  const estimate = await statement.estimate();
  return estimate === null ? input : { ...input, estimate: () => estimate };
}

/** A decision and what masking says to it: what cannot be masked is denied. */
export function withMasks(decision: PolicyDecision, masks: MaskReport | null): Verdict {
  const base = summary(decision);
  if (masks === null) return { ...base, masked: [] };
  if (masks.ok) return { ...base, masked: [...masks.masked].sort() };
  return { verdict: "deny", rule: null, code: masks.code, message: masks.message, masked: [] };
}

function summary({ verdict, rule, code, message }: PolicyDecision): Omit<Verdict, "masked"> {
  return { verdict, rule, code, message };
}

const order = { allow: 0, approve: 1, deny: 2 } as const;

export function strictest(verdicts: readonly Verdict[]): Verdict {
  const masked = [...new Set(verdicts.flatMap((one) => one.masked ?? []))].sort();
  const first = verdicts[0] ?? { verdict: "allow", rule: null, code: null, message: null };
  const worst = verdicts.reduce((a, b) => (order[b.verdict] > order[a.verdict] ? b : a), {
    ...first,
    masked,
  });
  return { ...worst, masked };
}

function differences(test: TestCase, got: Verdict): string | null {
  const found: string[] = [];
  const verdict = test.expect === "masked" ? "allow" : test.expect;
  if (got.verdict !== verdict)
    found.push(
      `expected ${test.expect}, got ${got.verdict}${got.rule === null ? "" : ` by ${got.rule}`}${got.code === null ? "" : ` (${got.code}: ${got.message ?? ""})`}`,
    );
  else if (test.expect === "masked" && (got.masked ?? []).length === 0)
    found.push("expected masked columns, got none");
  if (test.rule !== null && got.rule !== test.rule)
    found.push(`expected rule ${test.rule}, got ${got.rule ?? "none"}`);
  if (test.code !== null && got.code !== test.code)
    found.push(`expected code ${test.code}, got ${got.code ?? "none"}`);
  if (test.columnsMasked !== null && test.columnsMasked.join() !== (got.masked ?? []).join())
    found.push(`expected masked [${test.columnsMasked.join(", ")}], got [${(got.masked ?? []).join(", ")}]`);
  return found.length === 0 ? null : found.join("; ");
}
