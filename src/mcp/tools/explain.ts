/** `explain`: what would happen to a statement. It is prepared in a session of its own, where the walk judges it; nothing runs. */
import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { Judgement } from "../../gateway/index.ts";
import { provenanceOf } from "../claimed.ts";
import type { Caller, McpDeps } from "../deps.ts";
import { columnType, refusedCall, refusedSession } from "./refusals.ts";
import { answer, databaseError, unfinished } from "./result.ts";
import { database, fixed, readOnly, sql } from "./schema.ts";
import { inSession } from "./session.ts";

const name = "explain";

const explainArguments = fixed(z.object({ database, sql }));
const explainResult = fixed(
  z.looseObject({
    status: z.enum(["ok", "denied", "error"]),
    verdict: z.enum(["allow", "approve", "deny"]).optional(),
    estimate: z.looseObject({ rows: z.number(), cost: z.number() }).optional(),
  }),
);

export function registerExplain(server: McpServer, deps: McpDeps, caller: Caller): void {
  server.registerTool(
    name,
    {
      title: "What would happen to a statement",
      description:
        "Says whether a statement would be allowed, denied or held for approval, which result columns would be masked, its limits, " +
        "and the planner's estimate. Runs nothing. Use $1, $2 … for values.",
      inputSchema: explainArguments,
      outputSchema: explainResult,
      annotations: readOnly,
    },
    async (args, context) => {
      const provenance = provenanceOf(context, caller, undefined);
      const limits = { rows: 1, characters: 1000, cell: 1000, timeoutMs: deps.settings.timeoutMs };
      const asked = { database: args.database, sql: args.sql, parameters: [] };
      const told = await inSession(deps, caller, provenance, asked, limits, context.mcpReq.signal, false);
      const { result, refusal, unopened, judgement } = told;
      if (refusal !== null) return refusedCall(refusal, name);
      if (unopened !== null) return refusedSession(unopened);
      if (result.kind === "error") return databaseError(result.fields);
      if (result.kind !== "done") return unfinished(result.kind);
      const plan = judgement?.plan?.columns ?? [];
      const outputs = result.columns?.map((column, i) => ({
        name: column.name,
        type: columnType(judgement, column.type),
        ...(plan[i] == null ? {} : { mask: plan[i].mask.kind, source: plan[i].column }),
      }));
      const estimate = await estimateOf(deps, caller, provenance, asked, judgement);
      return answer({
        status: "ok",
        ...decisionOf(judgement),
        ...(outputs === undefined ? {} : { outputs }),
        ...(estimate === null ? {} : { estimate }),
      });
    },
  );
}

/** What the walk said of it. */
function decisionOf(judgement: Judgement | null): Record<string, unknown> {
  const decision = judgement?.decision ?? null;
  if (judgement === null || decision === null) return { verdict: "allow" };
  const { facts } = judgement;
  const limits = Object.fromEntries(Object.entries(decision.limits).filter(([, value]) => value !== null));
  const list = (key: string, items: readonly string[]) => (items.length === 0 ? {} : { [key]: items });
  return {
    verdict: decision.verdict,
    rule: decision.rule,
    ...list("rules", decision.rules),
    ...list("effects", facts.effects),
    ...list("reads", facts.reads),
    ...list("writes", facts.writes),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(decision.verdict === "approve"
      ? {
          approvers: decision.approvers.map(({ groups, count }) => ({ groups, count })),
          message: decision.message,
        }
      : {}),
  };
}

/** The planner's guess, where it tells nothing that a mask hides and planning calls nothing unknown. */
async function estimateOf(
  deps: McpDeps,
  { principal, ip, tls }: Caller,
  { claimed, application }: ReturnType<typeof provenanceOf>,
  asked: { readonly database: string; readonly sql: string },
  judgement: Judgement | null,
): Promise<{ readonly rows: number; readonly cost: number } | null> {
  const [touched, ...others] = judgement?.touched ?? [];
  if (judgement === null || touched === undefined || others.length > 0) return null;
  const { facts } = judgement;
  if (touched.unsafe.length > 0 || touched.problems.length > 0 || facts.labelsInPredicates.length > 0)
    return null;
  if (!["select", "insert", "update", "delete", "merge"].includes(facts.kind)) return null;
  const asker = { principal, via: "mcp" as const, application, ip, tls: tls !== null, claimed };
  try {
    return await deps.gateway.access.estimate(asker, asked.database, asked.sql, touched.parameterTypes);
  } catch (error) {
    deps.logger.warn({ err: error, database: asked.database }, "no estimate for a statement");
    return null;
  }
}
