/** Break-glass: a caller in an emergency says why, and goes on without waiting, where the rules let its groups. */
import { inGroups } from "../../approvals/index.ts";
import type { ApproverDemand } from "../../facts/decision.ts";
import type { Principal } from "../../facts/principal.ts";
import { sqlCommenter } from "../../sql/index.ts";
import { requesterOf } from "./agreed.ts";
import type { HeldPart } from "./holding.ts";
import type { Guarding } from "./judgement.ts";
import type { Walk } from "./state.ts";

/** Shorter than that is no reason. */
const minReason = 3;
const maxReason = 500;

/** What the caller said, if every rule that asks for people lets it through; null: people are asked. */
export function breakGlassOf(
  walk: Walk,
  guard: Guarding,
  parts: readonly HeldPart[],
  demands: readonly ApproverDemand[],
): { readonly reason: string } | null {
  const reason = reasonOf(walk, parts);
  if (reason === null || demands.length === 0) return null;
  return demands.every((demand) => mayBreak(demand, guard.principal)) ? { reason } : null;
}

/** The start-up option, or a comment of one of the statements (sqlcommenter). */
function reasonOf(walk: Walk, parts: readonly HeldPart[]): string | null {
  for (const { statement } of parts) {
    const said = statement.comment === null ? null : clean(sqlCommenter(statement.comment).break_glass);
    if (said !== null) return said;
  }
  return clean(walk.breakGlass ?? undefined);
}

function clean(text: string | undefined): string | null {
  const said =
    text
      ?.replaceAll(/\p{Cc}+/gu, " ")
      .trim()
      .slice(0, maxReason) ?? "";
  return said.length < minReason ? null : said;
}

/** Only people, and only where they act for themselves. */
function mayBreak({ breakGlass }: ApproverDemand, principal: Principal): boolean {
  return (
    breakGlass !== null &&
    principal.kind === "human" &&
    principal.actor.length === 0 &&
    inGroups(requesterOf(principal), breakGlass.groups)
  );
}
