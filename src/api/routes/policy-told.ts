/** Explanations and protected columns as the API tells them. */
import type { z } from "zod";
import type { Principal } from "../../facts/principal.ts";
import type { Offline } from "../../gateway/analyst/offline.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { MaskReport } from "../../policy/lab/analyser.ts";
import { type Explained, explainOne } from "../../policy/lab/explain.ts";
import { withEstimate, withMasks } from "../../policy/lab/run.ts";
import type { explainedOutput, explainPolicy, explanation, protectedColumn } from "../schema/policy.ts";

type Explanation = z.output<typeof explanation>;
type Answer = z.output<(typeof explainPolicy)["answer"]>;

const order = { allow: 0, approve: 1, deny: 2 } as const;

/** The statements of a text, each explained, and the strictest of them in front. `ask` reaches the database. */
export async function explainText(
  policy: CompiledPolicy,
  wish: { readonly database: string; readonly sql: string; readonly principal: Principal },
  ask: <T>(work: (offline: Offline) => Promise<T>) => Promise<T>,
): Promise<Answer> {
  const { database, sql, principal } = wish;
  const explained = await ask(async ({ analyse }) => {
    const analysed = await analyse({ database, sql, principal, policy });
    if (!analysed.ok) return analysed;
    const found: Explained[] = [];
    for (const one of analysed.statements) {
      const input = { principal, session: analysed.session, statement: one.facts, now: new Date() };
      found.push(explainOne(policy, one.sql, await withEstimate(policy, input, one), one));
    }
    return { ok: true as const, found };
  });
  if (!explained.ok) {
    const refused = notUnderstood(sql, explained.code, explained.message);
    return { ...refused, statements: [refused] };
  }
  const statements = explained.found.map(tell);
  const first = statements[0] ?? emptyText(sql);
  const strictest = statements.reduce(
    (a, b) => (order[b.decision.verdict] > order[a.decision.verdict] ? b : a),
    first,
  );
  return { ...strictest, statements };
}

function tell({ sql, facts, decision, rules, masks, refusal }: Explained): Explanation {
  const verdict = withMasks(decision, masks);
  const closed = masks !== null && !masks.ok ? masks : null;
  const { effects, reads, writes, columns, functions, labels, labelsInPredicates } = facts;
  return {
    sql,
    decision: {
      verdict: verdict.verdict,
      rule: verdict.rule,
      code: verdict.code,
      message: verdict.message,
      hint: closed === null ? decision.hint : closed.hint,
      object: decision.object,
      limits: { ...decision.limits },
      approvers: decision.approvers.map((one) => ({ ...one, groups: [...one.groups] })),
      unmask: [...decision.unmask],
      would: decision.would === null ? null : { ...decision.would },
    },
    rules: rules.map((rule) => ({ ...rule })),
    touches:
      refusal !== null
        ? null
        : {
            effects: [...effects],
            reads: [...reads],
            writes: [...writes],
            columns: [...columns],
            functions: [...functions],
            labels: [...labels],
            labelsInPredicates: [...labelsInPredicates],
          },
    masked: masks?.ok === true ? [...masks.masked] : null,
    outputs: outputsOf(masks),
    message: verdict.message,
  };
}

function outputsOf(masks: MaskReport | null): z.output<typeof explainedOutput>[] | null {
  if (masks?.ok !== true || masks.outputs === null) return null;
  return masks.outputs.map(({ name, sources, plain, mask, label }) => ({
    name,
    sources: [...sources],
    plain,
    mask,
    label,
    why:
      label === null ? null : `${plain ? "it is" : "it is computed from"} a column with the label ${label}`,
  }));
}

const noLimits = { rows: null, bytes: null, timeoutMs: null, affectedRows: null, perMinute: null };

function notUnderstood(sql: string, code: string, message: string): Explanation {
  return {
    sql,
    decision: {
      verdict: "deny",
      rule: null,
      code,
      message,
      hint: null,
      object: null,
      limits: noLimits,
      approvers: [],
      unmask: [],
      would: null,
    },
    rules: [],
    touches: null,
    masked: null,
    outputs: null,
    message,
  };
}

/** A text without a statement: PostgreSQL answers EmptyQueryResponse, and nothing is decided. */
function emptyText(sql: string): Explanation {
  const base = notUnderstood(sql, "", "the text holds no statement");
  return { ...base, decision: { ...base.decision, verdict: "allow", code: null } };
}

type View = Awaited<ReturnType<Offline["view"]>>["view"];

export function tellColumns(
  database: string,
  { protectedSet, observedSet }: View,
): z.output<typeof protectedColumn>[] {
  const observed = new Set(observedSet.columns.flatMap(({ labels }) => labels.map(({ label }) => label)));
  return [...protectedSet.columns, ...observedSet.columns]
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ name, labels, why }) => ({
      database,
      column: name,
      labels: labels.map(({ label, mask, access, use }) => ({
        label,
        access,
        mask: access === "none" ? null : { ...mask },
        use: access === "none" ? null : use,
        observe: observed.has(label),
      })),
      why: [...why],
    }));
}
