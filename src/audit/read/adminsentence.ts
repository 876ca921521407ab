/** What records of administration say, as a sentence: who read the trail, logged in, revoked, changed the configuration. */
import { at, isObject, type Json, list, number, text } from "./leaves.ts";

/** `who`: the principal. Not yet fit for a terminal. null: it is none of these, or of a form that this version does not know. */
export function adminSentence(leaf: Json, who: string): string | null {
  switch (text(leaf, "type")) {
    case "admin.action":
      return acted(leaf, who);
    case "config.changed": {
      const waiting = list(leaf, "waiting") ?? [];
      const rest = waiting.length === 0 ? "" : `; waits for a restart: ${waiting.join(", ")}`;
      const applied = list(leaf, "applied") ?? [];
      return `the configuration is ${brief(text(leaf, "digest"))}, in force: ${applied.includes("*") ? "all of it" : applied.join(", ") || "nothing new"}${rest}`;
    }
    case "policy.changed": {
      const before = text(leaf, "previous");
      const rules = list(leaf, "rules")?.length ?? 0;
      return `the policy is ${brief(text(leaf, "digest"))} with ${counted(rules, "rule")}${before === null ? "" : `, before it ${brief(before)}`}`;
    }
    default:
      return null;
  }
}

function acted(leaf: Json, who: string): string | null {
  const reason = text(leaf, "reason");
  const because = reason === null ? "" : `: ${reason}`;
  const ip = text(leaf, "client.ip");
  const from = ip === null ? "" : ` from ${ip}`;
  switch (text(leaf, "action")) {
    case "audit.search":
      return `${who} searched the trail${filtersOf(at(leaf, "question.filters"))}`;
    case "audit.show":
      return `${who} looked at message ${text(leaf, "question.request") ?? "?"}${at(leaf, "question.open") === true ? ", its exact text and values too" : ""}`;
    case "audit.run":
      return `${who} read the story of run ${text(leaf, "question.run") ?? "?"}${at(leaf, "question.open") === true ? ", exact texts too" : ""}`;
    case "audit.runs":
      return `${who} listed the runs of agents`;
    case "audit.stats":
    case "audit.overview":
      return `${who} looked at the trail's counts`;
    case "audit.prove":
      return `${who} took a proof of record ${text(leaf, "question.id") ?? "?"}`;
    case "audit.range":
      return `${who} followed the trail live, from record ${number(leaf, "question.from") ?? "?"} on`;
    case "console.login":
      return `${who} logged in to the console${from}`;
    case "console.logout":
      return `${who} logged out of the console`;
    case "cli.login":
      return `${who} logged in at the command line${from}`;
    case "connect.token":
      return `${who} made a token for ${text(leaf, "database") ?? "every database"}, good until ${text(leaf, "expires") ?? "?"}`;
    case "token.issued": {
      const where = list(leaf, "audience")?.join(", ") ?? "everywhere";
      return `${who} got a Postern token (${where}) for ${text(leaf, "database") ?? "every database"}, good until ${text(leaf, "expires") ?? "?"}`;
    }
    case "token.revoked": {
      const owner = text(leaf, "of.subject");
      return `${who} ended a Postern token${owner === null ? "" : ` of ${owner}`} (${text(leaf, "token.jti") ?? "?"})`;
    }
    case "revocation.added": {
      const by = text(leaf, "principal.subject") === null ? (text(leaf, "provider") ?? "somebody") : who;
      const value = text(leaf, "value");
      return `${by} revoked ${text(leaf, "kind") ?? "?"}${value === null ? "" : ` ${value}`}${because}`;
    }
    case "revocation.lifted":
      return `${who} lifted revocation ${text(leaf, "revocation") ?? "?"}`;
    case "session.end":
      return `${who} ended session ${text(leaf, "session") ?? "?"}${because}`;
    case "session.renewed":
      return `${who} renewed session ${text(leaf, "session") ?? "?"} until ${text(leaf, "expires") ?? "?"}`;
    case "access.in-force": {
      const grants = at(leaf, "grants");
      const groups = Array.isArray(grants) ? grants.map((one) => text(one, "group") ?? "?").join(", ") : "";
      return `${who} has ${groups === "" ? "no granted group any more" : `by a grant the group ${groups}`} in session ${text(leaf, "session") ?? "?"}`;
    }
    case "approval.preview":
      return `${text(leaf, "by.email") ?? text(leaf, "by.subject") ?? "somebody"} tried out what approval ${text(leaf, "approval") ?? "?"} asks for, on ${text(leaf, "database") ?? "?"}`;
    case "policy.explain":
      return `${who} asked what the policy says of a statement on ${text(leaf, "database") ?? "?"} as ${text(leaf, "as.subject") ?? "?"} (${text(leaf, "as.kind") ?? "?"})`;
    case "policy.replay":
      return `${who} ran recorded statements through another policy`;
    case "mcp.client.allowed":
    case "mcp.client.refused":
      return `${who} ${text(leaf, "action") === "mcp.client.allowed" ? "let" : "did not let"} the program ${text(leaf, "client_id") ?? "?"} act as an agent of theirs`;
    default:
      return null;
  }
}

/** " for verdict deny, table orders"; "" for everything. Spans of time are left out: they are numbers. */
function filtersOf(filters: unknown): string {
  if (!isObject(filters)) return "";
  const told = Object.entries(filters).flatMap(([name, value]) =>
    typeof value === "string" && value !== "" ? [`${name} ${value}`] : [],
  );
  const all = told.join(", ");
  return all === "" ? "" : ` for ${all.length > 200 ? `${all.slice(0, 199)}…` : all}`;
}

function brief(digest: string | null): string {
  return digest === null ? "none" : digest.replace("sha256:", "").slice(0, 12);
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
