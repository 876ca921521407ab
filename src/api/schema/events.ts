/** What the live stream tells (Server-Sent Events, WHATWG HTML section 9.2). */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { actor, claimed, iso, kind, verdict } from "./common.ts";
import { session } from "./sessions.ts";

export const sessionEvent = z
  .object({ type: z.enum(["start", "end"]), reason: z.string().nullable(), session })
  .meta({ id: "SessionEvent", description: "event: session" });

export const statementEvent = z
  .object({
    time: iso,
    session: z.string(),
    request: z.string(),
    index: z.number().meta({ description: "The statement's place in its message." }),
    principal: z.object({
      subject: z.string(),
      issuer: z.string(),
      kind,
      email: z.string().nullable(),
      actor: z.array(actor),
    }),
    claimed,
    database: z.string(),
    login: z.string(),
    sql: z
      .string()
      .nullable()
      .meta({ description: "Literals stripped; null: sealed, or too long for a record." }),
    kind: z.string().nullable(),
    command: z.string().nullable(),
    verdict,
    rule: z.string().nullable(),
    code: z.string().nullable(),
    reads: z.array(z.string()).nullable(),
    writes: z.array(z.string()).nullable(),
    masked: z.array(z.string()),
    approval: z.string().nullable(),
  })
  .meta({ id: "StatementEvent", description: "event: statement" });

export const outcomeEvent = z
  .object({
    time: iso,
    session: z.string(),
    request: z.string(),
    index: z.number(),
    intent: z.number().nullable().meta({ description: "Log index of the statement." }),
    status: z.enum(["ok", "error", "denied", "cancelled", "cut", "unknown"]),
    sqlstate: z.string().nullable(),
    tag: z.string().nullable(),
    rows: z.number().nullable(),
    bytes: z.number().nullable(),
    rows_affected: z.number().nullable(),
    duration_us: z.number().nullable(),
  })
  .meta({ id: "OutcomeEvent", description: "event: outcome" });

export const logEvent = z
  .object({
    log: z.string(),
    checkpoint: z.object({ size: z.number(), root: z.string(), time: iso }),
    failure: z.string().nullable(),
  })
  .meta({ id: "LogEvent", description: "event: log, at most once a second" });

export const gapEvent = z
  .object({
    why: z.enum(["slow", "busy", "old"]),
    missed: z.number().nullable().meta({ description: "How many records, where that is known." }),
  })
  .meta({
    id: "GapEvent",
    description:
      "event: gap. Something was left out: this reader is too slow (the stream ends), the gateway is too busy, or what Last-Event-ID asks for is too much.",
  });

export const getEvents = {
  method: "GET",
  path: "/api/events",
  summary: "What happens, as it happens: all for auditors, else the caller's own",
  allow: ["user", "agent"],
  query: z.object({
    recent: z.coerce.number().int().min(0).max(200).default(0).meta({
      description: "So many of the last events come first.",
    }),
  }),
  answer: null,
  media: "text/event-stream",
} as const satisfies RouteSpec;
