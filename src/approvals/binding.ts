/** What an approval is bound to: one digest over everything that, were it different, would need another look (docs/approvals.md). Pure. */
import { createHash } from "node:crypto";
import type { Requester } from "../facts/approval.ts";
import type { DecisionLimits } from "../facts/decision.ts";

/** One statement of a message, as it would be sent. */
export interface BoundStatement {
  /** The exact bytes of its text. */
  readonly sql: string | Uint8Array;
  readonly fingerprint: string | null;
  /** Parameter types (names or oids), in order. */
  readonly types: readonly (string | number)[];
  /** Values as the client sent them; null: SQL NULL. */
  readonly values: readonly (Uint8Array | null)[];
  /** 0 text, 1 binary: one for each value. */
  readonly formats: readonly number[];
  readonly resultFormats: readonly number[];
  /** Relations, columns and function definitions that its names mean now: any stable text, such as a digest. */
  readonly objects: string;
  /** What is masked of it. */
  readonly masked: readonly string[];
}

export interface BindingParts {
  readonly statements: readonly BoundStatement[];
  readonly database: string;
  readonly login: string;
  readonly searchPath: string | null;
  /** The role of `SET ROLE`; null: the login. */
  readonly role?: string | null;
  /** "sha256:…" of the policy. */
  readonly policy: string;
  readonly limits: DecisionLimits;
  readonly requester: Requester;
}

/** SHA-256 (hex) of everything bound. Equal exactly when the same principal sends the same again under the same circumstances. */
export function bindingOf(parts: BindingParts): string {
  return digest("postern-binding-v1", {
    ...circumstances(parts),
    limits: parts.limits,
    statements: parts.statements.map((one) => ({
      sql: sha256(one.sql),
      types: one.types,
      values: one.values.map((value) => (value === null ? null : sha256(value))),
      formats: one.formats,
      resultFormats: one.resultFormats,
      objects: one.objects,
      masked: [...one.masked].sort(),
    })),
  });
}

/** SHA-256 (hex) of what statements of one shape share: all but texts' literals, parameter values and formats. null: a text has no fingerprint. */
export function shapeOf(parts: BindingParts): string | null {
  if (parts.statements.some(({ fingerprint }) => fingerprint === null)) return null;
  return digest("postern-shape-v1", {
    ...circumstances(parts),
    limits: parts.limits,
    statements: parts.statements.map((one) => ({
      fingerprint: one.fingerprint,
      types: one.types,
      objects: one.objects,
      masked: [...one.masked].sort(),
    })),
  });
}

function circumstances({ database, login, searchPath, role, policy, requester }: BindingParts) {
  return { database, login, searchPath, role: role ?? null, policy, requester: identity(requester) };
}

/** Who a requester is; groups and e-mail are not in it: the policy is asked again before anything runs. */
export function identity(requester: Requester) {
  const { issuer, subject, provider, kind, actor } = requester;
  return {
    issuer,
    subject,
    provider,
    kind,
    actor: actor.map((one) => ({ subject: one.subject, issuer: one.issuer })),
  };
}

/** SHA-256 (hex) of who a requester is, with everybody who acts for it. */
export function requesterKey(requester: Requester): string {
  return digest("postern-requester-v1", identity(requester));
}

/** SHA-256 (hex) of a subject of an issuer, whoever acts for it. */
export function subjectKey(of: { readonly issuer: string; readonly subject: string }): string {
  return digest("postern-subject-v1", { issuer: of.issuer, subject: of.subject });
}

function digest(domain: string, value: unknown): string {
  return createHash("sha256")
    .update(`${domain}\n${canonical(value)}`)
    .digest("hex");
}

function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** JSON with keys in order of their UTF-16 code units and no spaces (as RFC 8785 section 3.2.3). Throws TypeError for what JSON cannot say. */
export function canonical(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError("not a number of JSON");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
  }
  throw new TypeError("not a value of JSON");
}
