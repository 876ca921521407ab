/** Whether something that just happened belongs into a list that is shown. */
import type { StatementEvent } from "../lib/types.ts";
import { moment, type Query } from "./query.ts";

/** true: it may fit. What an event does not tell (words, labels, tokens) is taken to fit; what it tells must. */
export function mayFit(query: Query, event: StatementEvent, now: number): boolean {
  if (query.status !== undefined) return false;
  if (query.type !== undefined && query.type !== "statement.intent" && query.type !== "any") return false;
  const until = query.until === undefined ? null : moment(query.until, now);
  if (until !== null && Date.parse(event.time) > until) return false;
  const { principal, claimed } = event;
  return (
    same(query.subject, principal.subject) &&
    same(query.agent, claimed.agent) &&
    same(query.database, event.database) &&
    same(query.verdict, event.verdict) &&
    same(query.session, event.session) &&
    same(query.request, event.request) &&
    same(query.rule, event.rule ?? undefined) &&
    touches(query.table, event)
  );
}

function same(wanted: string | undefined, found: string | undefined): boolean {
  return wanted === undefined || wanted === found;
}

/** Leading parts of a name may be left out. */
function touches(wanted: string | undefined, { reads, writes }: StatementEvent): boolean {
  if (wanted === undefined || reads === null || writes === null) return true;
  return [...reads, ...writes].some((name) => name === wanted || name.endsWith(`.${wanted}`));
}
