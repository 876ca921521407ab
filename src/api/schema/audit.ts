/** The audit trail. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { claimed, iso, limit, listOf, moment, name, principal, verdict } from "./common.ts";

const people = ["user", "agent"] as const;

export const undone = z
  .object({
    fate: z.enum(["rolled_back", "unknown"]),
    cause: z.string(),
    sqlstate: z.string().nullable(),
    by: z.number().meta({ description: "Log index of the record that says so." }),
  })
  .meta({ id: "Undone", description: "A statement was done, and its transaction took it back." });

export const outcomeStatus = z
  .enum(["ok", "error", "denied", "cancelled", "cut", "unknown"])
  .meta({ id: "OutcomeStatus" });

export const auditHit = z
  .object({
    id: z.string(),
    index: z.number(),
    log: z.string(),
    type: z.string().meta({ description: "The record's type, e.g. statement.intent." }),
    time: iso,
    request: z.string(),
    statementIndex: z.number(),
    session: z.string(),
    principal,
    claimed,
    database: z.string(),
    login: z.string(),
    sql: z.string().nullable().meta({ description: "Literals stripped; null: sealed, or no statement." }),
    kind: z.string().nullable(),
    command: z.string().nullable(),
    verdict: verdict.nullable().meta({ description: "null: the record is no statement." }),
    rule: z.string().nullable(),
    code: z.string().nullable(),
    reads: z.array(z.string()).nullable(),
    writes: z.array(z.string()).nullable(),
    columns: z.array(z.string()).nullable(),
    labels: z.array(z.string()).nullable(),
    masked: z.array(z.string()),
    status: outcomeStatus.nullable(),
    sqlstate: z.string().nullable(),
    tag: z.string().nullable(),
    rows: z.number().nullable(),
    bytes: z.number().nullable(),
    rowsAffected: z.number().nullable(),
    durationUs: z.number().nullable(),
    undone: undone.nullable(),
    approval: z.string().nullable(),
    sentence: z.string(),
  })
  .meta({ id: "AuditHit" });
export type AuditHit = z.output<typeof auditHit>;

const filters = {
  subject: name.optional(),
  agent: name.optional().meta({ description: "The agent that the caller claims to be, or that acts." }),
  group: name.optional(),
  token: name.optional(),
  session: name.optional(),
  request: name.optional(),
  database: name.optional(),
  table: name.optional(),
  column: name.optional(),
  label: name.optional(),
  function: name.optional(),
  fingerprint: name.optional(),
  rule: name.optional(),
  type: name.optional(),
  verdict: verdict.optional(),
  status: outcomeStatus.optional(),
  text: name.optional(),
  run: name.optional(),
  value: name.optional().meta({
    description: "A value that a parameter or literal is known to have; for auditors only.",
  }),
  since: moment.optional(),
  until: moment.optional(),
};

export const searchAudit = {
  method: "GET",
  path: "/api/audit",
  summary: "Search, newest first: all for auditors, else the caller's own statements and sessions",
  allow: people,
  query: z.object({ ...filters, limit: limit.default(50), after: name.optional() }),
  answer: listOf(auditHit)
    .extend({ notices: z.array(z.string()).meta({ description: "What to know of how it was searched." }) })
    .meta({ id: "AuditPage" }),
} as const satisfies RouteSpec;

const record = z.record(z.string(), z.unknown());
export const placedRecord = z
  .object({
    record: record.meta({ description: "As stored; long values put back from their blobs." }),
    index: z.number(),
    log: z.string(),
    id: z.string(),
  })
  .meta({ id: "PlacedRecord" });

export const statementPart = z
  .object({
    intent: placedRecord,
    outcome: placedRecord.nullable(),
    sql: z
      .string()
      .nullable()
      .meta({ description: "The exact text; null: the caller may not see it, or the seal does not open." }),
    parameters: z.unknown().meta({ description: "Exact values; null as for sql." }),
    claimedIntent: z.string().nullable().meta({ description: "The claimed prompt, from the seal." }),
    seal: z.object({ salt: z.string(), json: z.string() }).nullable().meta({
      description:
        "What the seal held: SHA-256 over the salt (base64) and the JSON is `statement.sealed.digest` of the record.",
    }),
    sealed: z.string().nullable().meta({ description: "Why the seal was not opened; null: it was." }),
    undone: undone.nullable(),
    sentence: z.string(),
  })
  .meta({ id: "StatementPart" });

export const getAuditRequest = {
  method: "GET",
  path: "/api/audit/:request",
  summary: "Everything on one client message; exact texts for auditors",
  allow: people,
  answer: z
    .object({
      request: z.string(),
      parts: z.array(statementPart),
      others: z.array(placedRecord).meta({ description: "Records of the request that are no statements." }),
      session: z
        .object({
          id: z.string(),
          node: z.string(),
          principal,
          claimed,
          client: record,
          database: record,
        })
        .nullable(),
      approval: z.string().nullable(),
    })
    .meta({ id: "AuditRequest" }),
} as const satisfies RouteSpec;

export const getCheckpoint = {
  method: "GET",
  path: "/api/audit/checkpoint",
  summary: "The newest signed checkpoint of this node's log",
  allow: ["user", "agent"],
  answer: z
    .object({
      log: z.string(),
      note: z.string().meta({ description: "C2SP signed note." }),
      size: z.number(),
      root: z.string().meta({ description: "Hex." }),
      time: iso,
      key: z.string().meta({ description: "The log's first verifier key." }),
      anchors: z.array(
        z.object({
          anchor: z.string(),
          anchored: z.number(),
          unanchored: z.number(),
          failing: z.boolean(),
          ageSeconds: z.number().nullable(),
        }),
      ),
    })
    .meta({ id: "Checkpoint" }),
} as const satisfies RouteSpec;

export const getProof = {
  method: "GET",
  path: "/api/audit/:id/proof",
  summary: "The inclusion proof of a record, by its id",
  allow: ["auditor"],
  answer: z
    .object({
      record: z.string().meta({ description: "The leaf's exact text." }),
      index: z.number(),
      log: z.string(),
      proof: z.string().meta({ description: "The file that `postern audit verify-proof` takes." }),
      checkpoint: z.string(),
      path: z.array(z.string()).meta({ description: "Sibling hashes, hex, from the leaf to the root." }),
      leafHash: z.string(),
      root: z.string(),
      size: z.number(),
      publicKey: z.string(),
    })
    .meta({ id: "InclusionProof" }),
} as const satisfies RouteSpec;

export const runSummary = z
  .object({
    run: z.string(),
    kind: z.enum(["run", "trace", "session"]).meta({ description: "What names it." }),
    first: iso,
    last: iso,
    statements: z.number(),
    denied: z.number(),
    subject: z.string().nullable().meta({ description: "Who sent its first statement." }),
    others: z.number().meta({
      description: "How many others have statements under this name: callers claim it, and anybody can.",
    }),
    principalKind: z.string().nullable(),
    agent: z.string().nullable(),
    model: z.string().nullable(),
    databases: z.array(z.string()),
  })
  .meta({ id: "RunSummary" });

export const listRuns = {
  method: "GET",
  path: "/api/audit/runs",
  summary: "Runs of agents, newest first",
  allow: ["auditor"],
  query: z.object({
    since: moment.optional(),
    agent: name.optional(),
    subject: name.optional(),
    limit: limit.default(50),
    after: name.optional(),
  }),
  answer: listOf(runSummary).meta({ id: "RunList" }),
} as const satisfies RouteSpec;

const steps = z.array(z.number());
export const runStatement = z
  .object({
    step: z.number(),
    pass: z.number(),
    log: z.string(),
    index: z.number(),
    time: iso,
    request: z.string().nullable(),
    database: z.string().nullable(),
    sql: z.string().nullable(),
    exact: z.string().nullable(),
    parameters: z.unknown(),
    fingerprint: z.string().nullable(),
    fresh: z.boolean(),
    verdict: z.string().nullable(),
    rule: z.string().nullable(),
    code: z.string().nullable(),
    status: z.string().nullable(),
    undone: undone.nullable(),
    sqlstate: z.string().nullable(),
    rows: z.number().nullable(),
    affected: z.number().nullable(),
    reads: z.array(z.string()).nullable(),
    writes: z.array(z.string()).nullable(),
    labels: z.array(z.string()).nullable(),
    masked: z.array(z.string()),
  })
  .meta({ id: "RunStatement" });

export const getRun = {
  method: "GET",
  path: "/api/audit/runs/:run",
  summary: "The story of one agent run, step by step",
  allow: ["auditor"],
  answer: z
    .object({
      run: z.string(),
      first: iso.nullable(),
      last: iso.nullable(),
      passes: z.array(
        z.object({
          pass: z.number(),
          session: z.string(),
          subject: z.string().nullable(),
          kind: z.string().nullable(),
          claimed: z.record(z.string(), z.string()),
          prompt: z.string().nullable(),
          first: iso,
          last: iso,
          statements: z.number(),
        }),
      ),
      statements: z.array(runStatement),
      read: z.record(z.string(), steps),
      changed: z.record(z.string(), z.object({ steps, rows: z.number() })),
      masked: z.array(z.string()),
      refused: steps,
      failed: steps,
      undone: steps,
      unread: steps,
      evolution: z.record(z.string(), z.unknown()),
      events: z.array(z.object({ time: iso, type: z.string(), log: z.string(), index: z.number() })),
      notices: z.array(z.string()),
    })
    .meta({ id: "RunStory" }),
} as const satisfies RouteSpec;

const counted = z.object({ name: z.string(), count: z.number(), denied: z.number() });
export const getStats = {
  method: "GET",
  path: "/api/audit/stats",
  summary: "Counts over time, for plots",
  allow: ["auditor"],
  query: z.object({
    since: moment.optional(),
    until: moment.optional(),
    bucket: z.enum(["minute", "hour", "day"]).optional().meta({
      description: "Default: fits the period. Minutes only up to 6 hours.",
    }),
    database: name.optional(),
    subject: name.optional(),
  }),
  answer: z
    .object({
      since: iso,
      until: iso,
      bucketSeconds: z.number(),
      buckets: z.array(
        z.object({
          time: iso,
          allow: z.number(),
          deny: z.number(),
          approve: z.number(),
          masked: z.number().meta({ description: "Of those allowed: with masked columns." }),
        }),
      ),
      statements: z.number(),
      agents: z.array(counted),
      people: z.array(counted),
      tables: z.array(counted),
      rules: z.array(z.object({ name: z.string(), count: z.number(), denied: z.number() })),
      statuses: z.record(z.string(), z.number()),
      held: z.object({
        count: z.number(),
        medianSeconds: z.number().nullable(),
        p95Seconds: z.number().nullable(),
      }),
      log: z.object({
        size: z.number(),
        lastCheckpoint: iso.nullable(),
        anchorAgeSeconds: z.number().nullable(),
        unanchored: z.number(),
        failure: z.string().nullable(),
      }),
      notices: z.array(z.string()),
    })
    .meta({ id: "Stats" }),
} as const satisfies RouteSpec;
