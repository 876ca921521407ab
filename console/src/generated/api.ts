/** Made by scripts/gen-api-types.ts from src/api/schema: change that, not this. Every text in here may be hostile. */
// biome-ignore-all format: generated

export type Access = { readonly items: readonly DatabaseAccess[]; readonly next: null };

export type AccessTable = { readonly name: string; readonly kind: "table" | "view" | "materialized view" | "foreign table"; readonly columns: readonly { readonly name: string; readonly type: string; readonly notNull: boolean; readonly mask: string | null; readonly use: "output" | "equality" | "derived" | null }[]; readonly partial: boolean; readonly read: May; readonly insert: May; readonly update: May; readonly delete: May; readonly limits: DecisionLimits | null; readonly approvers: readonly { readonly groups: readonly string[]; readonly count: number }[] };

/** Who acts on the subject's behalf. */
export type Actor = { readonly subject: string; readonly issuer: string | null };

export type Approval = { readonly id: string; readonly kind: "statement" | "access" | "review"; readonly state: "pending" | "approved" | "used" | "denied" | "expired" | "gone" | "revoked"; readonly mode: "wait" | "ticket"; readonly created: string; readonly expires: string; readonly decided: string | null; readonly requester: Principal; readonly claimed: Claimed; readonly session: string | null; readonly request: string | null; readonly node: string; readonly database: string; readonly login: string; readonly via: Via; readonly application: string | null; readonly ip: string; readonly statements: readonly HeldStatement[]; readonly searchPath: string | null; readonly role?: string; readonly transaction: { readonly open: boolean; readonly ageMs: number; readonly locks: readonly string[] } | null; readonly access: { readonly group: string; readonly seconds: number; readonly reason: string } | null; readonly demands: readonly ApproverDemand[]; readonly votes: readonly ApprovalVote[]; readonly missing: readonly { readonly rule: string; readonly groups: readonly string[]; readonly count: number }[]; readonly policy: string; readonly rules: readonly string[]; readonly message: string | null; readonly limits: DecisionLimits; readonly estimate: { readonly rows: number; readonly cost: number } | null; readonly warnings: readonly { readonly code: string; readonly text: string; readonly object: string | null }[]; readonly preview: EffectPreview | null; readonly scope: ApprovalScope; readonly usesLeft: number; readonly url: string | null; readonly binding: string; readonly can: { readonly approve: boolean; readonly deny: boolean; readonly why: string | null; readonly code: string | null; readonly stepUp: boolean } };

/** event: approval */
export type ApprovalEvent = { readonly id: string; readonly kind: "statement" | "access" | "review"; readonly state: string; readonly mode: "wait" | "ticket"; readonly created: string; readonly expires: string; readonly decided: string | null; readonly requester: { readonly subject: string; readonly issuer: string; readonly email: string | null; readonly kind: PrincipalKind; readonly actor: readonly { readonly subject: string; readonly issuer: string | null }[] }; readonly session: string | null; readonly request: string | null; readonly database: string; readonly command: string | null; readonly message: string | null; readonly missing: readonly { readonly rule: string; readonly groups: readonly string[]; readonly count: number }[]; readonly url: string | null; readonly can: { readonly approve: boolean; readonly why: string | null } };

export type ApprovalList = { readonly items: readonly Approval[]; readonly next: string | null };

export type ApprovalScope = { readonly kind: "once" } | { readonly kind: "shape"; readonly uses: number; readonly seconds: number };

export type ApprovalVote = { readonly approver: { readonly subject: string; readonly issuer: string; readonly provider: string; readonly email: string | null }; readonly verdict: "approve" | "deny"; readonly reason: string | null; readonly time: string; readonly scope: ApprovalScope; readonly authenticated: string };

export type ApproverDemand = { readonly rule: string; readonly groups: readonly string[]; readonly count: number; readonly withinMs: number; readonly allowDelegator: boolean; readonly ticket: boolean };

export type AuditHit = { readonly id: string; readonly index: number; readonly log: string; readonly type: string; readonly time: string; readonly request: string; readonly statementIndex: number; readonly session: string; readonly principal: Principal; readonly claimed: Claimed; readonly database: string; readonly login: string; readonly sql: string | null; readonly kind: string | null; readonly command: string | null; readonly verdict: Verdict | null; readonly rule: string | null; readonly code: string | null; readonly reads: readonly string[] | null; readonly writes: readonly string[] | null; readonly columns: readonly string[] | null; readonly labels: readonly string[] | null; readonly masked: readonly string[]; readonly status: OutcomeStatus | null; readonly sqlstate: string | null; readonly tag: string | null; readonly rows: number | null; readonly bytes: number | null; readonly rowsAffected: number | null; readonly durationUs: number | null; readonly undone: Undone | null; readonly approval: string | null; readonly sentence: string };

export type AuditPage = { readonly items: readonly AuditHit[]; readonly next: string | null; readonly notices: readonly string[] };

export type AuditRequest = { readonly request: string; readonly parts: readonly StatementPart[]; readonly others: readonly PlacedRecord[]; readonly session: { readonly id: string; readonly node: string; readonly principal: Principal; readonly claimed: Claimed; readonly client: Readonly<Record<string, unknown>>; readonly database: Readonly<Record<string, unknown>> } | null; readonly approval: string | null };

export type Checkpoint = { readonly log: string; readonly note: string; readonly size: number; readonly root: string; readonly time: string; readonly key: string; readonly anchors: readonly { readonly anchor: string; readonly anchored: number; readonly unanchored: number; readonly failing: boolean; readonly ageSeconds: number | null }[] };

/** What the caller says of itself. Never verified. */
export type Claimed = { readonly agent?: string; readonly model?: string; readonly run?: string; readonly intent?: string; readonly traceparent?: string };

export type ConnectDatabase = { readonly name: string; readonly psql: string; readonly urls: Readonly<Record<string, string>>; readonly mcp: Readonly<Record<string, string>>; readonly expires: string | null };

export type ConnectList = { readonly items: readonly ConnectDatabase[]; readonly next: null };

export type ConnectToken = { readonly token: string; readonly expires: string };

export type DatabaseAccess = { readonly database: string; readonly unavailable: boolean; readonly open: boolean; readonly tables: readonly AccessTable[]; readonly moreTables: number; readonly budgets: readonly { readonly rule: string; readonly unit: "statements" | "rows"; readonly amount: number; readonly perSeconds: number; readonly left: number }[] };

export type DecisionLimits = { readonly rows: number | null; readonly bytes: number | null; readonly timeoutMs: number | null; readonly affectedRows: number | null; readonly perMinute: number | null };

export type EffectPreview = { readonly time: string; readonly by: string; readonly rowsAffected: number | null; readonly sample: { readonly columns: readonly { readonly name: string; readonly type: string; readonly masked: boolean }[]; readonly before: readonly (readonly (string | null)[])[]; readonly after: readonly (readonly (string | null)[])[]; readonly truncated: boolean } | null; readonly notes: readonly string[]; readonly refused: string | null };

export type ErrorBody = { readonly error: { readonly code: string; readonly message: string; readonly hint?: string; readonly login?: string; readonly reason?: string; readonly issues?: readonly { readonly path: string; readonly message: string }[] } };

export type Explained = { readonly sql: string; readonly decision: { readonly verdict: Verdict; readonly rule: string | null; readonly code: string | null; readonly message: string | null; readonly hint: string | null; readonly object: string | null; readonly limits: DecisionLimits; readonly approvers: readonly ApproverDemand[]; readonly unmask: readonly string[]; readonly would: { readonly verdict: "deny" | "approve"; readonly rule: string | null; readonly code: string } | null }; readonly rules: readonly RuleVerdict[]; readonly touches: { readonly effects: readonly string[]; readonly reads: readonly string[]; readonly writes: readonly string[]; readonly columns: readonly string[]; readonly functions: readonly string[]; readonly labels: readonly string[]; readonly labelsInPredicates: readonly string[] } | null; readonly masked: readonly string[] | null; readonly outputs: readonly ExplainedOutput[] | null; readonly message: string | null; readonly statements: readonly Explanation[] };

export type ExplainedOutput = { readonly name: string; readonly sources: readonly string[]; readonly plain: boolean; readonly mask: string | null; readonly label: string | null; readonly why: string | null };

export type Explanation = { readonly sql: string; readonly decision: { readonly verdict: Verdict; readonly rule: string | null; readonly code: string | null; readonly message: string | null; readonly hint: string | null; readonly object: string | null; readonly limits: DecisionLimits; readonly approvers: readonly ApproverDemand[]; readonly unmask: readonly string[]; readonly would: { readonly verdict: "deny" | "approve"; readonly rule: string | null; readonly code: string } | null }; readonly rules: readonly RuleVerdict[]; readonly touches: { readonly effects: readonly string[]; readonly reads: readonly string[]; readonly writes: readonly string[]; readonly columns: readonly string[]; readonly functions: readonly string[]; readonly labels: readonly string[]; readonly labelsInPredicates: readonly string[] } | null; readonly masked: readonly string[] | null; readonly outputs: readonly ExplainedOutput[] | null; readonly message: string | null };

/** event: gap. Something was left out: this reader is too slow (the stream ends), the gateway is too busy, or what Last-Event-ID asks for is too much. */
export type GapEvent = { readonly why: "slow" | "busy" | "old"; readonly missed: number | null };

export type Grant = { readonly id: string; readonly principal: Principal; readonly group: string; readonly database: string; readonly since: string | null; readonly until: string; readonly reason: string | null };

export type GrantList = { readonly items: readonly Grant[]; readonly next: string | null };

export type HeldParameter = { readonly type: string; readonly text?: string | null; readonly bytes?: string };

export type HeldStatement = { readonly sql: string; readonly fingerprint: string | null; readonly kind: string; readonly command: string; readonly effects: readonly string[]; readonly reads: readonly string[]; readonly writes: readonly string[]; readonly columns: readonly string[]; readonly functions: readonly string[]; readonly labels: readonly string[]; readonly masked: readonly string[]; readonly parameters: readonly HeldParameter[]; readonly unboundedWrite: boolean };

export type InclusionProof = { readonly record: string; readonly index: number; readonly log: string; readonly proof: string; readonly checkpoint: string; readonly path: readonly string[]; readonly leafHash: string; readonly root: string; readonly size: number; readonly publicKey: string };

/** event: log, at most once a second */
export type LogEvent = { readonly log: string; readonly checkpoint: { readonly size: number; readonly root: string; readonly time: string }; readonly failure: string | null };

export type LoginProvider = { readonly name: string; readonly type: "oidc" | "saml"; readonly url: string };

export type LoginProviders = { readonly providers: readonly LoginProvider[] };

export type May = "yes" | "approval" | "no" | "depends";

export type Me = { readonly subject: string; readonly issuer: string; readonly provider: string; readonly email: string | null; readonly kind: PrincipalKind; readonly groups: readonly string[]; readonly actor: readonly Actor[]; readonly roles: readonly ("admin" | "auditor" | "approver" | "user")[]; readonly authTime: string | null; readonly stepUpFresh: boolean; readonly csrf: string | null; readonly expires: string; readonly databases: readonly { readonly name: string }[]; readonly offers: readonly { readonly database: string; readonly group: string; readonly maxSeconds: number }[]; readonly version: string; readonly node: string; readonly publicUrl: string; readonly addresses: { readonly postgres: string | null; readonly http: string }; readonly warnings: readonly string[] };

/** event: outcome */
export type OutcomeEvent = { readonly time: string; readonly session: string; readonly request: string; readonly index: number; readonly intent: number | null; readonly status: "ok" | "error" | "denied" | "cancelled" | "cut" | "unknown"; readonly sqlstate: string | null; readonly tag: string | null; readonly rows: number | null; readonly bytes: number | null; readonly rows_affected: number | null; readonly duration_us: number | null };

export type OutcomeStatus = "ok" | "error" | "denied" | "cancelled" | "cut" | "unknown";

export type PlacedRecord = { readonly record: Readonly<Record<string, unknown>>; readonly index: number; readonly log: string; readonly id: string };

export type Policy = { readonly digest: string | null; readonly files: readonly PolicyFile[]; readonly rules: readonly PolicyRule[]; readonly labels: readonly PolicyLabel[]; readonly default: "allow" | "deny"; readonly observe: "none" | "some" | "all"; readonly databases: readonly string[]; readonly groups: readonly string[] };

export type PolicyCheck = { readonly ok: boolean; readonly digest: string | null; readonly problems: readonly PolicyProblem[] };

export type PolicyFile = { readonly name: string; readonly text: string };

export type PolicyLabel = { readonly label: string; readonly description: string | null; readonly columns: readonly string[]; readonly mask: { readonly kind: string } | null; readonly access: "masked" | "none"; readonly use: "output" | "equality" | "derived" | "any"; readonly observe: boolean };

export type PolicyProblem = { readonly file: string; readonly line: number; readonly column: number; readonly key: string; readonly what: string; readonly expected: string };

export type PolicyRule = { readonly name: string; readonly then: "allow" | "deny" | "approve" | "limit" | "unmask"; readonly when: string; readonly description: string | null; readonly observe: boolean; readonly file: string; readonly line: number; readonly facts: readonly string[] };

export type PosternToken = { readonly id: string; readonly audience: readonly ("wire" | "api" | "mcp")[] | null; readonly database: string | null; readonly agent: string | null; readonly certificate: string | null; readonly issued: string; readonly expires: string; readonly actor: readonly Actor[] };

export type PosternTokenList = { readonly items: readonly PosternToken[]; readonly next: string | null };

/** Who it is, as a verified token says. */
export type Principal = { readonly subject: string; readonly issuer: string; readonly provider: string; readonly email: string | null; readonly kind: PrincipalKind; readonly groups: readonly string[]; readonly actor: readonly Actor[] };

export type PrincipalKind = "human" | "agent" | "service";

export type ProtectedColumn = { readonly database: string; readonly column: string; readonly labels: readonly { readonly label: string; readonly access: "masked" | "none"; readonly mask: { readonly kind: string } | null; readonly use: string | null; readonly observe: boolean }[]; readonly why: readonly string[] };

export type ProtectedColumnList = { readonly items: readonly ProtectedColumn[]; readonly next: null };

export type Replay = { readonly policy: string | null; readonly problems: readonly PolicyProblem[]; readonly total: number; readonly compared: number; readonly undetermined: number; readonly truncated: boolean; readonly changes: readonly { readonly kind: "newly denied" | "newly allowed" | "newly held" | "newly masked" | "newly shown"; readonly count: number; readonly examples: readonly { readonly request: string; readonly time: string; readonly subject: string; readonly kind: PrincipalKind; readonly database: string; readonly sql: string | null; readonly was: { readonly verdict: Verdict; readonly rule: string | null; readonly code: string | null }; readonly now: { readonly verdict: Verdict; readonly rule: string | null; readonly code: string | null } | null; readonly columns: readonly string[]; readonly why: string | null; readonly count: number }[] }[] };

export type Revocation = { readonly id: string; readonly kind: "subject" | "sub" | "agent" | "token" | "sid" | "everything"; readonly value: string; readonly issuer: string | null; readonly mode: "block" | "before"; readonly subject: string | null; readonly agent: string | null; readonly jti: string | null; readonly everything: boolean; readonly at: string; readonly time: string; readonly expires: string | null; readonly reason: string; readonly by: string };

export type RevocationList = { readonly items: readonly Revocation[]; readonly next: string | null };

export type RuleVerdict = { readonly rule: string; readonly then: "allow" | "deny" | "approve" | "limit" | "unmask"; readonly outcome: "matched" | "not matched" | "error" | "not evaluated"; readonly observe: boolean; readonly detail: string | null };

export type RunList = { readonly items: readonly RunSummary[]; readonly next: string | null };

export type RunStatement = { readonly step: number; readonly pass: number; readonly log: string; readonly index: number; readonly time: string; readonly request: string | null; readonly database: string | null; readonly sql: string | null; readonly exact: string | null; readonly parameters: unknown; readonly fingerprint: string | null; readonly fresh: boolean; readonly verdict: string | null; readonly rule: string | null; readonly code: string | null; readonly status: string | null; readonly undone: Undone | null; readonly sqlstate: string | null; readonly rows: number | null; readonly affected: number | null; readonly reads: readonly string[] | null; readonly writes: readonly string[] | null; readonly labels: readonly string[] | null; readonly masked: readonly string[] };

export type RunStory = { readonly run: string; readonly first: string | null; readonly last: string | null; readonly passes: readonly { readonly pass: number; readonly session: string; readonly subject: string | null; readonly kind: string | null; readonly claimed: Readonly<Record<string, string>>; readonly prompt: string | null; readonly first: string; readonly last: string; readonly statements: number }[]; readonly statements: readonly RunStatement[]; readonly read: Readonly<Record<string, readonly number[]>>; readonly changed: Readonly<Record<string, { readonly steps: readonly number[]; readonly rows: number }>>; readonly masked: readonly string[]; readonly refused: readonly number[]; readonly failed: readonly number[]; readonly undone: readonly number[]; readonly unread: readonly number[]; readonly evolution: Readonly<Record<string, unknown>>; readonly events: readonly { readonly time: string; readonly type: string; readonly log: string; readonly index: number }[]; readonly notices: readonly string[] };

export type RunSummary = { readonly run: string; readonly kind: "run" | "trace" | "session"; readonly first: string; readonly last: string; readonly statements: number; readonly denied: number; readonly subject: string | null; readonly others: number; readonly principalKind: string | null; readonly agent: string | null; readonly model: string | null; readonly databases: readonly string[] };

export type Session = { readonly id: string; readonly node: string; readonly started: string; readonly lastActive: string; readonly principal: Principal; readonly claimed: Claimed; readonly client: { readonly ip: string; readonly application: string | null; readonly user: string; readonly via: Via; readonly tls: string | null }; readonly database: string; readonly login: string; readonly state: "idle" | "active" | "in transaction" | "waiting for approval"; readonly statement: { readonly sql: string | null; readonly started: string; readonly verdict: "allow" | "approve" } | null; readonly counters: SessionCounters; readonly approval: string | null; readonly expires: string | null };

export type SessionCounters = { readonly statements: number; readonly denied: number; readonly errors: number; readonly bytesIn: number; readonly bytesOut: number };

/** event: session */
export type SessionEvent = { readonly type: "start" | "end"; readonly reason: string | null; readonly session: Session };

export type SessionList = { readonly items: readonly Session[]; readonly next: string | null };

export type SessionRenewed = { readonly id: string; readonly expires: string };

/** event: statement */
export type StatementEvent = { readonly time: string; readonly session: string; readonly request: string; readonly index: number; readonly principal: { readonly subject: string; readonly issuer: string; readonly kind: PrincipalKind; readonly email: string | null; readonly actor: readonly Actor[] }; readonly claimed: Claimed; readonly database: string; readonly login: string; readonly sql: string | null; readonly kind: string | null; readonly command: string | null; readonly verdict: Verdict; readonly rule: string | null; readonly code: string | null; readonly reads: readonly string[] | null; readonly writes: readonly string[] | null; readonly masked: readonly string[]; readonly approval: string | null };

export type StatementPart = { readonly intent: PlacedRecord; readonly outcome: PlacedRecord | null; readonly sql: string | null; readonly parameters: unknown; readonly claimedIntent: string | null; readonly seal: { readonly salt: string; readonly json: string } | null; readonly sealed: string | null; readonly undone: Undone | null; readonly sentence: string };

export type Stats = { readonly since: string; readonly until: string; readonly bucketSeconds: number; readonly buckets: readonly { readonly time: string; readonly allow: number; readonly deny: number; readonly approve: number; readonly masked: number }[]; readonly statements: number; readonly agents: readonly { readonly name: string; readonly count: number; readonly denied: number }[]; readonly people: readonly { readonly name: string; readonly count: number; readonly denied: number }[]; readonly tables: readonly { readonly name: string; readonly count: number; readonly denied: number }[]; readonly rules: readonly { readonly name: string; readonly count: number; readonly denied: number }[]; readonly statuses: Readonly<Record<string, number>>; readonly held: { readonly count: number; readonly medianSeconds: number | null; readonly p95Seconds: number | null }; readonly log: { readonly size: number; readonly lastCheckpoint: string | null; readonly anchorAgeSeconds: number | null; readonly unanchored: number; readonly failure: string | null }; readonly notices: readonly string[] };

/** A statement was done, and its transaction took it back. */
export type Undone = { readonly fate: "rolled_back" | "unknown"; readonly cause: string; readonly sqlstate: string | null; readonly by: number };

export type Verdict = "allow" | "deny" | "approve";

export type Via = "wire" | "mcp" | "api";

/** What each route takes and answers. */
export interface Routes {
  readonly "GET /api/me": { readonly body: undefined; readonly answer: Me };
  readonly "GET /api/login": { readonly body: undefined; readonly answer: LoginProviders };
  readonly "POST /api/logout": { readonly body: Readonly<Record<string, unknown>>; readonly answer: null };
  readonly "GET /api/sessions": { readonly body: undefined; readonly answer: SessionList };
  readonly "DELETE /api/sessions/:id": { readonly body: undefined; readonly answer: null };
  readonly "POST /api/sessions/:id/renew": { readonly body: { readonly token: string }; readonly answer: SessionRenewed };
  readonly "GET /api/revocations": { readonly body: undefined; readonly answer: RevocationList };
  readonly "POST /api/revocations": { readonly body: { readonly subject?: string; readonly agent?: string; readonly jti?: string; readonly tokenSha256?: string; readonly everything?: true; readonly issuer?: string; readonly mode?: "block" | "before"; readonly seconds?: number; readonly reason: string }; readonly answer: Revocation };
  readonly "DELETE /api/revocations/:id": { readonly body: undefined; readonly answer: null };
  readonly "GET /api/tokens": { readonly body: undefined; readonly answer: PosternTokenList };
  readonly "DELETE /api/tokens/:id": { readonly body: undefined; readonly answer: null };
  readonly "GET /api/events": { readonly body: undefined; readonly answer: never };
  readonly "GET /api/audit": { readonly body: undefined; readonly answer: AuditPage };
  readonly "GET /api/audit/checkpoint": { readonly body: undefined; readonly answer: Checkpoint };
  readonly "GET /api/audit/stats": { readonly body: undefined; readonly answer: Stats };
  readonly "GET /api/audit/runs": { readonly body: undefined; readonly answer: RunList };
  readonly "GET /api/audit/runs/:run": { readonly body: undefined; readonly answer: RunStory };
  readonly "GET /api/audit/:id/proof": { readonly body: undefined; readonly answer: InclusionProof };
  readonly "GET /api/audit/:request": { readonly body: undefined; readonly answer: AuditRequest };
  readonly "GET /api/approvals": { readonly body: undefined; readonly answer: ApprovalList };
  readonly "GET /api/approvals/:id": { readonly body: undefined; readonly answer: Approval };
  readonly "POST /api/approvals/:id/approve": { readonly body: { readonly reason?: string | null; readonly scope?: ApprovalScope | null }; readonly answer: Approval };
  readonly "POST /api/approvals/:id/deny": { readonly body: { readonly reason?: string | null }; readonly answer: Approval };
  readonly "POST /api/approvals/:id/preview": { readonly body: Readonly<Record<string, unknown>>; readonly answer: EffectPreview };
  readonly "POST /api/approvals/:id/revoke": { readonly body: { readonly reason: string }; readonly answer: Approval };
  readonly "POST /api/access": { readonly body: { readonly database: string; readonly group: string; readonly seconds: number; readonly reason: string }; readonly answer: Approval };
  readonly "GET /api/grants": { readonly body: undefined; readonly answer: GrantList };
  readonly "GET /api/policy": { readonly body: undefined; readonly answer: Policy };
  readonly "GET /api/policy/columns": { readonly body: undefined; readonly answer: ProtectedColumnList };
  readonly "POST /api/policy/explain": { readonly body: { readonly as?: { readonly subject?: string; readonly issuer?: string; readonly provider?: string; readonly email?: string | null; readonly kind: PrincipalKind; readonly groups?: readonly string[]; readonly actor?: readonly Actor[]; readonly claims?: Readonly<Record<string, unknown>> } | null; readonly database: string; readonly sql: string; readonly params?: readonly unknown[] }; readonly answer: Explained };
  readonly "POST /api/policy/replay": { readonly body: { readonly files: readonly PolicyFile[]; readonly since?: string; readonly until?: string; readonly database?: string }; readonly answer: Replay };
  readonly "POST /api/policy/check": { readonly body: { readonly files: readonly PolicyFile[] }; readonly answer: PolicyCheck };
  readonly "GET /api/connect": { readonly body: undefined; readonly answer: ConnectList };
  readonly "POST /api/connect/token": { readonly body: { readonly database?: string | null; readonly seconds?: number | null }; readonly answer: ConnectToken };
  readonly "GET /api/access": { readonly body: undefined; readonly answer: Access };
}
