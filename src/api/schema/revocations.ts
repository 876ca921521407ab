/** The kill switch. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { iso, limit, listOf, name } from "./common.ts";

export const revocation = z
  .object({
    id: z.string(),
    kind: z.string(),
    subject: z.string().nullable(),
    issuer: z.string().nullable(),
    agent: z.string().nullable(),
    jti: z.string().nullable().meta({ description: "A token's jti or SHA-256." }),
    everything: z.boolean(),
    reason: z.string(),
    time: iso,
    expires: iso.nullable(),
    by: z.string(),
  })
  .meta({ id: "Revocation" });

export const addRevocation = {
  method: "POST",
  path: "/api/revocations",
  summary: "Shuts a subject, an agent, a token or everybody out, at once and on all nodes",
  allow: ["admin"],
  body: z
    .strictObject({
      subject: name.optional(),
      issuer: name.optional(),
      agent: name.optional(),
      jti: name.optional(),
      tokenSha256: z
        .string()
        .regex(/^[0-9a-fA-F]{64}$/)
        .optional(),
      everything: z.literal(true).optional(),
      reason: z.string().trim().min(1).max(500),
    })
    .refine(
      ({ subject, agent, jti, tokenSha256, everything }) =>
        [subject, agent, jti, tokenSha256, everything].filter((one) => one !== undefined).length === 1,
      { error: "exactly one of subject, agent, jti, tokenSha256 and everything" },
    ),
  answer: revocation,
} as const satisfies RouteSpec;

export const listRevocations = {
  method: "GET",
  path: "/api/revocations",
  summary: "Who is shut out",
  allow: ["auditor"],
  query: z.object({ limit: limit.default(200), after: name.optional() }),
  answer: listOf(revocation).meta({ id: "RevocationList" }),
} as const satisfies RouteSpec;

export const liftRevocation = {
  method: "DELETE",
  path: "/api/revocations/:id",
  summary: "Lets them in again",
  allow: ["admin"],
  answer: null,
} as const satisfies RouteSpec;
