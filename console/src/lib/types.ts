/** What the REST API answers (docs: /api/openapi.json). Every string in here may be hostile: show it as text only. */

export type Role = "admin" | "auditor" | "approver" | "user";
export type Kind = "human" | "agent" | "service";
export type Verdict = "allow" | "deny" | "approve";

export interface Actor {
  readonly subject: string;
  readonly issuer: string | null;
}

/** Who, as the token proved it; events leave some of it out. */
export interface Who {
  readonly subject: string;
  readonly issuer?: string;
  readonly provider?: string;
  readonly email: string | null;
  readonly kind: Kind;
  readonly groups?: readonly string[];
  readonly actor: readonly Actor[];
}

/** What the caller says of itself; nobody proved it. */
export interface Claimed {
  readonly agent?: string;
  readonly model?: string;
  readonly run?: string;
  readonly intent?: string;
  readonly traceparent?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export interface Me {
  readonly subject: string;
  readonly issuer: string;
  readonly provider: string;
  readonly email: string | null;
  readonly kind: Kind;
  readonly groups: readonly string[];
  readonly actor: readonly Actor[];
  readonly roles: readonly Role[];
  readonly authTime: string | null;
  readonly stepUpFresh: boolean;
  readonly csrf: string | null;
  readonly expires: string;
  readonly databases: readonly { readonly name: string }[];
  readonly version: string;
  readonly node: string;
  readonly publicUrl: string | null;
  readonly addresses: { readonly postgres: string | null; readonly http: string | null };
  readonly warnings: readonly string[];
}

export interface LoginProvider {
  readonly name: string;
  readonly type: "oidc" | "saml";
  readonly url: string;
}

export type SessionState = "idle" | "active" | "in transaction" | "waiting for approval";

export interface Session {
  readonly id: string;
  readonly node: string;
  readonly started: string;
  readonly lastActive: string;
  readonly principal: Who;
  readonly claimed: Claimed;
  readonly client: {
    readonly ip: string;
    readonly application: string | null;
    readonly user: string;
    readonly via: string;
    readonly tls: string | null;
  };
  readonly database: string;
  readonly login: string;
  readonly state: SessionState;
  readonly statement: {
    readonly sql: string | null;
    readonly started: string;
    readonly verdict: Verdict | null;
  } | null;
  readonly counters: {
    readonly statements: number;
    readonly denied: number;
    readonly errors: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  };
  readonly approval: string | null;
  readonly expires: string | null;
}

export interface StatementEvent {
  readonly time: string;
  readonly session: string;
  readonly request: string;
  readonly index: number;
  readonly principal: Who;
  readonly claimed: Claimed;
  readonly database: string;
  /** Literals stripped; null: sealed, or too long for a record. */
  readonly sql: string | null;
  readonly kind: string | null;
  readonly command: string | null;
  readonly verdict: Verdict;
  readonly rule: string | null;
  readonly code: string | null;
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly masked: readonly string[];
  readonly approval: string | null;
}

export type OutcomeStatus = "ok" | "error" | "denied" | "cancelled" | "cut" | "unknown";

export interface OutcomeEvent {
  readonly time: string;
  readonly session: string;
  readonly request: string;
  /** The statement's place in its message; null: not known, `intent` names it. */
  readonly index: number | null;
  /** Log index of the statement. */
  readonly intent?: number | null;
  readonly status: OutcomeStatus;
  readonly sqlstate: string | null;
  readonly tag: string | null;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly rows_affected: number | null;
  readonly duration_us: number | null;
}

export interface AuditHit {
  readonly id: string;
  readonly index: number;
  readonly log: string;
  readonly time: string;
  readonly request: string;
  readonly statementIndex: number;
  readonly session: string;
  readonly principal: Who;
  readonly claimed: Claimed;
  readonly database: string;
  readonly login: string;
  readonly sql: string;
  readonly kind: string;
  readonly command: string;
  readonly verdict: Verdict;
  readonly rule: string | null;
  readonly code: string | null;
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly columns: readonly string[] | null;
  readonly masked: readonly string[];
  readonly status: OutcomeStatus | null;
  readonly sqlstate: string | null;
  readonly tag: string | null;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly rowsAffected: number | null;
  readonly durationUs: number | null;
  readonly approval: string | null;
  readonly sentence: string;
}

export type ApprovalState = "pending" | "approved" | "used" | "denied" | "expired" | "gone" | "revoked";

export interface HeldParameter {
  readonly type: string;
  /** null: SQL NULL; undefined: it cannot be written as text, `bytes` holds it in base64. */
  readonly text?: string | null;
  readonly bytes?: string;
}

export interface HeldStatement {
  readonly sql: string;
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
  readonly parameters: readonly HeldParameter[];
  readonly unboundedWrite: boolean;
}

export interface ApprovalWarning {
  readonly code: string;
  readonly text: string;
  readonly object: string | null;
}

export interface EffectPreview {
  readonly time: string;
  readonly by: string;
  readonly rowsAffected: number | null;
  readonly sample: {
    readonly columns: readonly { readonly name: string; readonly type: string; readonly masked: boolean }[];
    readonly before: readonly (readonly (string | null)[])[];
    readonly after: readonly (readonly (string | null)[])[];
    readonly truncated: boolean;
  } | null;
  readonly notes: readonly string[];
  readonly refused: string | null;
}

export type ApprovalScope =
  | { readonly kind: "once" }
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
  readonly authenticated: string;
}

export interface Approval {
  readonly id: string;
  readonly kind: "statement" | "access" | "review";
  readonly state: ApprovalState;
  readonly mode: "wait" | "ticket";
  readonly created: string;
  readonly expires: string;
  readonly decided: string | null;
  readonly requester: Who;
  readonly claimed: Claimed;
  readonly session: string | null;
  readonly request: string | null;
  readonly node: string;
  readonly database: string;
  readonly login: string;
  readonly via: string;
  readonly application: string | null;
  readonly ip: string;
  readonly statements: readonly HeldStatement[];
  readonly searchPath: string | null;
  readonly transaction: {
    readonly open: boolean;
    readonly ageMs: number;
    readonly locks: readonly string[];
  } | null;
  readonly access: { readonly group: string; readonly seconds: number; readonly reason: string } | null;
  readonly votes: readonly ApprovalVote[];
  readonly missing: readonly {
    readonly rule: string;
    readonly groups: readonly string[];
    readonly count: number;
  }[];
  readonly policy: string;
  readonly rules: readonly string[];
  readonly message: string | null;
  readonly limits: {
    readonly rows: number | null;
    readonly bytes: number | null;
    readonly timeoutMs: number | null;
    readonly affectedRows: number | null;
    readonly perMinute: number | null;
  };
  readonly estimate: { readonly rows: number; readonly cost: number } | null;
  readonly warnings: readonly ApprovalWarning[];
  readonly preview: EffectPreview | null;
  readonly scope: ApprovalScope;
  readonly usesLeft: number;
  readonly binding: string;
  /** Whether the caller may decide it, and if not, why. */
  readonly can: {
    readonly approve: boolean;
    readonly deny: boolean;
    readonly why: string | null;
    readonly code: string | null;
    /** A fresh login is all that is missing. */
    readonly stepUp: boolean;
  };
}

/** An approval as the live stream tells of it. */
export interface ApprovalEvent {
  readonly id: string;
  readonly kind: Approval["kind"];
  readonly state: string;
  readonly mode: Approval["mode"];
  readonly created: string;
  readonly expires: string;
  readonly decided: string | null;
  readonly requester: Who;
  readonly session: string | null;
  readonly request: string | null;
  readonly database: string;
  readonly command: string | null;
  readonly message: string | null;
  readonly can: { readonly approve: boolean; readonly why: string | null };
}

export interface Revocation {
  readonly id: string;
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly agent: string | null;
  readonly jti: string | null;
  readonly everything: boolean;
  readonly reason: string;
  readonly time: string;
  readonly by: string;
}

export interface Grant {
  readonly id: string;
  readonly principal?: Who;
  readonly group: string;
  readonly database: string;
  readonly until: string;
  readonly reason?: string | null;
}

export interface ConnectDatabase {
  readonly name: string;
  readonly psql: string;
  readonly urls: Readonly<Record<string, string>>;
  readonly mcp: Readonly<Record<string, string>>;
  readonly expires: string | null;
}
