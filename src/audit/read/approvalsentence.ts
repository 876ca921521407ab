/** What records of approvals say, as a sentence. */
import { at, type Json, list, number, text } from "./leaves.ts";

/** `who`: the requester, for people. Not yet fit for a terminal. null: it is none of these, or of a form that this version does not know. */
export function approvalSentence(leaf: Json, who: string, database: string): string | null {
  const id = text(leaf, "approval");
  if (id === null) return null;
  const what = whatOf(leaf);
  const reason = text(leaf, "reason");
  const because = reason === null ? "" : `: ${reason}`;
  switch (text(leaf, "type")) {
    case "approval.requested": {
      const glass = text(leaf, "break_glass.reason");
      if (glass !== null)
        return `BREAK GLASS: ${who} goes ahead on ${database} without approval, because: ${glass} (review ${id})`;
      return `${who} asks people for ${what} on ${database} (approval ${id})`;
    }
    case "approval.decided": {
      const approver = text(leaf, "approver.email") ?? text(leaf, "approver.subject") ?? "somebody";
      const verdict = text(leaf, "verdict") === "approve" ? "agreed to" : "denied";
      const late = text(leaf, "void");
      if (late !== null)
        return `${approver} came too late to decide on ${what} of ${who} (${late}, approval ${id})`;
      const more = text(leaf, "state") === "pending" ? ", others have to as well" : "";
      return `${approver} ${verdict} ${what} of ${who} on ${database}${because}${more} (approval ${id})`;
    }
    case "approval.expired": {
      const why = text(leaf, "why") ?? "?";
      const end = text(leaf, "state") === "gone" ? `is gone (${why})` : `has expired (${why})`;
      return `the request of ${who} on ${database} ${end} (approval ${id})`;
    }
    case "approval.used": {
      const left = number(leaf, "uses_left") ?? 0;
      return `${who} uses what was agreed to on ${database}${left > 0 ? `, ${left} uses left` : ""} (approval ${id})`;
    }
    case "admin.action": {
      const by = text(leaf, "by.email") ?? text(leaf, "by.subject");
      switch (text(leaf, "action")) {
        case "access.granted":
          return `${who} has ${what} on ${database} until ${text(leaf, "until") ?? "?"}, granted by ${by ?? "?"} (approval ${id})`;
        case "access.expired":
          return `${who} no longer has ${what} on ${database}: its time is over (approval ${id})`;
        case "access.revoked":
        case "approval.revoked":
          return `${by ?? "somebody"} took ${what} on ${database} back from ${who}${because} (approval ${id})`;
        default:
          return null;
      }
    }
    default:
      return null;
  }
}

function whatOf(leaf: Json): string {
  const group = text(leaf, "access.group");
  if (group !== null) return `group ${group}`;
  const statements = at(leaf, "statements");
  if (!Array.isArray(statements))
    return text(leaf, "kind") === "review" ? "a break-glass use" : "a statement";
  const told = statements.map((one) => {
    const touched = list(one, "writes") ?? [];
    return `${text(one, "command") ?? "?"} ${(touched.length > 0 ? touched : (list(one, "reads") ?? [])).join(", ")}`.trim();
  });
  return told.length === 0 ? "a statement" : told.join("; ");
}
