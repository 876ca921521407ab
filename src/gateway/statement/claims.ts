/** What a statement's own comment claims of its caller (sqlcommenter): on its record in place of what the session claimed. */
import type { SessionContext } from "../../audit/index.ts";
import type { SessionRecord } from "../../facts/audit.ts";
import type { Claimed } from "../../facts/session.ts";
import { sqlCommenter } from "../../sql/index.ts";
import { acceptedClaim } from "../client/parameters.ts";
import type { Walk } from "./state.ts";

/** Masks and approvals are asked for at start-up only: they decide, and this does not. */
const names = ["agent", "model", "run", "intent", "traceparent"] as const;

/** A session's share of the records of statements that claim something of their own. */
export interface Claims {
  readonly record: SessionRecord;
  /** That of the comment seen last: drivers send the same one again and again. */
  last: { readonly comment: string; readonly context: SessionContext } | null;
}

/** The session's share of a statement's record; `comment`: the statement's, if it may be sqlcommenter's. */
export function claimedBy(walk: Walk, comment: string | null): SessionContext {
  if (comment === null) return walk.context;
  const { claims } = walk;
  if (claims.last?.comment === comment) return claims.last.context;
  const said = claimsOf(comment);
  const context =
    said === null
      ? walk.context
      : walk.audit.session({ ...claims.record, claimed: { ...claims.record.claimed, ...said } });
  claims.last = { comment, context };
  return context;
}

/** `agent`, `model`, `run`, `intent` and `traceparent`, or the same with `postern.` in front, which counts more; null: none. */
function claimsOf(comment: string): Claimed | null {
  const pairs = sqlCommenter(comment);
  const said: [string, string][] = [];
  for (const name of names) {
    const value = pairs[`postern.${name}`] ?? pairs[name];
    // What a start-up packet would be refused for is left out: a comment is no reason to refuse a statement.
    if (value !== undefined && value !== "" && acceptedClaim(`postern.${name}`, value))
      said.push([name, value]);
  }
  return said.length === 0 ? null : Object.fromEntries(said);
}
