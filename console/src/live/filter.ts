/** Which sessions and statements are shown. */
import type { Claimed, Verdict, Who } from "../lib/types.ts";

export interface Filter {
  /** Part of a subject, an email address or a group. */
  readonly principal: string;
  /** Part of the acting agent's verified name, or of the name it claims. */
  readonly agent: string;
  readonly database: string;
  readonly verdict: Verdict | "";
}

function has(text: string | null | undefined, part: string): boolean {
  return text?.toLowerCase().includes(part) === true;
}

export function matches(
  filter: Filter,
  item: { readonly principal: Who; readonly claimed: Claimed; readonly database: string },
): boolean {
  const { principal, claimed } = item;
  if (filter.database !== "" && item.database !== filter.database) return false;
  const who = filter.principal.toLowerCase();
  if (
    who !== "" &&
    !has(principal.subject, who) &&
    !has(principal.email, who) &&
    !(principal.groups ?? []).some((group) => has(group, who))
  )
    return false;
  const agent = filter.agent.toLowerCase();
  return (
    agent === "" ||
    has(claimed.agent, agent) ||
    (principal.kind === "agent" && has(principal.subject, agent)) ||
    principal.actor.some((actor) => has(actor.subject, agent))
  );
}
