/** What waits for a person (src/facts/approval.ts). */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { claimed, iso, kind, limit, listOf, name, nothing, principal, via } from "./common.ts";

const person = z.object({
  subject: z.string(),
  issuer: z.string(),
  provider: z.string(),
  email: z.string().nullable(),
});

export const heldParameter = z
  .object({
    type: z.string(),
    text: z.string().nullable().optional(),
    bytes: z.string().optional().meta({ description: "Base64, where there is no text." }),
  })
  .meta({ id: "HeldParameter" });

export const heldStatement = z
  .object({
    sql: z.string(),
    fingerprint: z.string().nullable(),
    kind: z.string(),
    command: z.string(),
    effects: z.array(z.string()),
    reads: z.array(z.string()),
    writes: z.array(z.string()),
    columns: z.array(z.string()),
    functions: z.array(z.string()),
    labels: z.array(z.string()),
    masked: z.array(z.string()),
    parameters: z.array(heldParameter),
    unboundedWrite: z.boolean(),
  })
  .meta({ id: "HeldStatement" });

export const effectPreview = z
  .object({
    time: iso,
    by: z.string(),
    rowsAffected: z.number().nullable(),
    sample: z
      .object({
        columns: z.array(z.object({ name: z.string(), type: z.string(), masked: z.boolean() })),
        before: z.array(z.array(z.string().nullable())),
        after: z.array(z.array(z.string().nullable())),
        truncated: z.boolean(),
      })
      .nullable(),
    notes: z.array(z.string()),
    refused: z.string().nullable(),
  })
  .meta({ id: "EffectPreview" });

export const approvalScope = z
  .discriminatedUnion("kind", [
    z.object({ kind: z.literal("once") }),
    z.object({
      kind: z.literal("shape"),
      uses: z.number().int().min(1).max(10_000),
      seconds: z.number().int().min(1).max(604_800),
    }),
  ])
  .meta({ id: "ApprovalScope" });

export const approvalVote = z
  .object({
    approver: person,
    verdict: z.enum(["approve", "deny"]),
    reason: z.string().nullable(),
    time: iso,
    scope: approvalScope,
    authenticated: iso,
  })
  .meta({ id: "ApprovalVote" });

const nullableNumber = z.number().nullable();
export const decisionLimits = z
  .object({
    rows: nullableNumber,
    bytes: nullableNumber,
    timeoutMs: nullableNumber,
    affectedRows: nullableNumber,
    perMinute: nullableNumber,
  })
  .meta({ id: "DecisionLimits" });

export const approverDemand = z
  .looseObject({
    rule: z.string(),
    groups: z.array(z.string()),
    count: z.number(),
    withinMs: z.number(),
    allowDelegator: z.boolean(),
    ticket: z.boolean(),
  })
  .meta({ id: "ApproverDemand" });

export const approval = z
  .looseObject({
    id: z.string(),
    kind: z.enum(["statement", "access", "review"]),
    state: z.enum(["pending", "approved", "used", "denied", "expired", "gone", "revoked"]),
    mode: z.enum(["wait", "ticket"]),
    created: iso,
    expires: iso,
    decided: iso.nullable(),
    requester: principal,
    claimed,
    session: z.string().nullable(),
    request: z.string().nullable(),
    node: z.string(),
    database: z.string(),
    login: z.string(),
    via,
    application: z.string().nullable(),
    ip: z.string(),
    statements: z.array(heldStatement),
    searchPath: z.string().nullable(),
    role: z.string().exactOptional(),
    transaction: z.object({ open: z.boolean(), ageMs: z.number(), locks: z.array(z.string()) }).nullable(),
    access: z.object({ group: z.string(), seconds: z.number(), reason: z.string() }).nullable(),
    demands: z.array(approverDemand),
    votes: z.array(approvalVote),
    missing: z.array(z.object({ rule: z.string(), groups: z.array(z.string()), count: z.number() })),
    policy: z.string(),
    rules: z.array(z.string()),
    message: z.string().nullable(),
    limits: decisionLimits,
    estimate: z.object({ rows: z.number(), cost: z.number() }).nullable(),
    warnings: z.array(z.object({ code: z.string(), text: z.string(), object: z.string().nullable() })),
    preview: effectPreview.nullable(),
    scope: approvalScope,
    usesLeft: z.number(),
    url: z.string().nullable(),
    binding: z.string(),
    can: z.object({
      approve: z.boolean(),
      deny: z.boolean(),
      why: z.string().nullable().meta({ description: "Why not; null: the caller may." }),
      code: z.string().nullable(),
      stepUp: z.boolean().meta({ description: "A fresh login is all that is missing." }),
    }),
  })
  .meta({ id: "Approval" });

export const approvalEvent = z
  .object({
    id: z.string(),
    kind: z.enum(["statement", "access", "review"]),
    state: z.string(),
    mode: z.enum(["wait", "ticket"]),
    created: iso,
    expires: iso,
    decided: iso.nullable(),
    requester: z.object({
      subject: z.string(),
      issuer: z.string(),
      email: z.string().nullable(),
      kind,
      actor: z.array(z.object({ subject: z.string(), issuer: z.string().nullable() })),
    }),
    session: z.string().nullable(),
    request: z.string().nullable(),
    database: z.string(),
    command: z.string().nullable(),
    message: z.string().nullable(),
    missing: z.array(z.object({ rule: z.string(), groups: z.array(z.string()), count: z.number() })),
    url: z.string().nullable(),
    can: z.object({ approve: z.boolean(), why: z.string().nullable() }),
  })
  .meta({ id: "ApprovalEvent", description: "event: approval" });

export const listApprovals = {
  method: "GET",
  path: "/api/approvals",
  summary: "Approvals that the caller asked for or may decide; all for auditors",
  allow: ["user", "agent"],
  query: z.object({
    state: z.enum(["pending", "decided"]).default("pending"),
    kind: z.enum(["statement", "access", "review"]).optional(),
    limit: limit.default(50),
    after: name.optional(),
  }),
  answer: listOf(approval).meta({ id: "ApprovalList" }),
} as const satisfies RouteSpec;

export const getApproval = {
  method: "GET",
  path: "/api/approvals/:id",
  summary: "One approval with all that an approver needs",
  allow: ["user", "agent"],
  answer: approval,
} as const satisfies RouteSpec;

const reason = z.string().trim().max(2000);
export const approve = {
  method: "POST",
  path: "/api/approvals/:id/approve",
  summary: "Agrees; needs a fresh login",
  allow: ["user"],
  body: z.object({ reason: reason.nullish(), scope: approvalScope.nullish() }),
  answer: approval,
} as const satisfies RouteSpec;

export const deny = {
  method: "POST",
  path: "/api/approvals/:id/deny",
  summary: "Refuses, with a reason; needs a fresh login",
  allow: ["user"],
  body: z.object({ reason: reason.nullish() }),
  answer: approval,
} as const satisfies RouteSpec;

export const preview = {
  method: "POST",
  path: "/api/approvals/:id/preview",
  summary: "Runs it in a transaction that is rolled back, and shows what it would change",
  allow: ["user"],
  body: nothing,
  answer: effectPreview,
} as const satisfies RouteSpec;

export const revoke = {
  method: "POST",
  path: "/api/approvals/:id/revoke",
  summary: "Takes back an approval for a while, or a grant of access",
  allow: ["user"],
  body: z.object({ reason }),
  answer: approval,
} as const satisfies RouteSpec;

export const requestAccess = {
  method: "POST",
  path: "/api/access",
  summary: "Asks for a group for a while",
  allow: ["user"],
  body: z.object({
    database: name,
    group: name,
    seconds: z.number().int().min(60).max(2_592_000),
    reason: reason.min(1),
  }),
  answer: approval,
} as const satisfies RouteSpec;

export const grant = z
  .object({
    id: z.string(),
    principal,
    group: z.string(),
    database: z.string(),
    since: iso.nullable(),
    until: iso,
    reason: z.string().nullable(),
  })
  .meta({ id: "Grant" });

export const listGrants = {
  method: "GET",
  path: "/api/grants",
  summary: "Groups that people hold for a while: all for auditors, else the caller's own",
  allow: ["user"],
  query: z.object({ limit: limit.default(100), after: name.optional() }),
  answer: listOf(grant).meta({ id: "GrantList" }),
} as const satisfies RouteSpec;
