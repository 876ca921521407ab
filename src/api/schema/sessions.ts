/** Open sessions. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { claimed, iso, limit, listOf, name, principal, via } from "./common.ts";

export const counters = z
  .object({
    statements: z.number(),
    denied: z.number(),
    errors: z.number(),
    bytesIn: z.number(),
    bytesOut: z.number(),
  })
  .meta({ id: "SessionCounters" });

export const session = z
  .object({
    id: z.string(),
    node: z.string().meta({ description: "Other nodes tell of theirs every few seconds." }),
    started: iso,
    lastActive: iso,
    principal,
    claimed,
    client: z.object({
      ip: z.string(),
      application: z.string().nullable(),
      user: z.string().meta({ description: "As the client says; free text." }),
      via,
      tls: z.string().nullable(),
    }),
    database: z.string(),
    login: z.string(),
    state: z.enum(["idle", "active", "in transaction", "waiting for approval"]),
    statement: z
      .object({
        sql: z.string().nullable().meta({ description: "Literals stripped; null: the text was not read." }),
        started: iso,
        verdict: z.enum(["allow", "approve"]),
      })
      .nullable(),
    counters,
    approval: z.string().nullable(),
    expires: iso.nullable().meta({ description: "When its token ends." }),
  })
  .meta({ id: "Session" });
export type Session = z.output<typeof session>;

export const listSessions = {
  method: "GET",
  path: "/api/sessions",
  summary: "Open sessions: all for auditors, else the caller's own",
  allow: ["user", "agent"],
  query: z.object({
    database: name.optional(),
    subject: name.optional(),
    limit: limit.default(200),
    after: name.optional(),
  }),
  answer: listOf(session).meta({ id: "SessionList" }),
} as const satisfies RouteSpec;

export const endSession = {
  method: "DELETE",
  path: "/api/sessions/:id",
  summary: "Ends a session (FATAL 57P01): any for admins, else the caller's own",
  allow: ["user"],
  query: z.object({ reason: z.string().max(500).optional() }),
  answer: null,
} as const satisfies RouteSpec;
