/** What waits for a person: one held statement (or message), or a wish for access, and what people said of it. */
import type { ApproverDemand, DecisionLimits } from "./decision.ts";
import type { Actor, PrincipalKind } from "./principal.ts";
import type { Claimed, Via } from "./session.ts";

/**
 * - `pending`: people may decide
 * - `approved`: enough have agreed; it may be used (a held session uses it at once, a ticket with the next equal request)
 * - `used`: its last use is over or under way
 * - `denied`, `expired`: it will never run
 * - `gone`: its requester left (disconnect, cancel, gateway restarted) before it was decided
 * - `revoked`: an approval for a while, or a grant of access, was taken back
 */
export type ApprovalState = "pending" | "approved" | "used" | "denied" | "expired" | "gone" | "revoked";

/** `statement`: one message of a client; `access`: a group for a while; `review`: a look back at a break-glass use. */
export type ApprovalKind = "statement" | "access" | "review";

/** Who asked, as the token proved it. */
export interface Requester {
  readonly subject: string;
  readonly issuer: string;
  readonly provider: string;
  readonly email: string | null;
  readonly kind: PrincipalKind;
  readonly groups: readonly string[];
  readonly actor: readonly Actor[];
}

/** One parameter value of a held statement. */
export interface HeldParameter {
  /** PostgreSQL's name of the type. */
  readonly type: string;
  /** Its value as text; null: SQL NULL; undefined: it could not be written as text, `bytes` holds it in base64. */
  readonly text: string | null | undefined;
  readonly bytes?: string;
  /** `text` or `bytes` is its beginning only; its size in bytes, and the SHA-256 (hex) of all of it. */
  readonly cut?: { readonly bytes: number; readonly sha256: string };
}

/** One statement of a held message. */
export interface HeldStatement {
  /** The exact text. */
  readonly sql: string;
  /** With its literals stripped, for whoever may not see values (webhooks); null or left out: it could not be read. */
  readonly stripped?: string | null;
  /** Exact texts of the prepared statements and cursors that it names; left out: it names none. */
  readonly prepared?: readonly string[];
  readonly fingerprint: string | null;
  readonly kind: string;
  readonly command: string;
  readonly effects: readonly string[];
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly columns: readonly string[];
  readonly functions: readonly string[];
  readonly labels: readonly string[];
  readonly masked: readonly string[];
  /** Labels that the requester would see in the clear; left out: none. */
  readonly unmask?: readonly string[];
  readonly parameters: readonly HeldParameter[];
  readonly unboundedWrite: boolean;
}

/** Something that the approver should look at. `code` is stable, `text` for people. */
export interface ApprovalWarning {
  readonly code:
    | "BIDI"
    | "LOOKALIKE"
    | "UNBOUNDED"
    | "UNMASK"
    | "CASCADE"
    | "TRIGGER"
    | "FOREIGN_KEY"
    | "NOT_ROLLED_BACK"
    | "SEQUENCE"
    | "IN_TRANSACTION"
    | "MANY_STATEMENTS";
  readonly text: string;
  readonly object: string | null;
}

/** What running the statement in a transaction that was rolled back gave. Values are masked as for the requester. */
export interface EffectPreview {
  readonly time: string;
  readonly by: string;
  readonly rowsAffected: number | null;
  /** Rows before and after, at most a few; null: none could be taken. */
  readonly sample: {
    readonly columns: readonly { readonly name: string; readonly type: string; readonly masked: boolean }[];
    readonly before: readonly (readonly (string | null)[])[];
    readonly after: readonly (readonly (string | null)[])[];
    readonly truncated: boolean;
  } | null;
  readonly notes: readonly string[];
  /** Why it could not be run; null: it was. */
  readonly refused: string | null;
}

/** How far one approval reaches. */
export type ApprovalScope =
  | { readonly kind: "once" }
  /** Statements of the same shape by the same principal, on the same database and login. */
  | { readonly kind: "shape"; readonly uses: number; readonly seconds: number };

export interface ApprovalVote {
  readonly approver: {
    readonly subject: string;
    readonly issuer: string;
    readonly provider: string;
    readonly email: string | null;
  };
  readonly verdict: "approve" | "deny";
  readonly reason: string | null;
  readonly time: string;
  readonly scope: ApprovalScope;
  /** When the person showed themselves (OpenID Connect `auth_time`), ISO 8601. */
  readonly authenticated: string;
}

/** Requests of one shape by one requester, the latest included. */
export interface ShapeSeen {
  readonly requests: number;
  /** Of them, those that somebody agreed to, and that somebody denied. */
  readonly approved: number;
  readonly denied: number;
  /** For each statement, for each parameter, between which values it was. */
  readonly parameters: readonly (readonly {
    readonly type: string;
    readonly least: string | null;
    readonly most: string | null;
    readonly distinct: number;
    readonly nulls: number;
  }[])[];
}

/** As REST, CLI, console and MCP show it. Times are ISO 8601 in UTC. */
export interface Approval {
  readonly id: string;
  readonly kind: ApprovalKind;
  readonly state: ApprovalState;
  /** `wait`: the client's session stands still; `ticket`: it was refused and may come again. */
  readonly mode: "wait" | "ticket";
  readonly created: string;
  readonly expires: string;
  readonly decided: string | null;
  readonly requester: Requester;
  readonly claimed: Claimed;
  readonly session: string | null;
  /** The audit trail's request. */
  readonly request: string | null;
  readonly node: string;
  readonly database: string;
  readonly login: string;
  readonly via: Via;
  readonly application: string | null;
  readonly ip: string;
  readonly statements: readonly HeldStatement[];
  /** search_path under which names were looked up; null: the login's own. */
  readonly searchPath: string | null;
  /** The role that it would run as, taken on by SET ROLE; left out: the login. */
  readonly role?: string;
  readonly transaction: {
    readonly open: boolean;
    readonly ageMs: number;
    readonly locks: readonly string[];
  } | null;
  readonly access: { readonly group: string; readonly seconds: number; readonly reason: string } | null;
  readonly demands: readonly ApproverDemand[];
  readonly votes: readonly ApprovalVote[];
  /** For each demand how many more must agree. */
  readonly missing: readonly {
    readonly rule: string;
    readonly groups: readonly string[];
    readonly count: number;
  }[];
  readonly policy: string;
  readonly rules: readonly string[];
  readonly message: string | null;
  readonly limits: DecisionLimits;
  readonly estimate: { readonly rows: number; readonly cost: number } | null;
  readonly warnings: readonly ApprovalWarning[];
  readonly preview: EffectPreview | null;
  readonly scope: ApprovalScope;
  readonly usesLeft: number;
  /** Where a person decides; null: no http listener. */
  readonly url: string | null;
  /** SHA-256 (hex) of everything that is bound (docs/approvals.md). */
  readonly binding: string;
  /** SHA-256 (hex) of what statements of the same shape share; null: it cannot be approved for a while. */
  readonly shape: string | null;
  /** What was asked before with this shape; null or left out: it has none. */
  readonly seen?: ShapeSeen | null;
  /** A break-glass use that this reviews; null: none. */
  readonly breakGlass: { readonly reason: string } | null;
  /** Why it ended without a decision, or was taken back ("disconnect", "cancel", "restart", "time", "unused", or a person's words); null: it did not. */
  readonly why: string | null;
}
