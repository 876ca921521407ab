/** What a webhook may say of an approval: who, where and what kind of statement; no values, no literals, nobody's free text. Pure. */
import type { Approval } from "../../facts/approval.ts";
import type { WebhookEvent } from "../settings.ts";

/** One approval as it leaves the house. */
export interface Summary {
  readonly id: string;
  readonly kind: Approval["kind"];
  readonly state: Approval["state"];
  readonly created: string;
  readonly expires: string;
  readonly requester: {
    readonly subject: string;
    readonly email: string | null;
    readonly kind: string;
    readonly provider: string;
    readonly actor: readonly string[];
  };
  readonly database: string;
  readonly statements: readonly {
    /** Literals stripped; null: it could not be read safely. */
    readonly sql: string | null;
    readonly command: string;
    readonly effects: readonly string[];
    readonly reads: readonly string[];
    readonly writes: readonly string[];
    readonly labels: readonly string[];
    /** Labels whose values will be seen in the clear. */
    readonly unmask: readonly string[];
  }[];
  readonly access: { readonly group: string; readonly seconds: number } | null;
  readonly rules: readonly string[];
  readonly missing: Approval["missing"];
  readonly votes: readonly {
    readonly subject: string;
    readonly email: string | null;
    readonly verdict: "approve" | "deny";
  }[];
  /** The console's page, which asks for a login; null: there is no console. */
  readonly url: string | null;
}

const maxSql = 1500;
const maxStatements = 10;

export function summaryOf(approval: Approval): Summary {
  const { id, kind, state, created, expires, requester, database, access, rules, missing, url } = approval;
  return {
    id,
    kind,
    state,
    created,
    expires,
    requester: {
      subject: clean(requester.subject),
      email: requester.email === null ? null : clean(requester.email),
      kind: requester.kind,
      provider: requester.provider,
      actor: requester.actor.map(({ subject }) => clean(subject)),
    },
    database,
    statements: approval.statements.slice(0, maxStatements).map((one) => ({
      sql: one.stripped === null || one.stripped === undefined ? null : cut(clean(one.stripped)),
      command: one.command,
      effects: one.effects,
      reads: one.reads.map(clean),
      writes: one.writes.map(clean),
      labels: one.labels,
      unmask: one.unmask ?? [],
    })),
    access: access === null ? null : { group: access.group, seconds: access.seconds },
    rules,
    missing,
    votes: approval.votes.map(({ approver, verdict }) => ({
      subject: clean(approver.subject),
      email: approver.email === null ? null : clean(approver.email),
      verdict,
    })),
    url,
  };
}

/** Names may come from strangers: control, bidirectional and zero-width characters are shown as such. */
function clean(text: string): string {
  return text.replace(/[\p{Cc}\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, (c) =>
    c === "\n" || c === "\t" ? " " : "\ufffd",
  );
}

function cut(text: string): string {
  return text.length <= maxSql ? text : `${text.slice(0, maxSql)}…`;
}

/** One line for a person. */
export function titleOf(event: WebhookEvent, { kind, state }: Pick<Summary, "kind" | "state">): string {
  switch (event) {
    case "requested":
      return "A statement waits for approval";
    case "access":
      return state === "pending"
        ? "Somebody asks for access"
        : state === "approved"
          ? "Access was granted"
          : "Access was denied";
    case "decided":
      if (kind === "review")
        return `A break-glass use was reviewed: ${state === "denied" ? "not justified" : "justified"}`;
      return state === "denied" ? "A statement was denied" : "A statement was approved";
    case "expired":
      return state === "gone" ? "A request is gone: its client left" : "A request has expired";
    case "break_glass":
      return "BREAK GLASS: a statement runs without approval";
    case "revoked":
      return kind === "access" ? "Access was revoked" : "An approval was revoked";
  }
}

/** Who asks, for a person. */
export function whoOf({ requester }: Summary): string {
  const { subject, email, kind, actor } = requester;
  const name = email === null || email === subject ? subject : `${subject} (${email})`;
  const through = actor.length === 0 ? "" : `, through ${actor.join(", ")}`;
  return `${kind} ${name}${through}`;
}

/** Facts as "name: value" for a person. */
export function factsOf(summary: Summary): [name: string, value: string][] {
  const { database, access, rules, missing, votes, expires, state, statements } = summary;
  const facts: [string, string][] = [
    ["Who", whoOf(summary)],
    ["Database", database],
  ];
  if (access !== null)
    facts.push(["Group", `${access.group} for ${Math.round(access.seconds / 60)} minutes`]);
  const list = (pick: (one: Summary["statements"][number]) => readonly string[]) =>
    [...new Set(statements.flatMap(pick))].join(", ");
  const touched: [string, string][] = [
    ["Command", list(({ command }) => [command])],
    ["Writes", list(({ writes }) => writes)],
    ["Reads", list(({ reads }) => reads)],
    ["Labels", list(({ labels }) => labels)],
    ["Shown in the clear", list(({ unmask }) => unmask)],
    ["Rules", rules.join(", ")],
    ["Waits for", missing.map(({ count, groups }) => `${count} of ${groups.join(" or ")}`).join("; ")],
    ["Decided by", votes.map(({ subject, verdict }) => `${subject}: ${verdict}`).join("; ")],
    ["Open until", state === "pending" ? expires : ""],
  ];
  return [...facts, ...touched.filter(([, value]) => value !== "")];
}
