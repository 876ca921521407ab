/** The active policy, and trying others. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { approverDemand, decisionLimits } from "./approvals.ts";
import { actor, iso, kind, moment, name, verdict } from "./common.ts";

const readers = ["auditor", "approver"] as const;
const mask = z.looseObject({ kind: z.string() }).nullable();

export const policyFile = z
  .object({ name: z.string().min(1).max(255), text: z.string().max(524_288) })
  .meta({ id: "PolicyFile" });
const files = z.array(policyFile).min(1).max(100);

export const policyProblem = z
  .object({
    file: z.string(),
    line: z.number(),
    column: z.number(),
    key: z.string(),
    what: z.string(),
    expected: z.string(),
  })
  .meta({ id: "PolicyProblem" });

export const policyRule = z
  .object({
    name: z.string(),
    // biome-ignore lint/suspicious/noThenProperty: the word of policy files
    then: z.enum(["allow", "deny", "approve", "limit", "unmask"]),
    when: z.string(),
    description: z.string().nullable(),
    observe: z.boolean(),
    file: z.string(),
    line: z.number(),
    facts: z.array(z.string()),
  })
  .meta({ id: "PolicyRule" });

export const policyLabel = z
  .object({
    label: z.string(),
    description: z.string().nullable(),
    columns: z.array(z.string()),
    mask,
    access: z.enum(["masked", "none"]),
    use: z.enum(["output", "equality", "derived", "any"]),
    observe: z.boolean(),
  })
  .meta({ id: "PolicyLabel" });

export const getPolicy = {
  method: "GET",
  path: "/api/policy",
  summary: "The active policy",
  allow: readers,
  answer: z
    .object({
      digest: z
        .string()
        .nullable()
        .meta({ description: "null: no policy; every statement passes, recorded." }),
      files: z
        .array(policyFile)
        .meta({ description: "Empty when they changed on disk since they were loaded." }),
      rules: z.array(policyRule),
      labels: z.array(policyLabel),
      default: z.enum(["allow", "deny"]),
      observe: z.enum(["none", "some", "all"]),
      databases: z
        .array(z.string())
        .meta({ description: "All that the gateway stands before, to ask about." }),
      groups: z
        .array(z.string())
        .meta({ description: "Those that have a login at one of them: to ask as their members." }),
    })
    .meta({ id: "Policy" }),
} as const satisfies RouteSpec;

export const protectedColumn = z
  .object({
    database: z.string(),
    column: z.string().meta({ description: "schema.relation.column" }),
    labels: z.array(
      z.object({
        label: z.string(),
        access: z.enum(["masked", "none"]),
        mask,
        use: z.string().nullable(),
        observe: z.boolean(),
      }),
    ),
    why: z.array(z.string()),
  })
  .meta({ id: "ProtectedColumn" });

export const getColumns = {
  method: "GET",
  path: "/api/policy/columns",
  summary: "Which columns the policy protects in a database, and why",
  allow: readers,
  query: z.object({ database: name }),
  answer: z.object({ items: z.array(protectedColumn), next: z.null() }).meta({ id: "ProtectedColumnList" }),
} as const satisfies RouteSpec;

export const askedAs = z
  .strictObject({
    subject: name.default("somebody"),
    issuer: name.optional(),
    provider: name.optional(),
    email: z.string().max(1024).nullish(),
    kind,
    groups: z.array(name).max(1000).default([]),
    actor: z.array(actor).max(8).default([]),
    claims: z.record(z.string().max(256), z.unknown()).default({}),
  })
  .meta({ description: "A principal to ask as; what is left out is the least." });

export const ruleVerdict = z
  .object({
    rule: z.string(),
    // biome-ignore lint/suspicious/noThenProperty: the word of policy files
    then: z.enum(["allow", "deny", "approve", "limit", "unmask"]),
    outcome: z.enum(["matched", "not matched", "error", "not evaluated"]),
    observe: z.boolean(),
    detail: z.string().nullable(),
  })
  .meta({ id: "RuleVerdict" });

export const explainedOutput = z
  .object({
    name: z.string(),
    sources: z.array(z.string()),
    plain: z.boolean().meta({ description: "One of its sources as it stands, not computed." }),
    mask: z.string().nullable(),
    label: z.string().nullable(),
    why: z.string().nullable(),
  })
  .meta({ id: "ExplainedOutput" });

export const explanation = z
  .object({
    sql: z.string(),
    decision: z.object({
      verdict,
      rule: z.string().nullable(),
      code: z.string().nullable(),
      message: z.string().nullable(),
      hint: z.string().nullable(),
      object: z.string().nullable(),
      limits: decisionLimits,
      approvers: z.array(approverDemand),
      unmask: z.array(z.string()),
      would: z
        .object({ verdict: z.enum(["deny", "approve"]), rule: z.string().nullable(), code: z.string() })
        .nullable()
        .meta({ description: "What would be decided were nothing merely observed." }),
    }),
    rules: z.array(ruleVerdict),
    touches: z
      .object({
        effects: z.array(z.string()),
        reads: z.array(z.string()),
        writes: z.array(z.string()),
        columns: z.array(z.string()),
        functions: z.array(z.string()),
        labels: z.array(z.string()),
        labelsInPredicates: z.array(z.string()),
      })
      .nullable()
      .meta({ description: "null: the statement cannot be understood." }),
    masked: z.array(z.string()).nullable(),
    outputs: z.array(explainedOutput).nullable().meta({ description: "null: no rows, or denied." }),
    message: z.string().nullable(),
  })
  .meta({ id: "Explanation" });

export const explainPolicy = {
  method: "POST",
  path: "/api/policy/explain",
  summary: "What would be decided for a statement, and why; runs nothing",
  allow: readers,
  maxBody: 1024 * 1024,
  body: z.object({
    as: askedAs.nullish().meta({ description: "null: the caller." }),
    database: name,
    sql: z.string().max(1_000_000),
    params: z.array(z.unknown()).max(1000).optional(),
  }),
  answer: explanation.extend({ statements: z.array(explanation) }).meta({ id: "Explained" }),
} as const satisfies RouteSpec;

export const replayPolicy = {
  method: "POST",
  path: "/api/policy/replay",
  summary: "Recorded statements run through another policy: what would be decided otherwise",
  allow: readers,
  maxBody: 1024 * 1024,
  body: z.object({ files, since: moment.optional(), until: moment.optional(), database: name.optional() }),
  answer: z
    .object({
      policy: z.string().nullable().meta({ description: "Its digest; null: it has problems." }),
      problems: z.array(policyProblem),
      total: z.number().meta({ description: "Statements of the period." }),
      compared: z.number().meta({ description: "Those for which the record holds enough to decide anew." }),
      undetermined: z.number(),
      truncated: z.boolean().meta({ description: "The period holds more statements than are looked at." }),
      changes: z.array(
        z.object({
          kind: z.enum(["newly denied", "newly allowed", "newly held", "newly masked", "newly shown"]),
          count: z.number(),
          examples: z.array(
            z.object({
              request: z.string(),
              time: iso,
              subject: z.string(),
              kind,
              database: z.string(),
              sql: z.string().nullable(),
              was: z.object({ verdict, rule: z.string().nullable(), code: z.string().nullable() }),
              now: z.object({ verdict, rule: z.string().nullable(), code: z.string().nullable() }).nullable(),
              columns: z.array(z.string()),
              why: z.string().nullable(),
              count: z.number(),
            }),
          ),
        }),
      ),
    })
    .meta({ id: "Replay" }),
} as const satisfies RouteSpec;

export const checkPolicy = {
  method: "POST",
  path: "/api/policy/check",
  summary: "Whether policy files are valid, with every problem's place",
  allow: readers,
  maxBody: 1024 * 1024,
  body: z.object({ files }),
  answer: z
    .object({ ok: z.boolean(), digest: z.string().nullable(), problems: z.array(policyProblem) })
    .meta({ id: "PolicyCheck" }),
} as const satisfies RouteSpec;
