/** Renewing sessions, revoking access, and the caller's Postern tokens. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { actor, iso, limit, listOf, name } from "./common.ts";

export const renewSession = {
  method: "POST",
  path: "/api/sessions/:id/renew",
  summary: "Puts off the end of a session with a fresh token of the same principal",
  allow: ["user", "agent"],
  body: z.strictObject({ token: z.string().min(1).max(65_535) }),
  maxBody: 72 * 1024,
  answer: z.object({ id: z.string(), expires: iso }).meta({ id: "SessionRenewed" }),
} as const satisfies RouteSpec;

const kind = z.enum(["subject", "sub", "agent", "token", "sid", "everything"]);

export const revocation = z
  .object({
    id: z.string(),
    kind,
    value: z.string().meta({ description: "Subject, agent, jti or SHA-256; empty for everything." }),
    issuer: z.string().nullable().meta({ description: "null: of any issuer." }),
    mode: z
      .enum(["block", "before"])
      .meta({ description: "`block`: until it is lifted; `before`: tokens that were issued until then." }),
    subject: z.string().nullable(),
    agent: z.string().nullable(),
    jti: z.string().nullable().meta({ description: "A token's jti or SHA-256." }),
    everything: z.boolean(),
    at: iso,
    time: iso.meta({ description: "As `at`." }),
    expires: iso.nullable(),
    reason: z.string(),
    by: z.string().meta({ description: "Subject of who revoked it; empty: the gateway itself." }),
  })
  .meta({ id: "Revocation" });

export const listRevocations = {
  method: "GET",
  path: "/api/revocations",
  summary: "What is revoked",
  allow: ["auditor"],
  query: z.object({ limit: limit.default(200), after: name.optional() }),
  answer: listOf(revocation).meta({ id: "RevocationList" }),
} as const satisfies RouteSpec;

export const addRevocation = {
  method: "POST",
  path: "/api/revocations",
  summary: "Ends sessions and refuses tokens on all nodes at once: the kill switch",
  allow: ["admin"],
  body: z
    .strictObject({
      subject: name.optional(),
      agent: name.optional(),
      jti: name.optional(),
      tokenSha256: z
        .string()
        .regex(/^[0-9a-fA-F]{64}$/)
        .transform((hex) => hex.toLowerCase())
        .optional(),
      everything: z.literal(true).optional(),
      issuer: name.optional(),
      mode: z.enum(["block", "before"]).optional(),
      seconds: z
        .int()
        .min(1)
        .max(31_536_000)
        .optional()
        .meta({ description: "Default: until it is lifted." }),
      reason: z.string().min(1).max(1000),
    })
    .refine(
      ({ subject, agent, jti, tokenSha256, everything }) =>
        [subject, agent, jti, tokenSha256, everything].filter((one) => one !== undefined).length === 1,
      { error: "one of subject, agent, jti, tokenSha256 and everything" },
    ),
  answer: revocation,
} as const satisfies RouteSpec;

export const liftRevocation = {
  method: "DELETE",
  path: "/api/revocations/:id",
  summary: "Lifts a revocation",
  allow: ["admin"],
  answer: null,
} as const satisfies RouteSpec;

export const posternToken = z
  .object({
    id: z.string(),
    audience: z
      .array(z.enum(["wire", "api", "mcp"]))
      .nullable()
      .meta({ description: "null: all." }),
    database: z.string().nullable(),
    agent: z.string().nullable(),
    certificate: z.string().nullable(),
    issued: iso,
    expires: iso,
    actor: z.array(actor),
  })
  .meta({ id: "PosternToken" });

export const listTokens = {
  method: "GET",
  path: "/api/tokens",
  summary: "The caller's own Postern tokens that still live",
  allow: ["user", "agent"],
  answer: listOf(posternToken).meta({ id: "PosternTokenList" }),
} as const satisfies RouteSpec;

export const endToken = {
  method: "DELETE",
  path: "/api/tokens/:id",
  summary: "Ends one of the caller's Postern tokens, with the sessions it opened; anybody's for admins",
  allow: ["user", "agent"],
  answer: null,
} as const satisfies RouteSpec;
