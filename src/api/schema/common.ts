/** What many answers are made of. Every schema with an id is a component of the OpenAPI document and a type of the console. */
import { z } from "zod";

export const iso = z.string().meta({ description: "ISO 8601, UTC." });

export const errorBody = z
  .object({
    error: z.object({
      code: z.string().meta({ description: "Stable; see docs/api.md." }),
      message: z.string(),
      hint: z.string().optional(),
      login: z.string().optional().meta({ description: "Where a person can do what is missing." }),
      reason: z.string().optional(),
      issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    }),
  })
  .meta({ id: "ErrorBody" });

export const kind = z.enum(["human", "agent", "service"]).meta({ id: "PrincipalKind" });
export const via = z.enum(["wire", "mcp", "api"]).meta({ id: "Via" });

export const actor = z
  .object({ subject: z.string(), issuer: z.string().nullable() })
  .meta({ id: "Actor", description: "Who acts on the subject's behalf." });

export const principal = z
  .object({
    subject: z.string(),
    issuer: z.string(),
    provider: z.string(),
    email: z.string().nullable(),
    kind,
    groups: z.array(z.string()),
    actor: z.array(actor),
  })
  .meta({ id: "Principal", description: "Who it is, as a verified token says." });

export const claimed = z
  .object({
    agent: z.string().optional(),
    model: z.string().optional(),
    run: z.string().optional(),
    intent: z.string().optional(),
    traceparent: z.string().optional(),
  })
  .meta({ id: "Claimed", description: "What the caller says of itself. Never verified." });

export const verdict = z.enum(["allow", "deny", "approve"]).meta({ id: "Verdict" });

/** A list of one page. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().meta({ description: "`after` of the next page; null: this is the last." }),
  });
}

export const nothing = z.object({});

/** Texts of a query, with bounds. */
export const name = z.string().min(1).max(1024);
export const limit = z.coerce.number().int().min(1).max(500);
export const moment = z
  .string()
  .max(64)
  .meta({ description: "ISO 8601, or how long ago: 30m, 12h, 7d." })
  .transform((text, context) => {
    const ago = /^(\d{1,6})([smhdw])$/.exec(text);
    const unit: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
    const time = ago === null ? Date.parse(text) : Date.now() - Number(ago[1]) * (unit[ago[2] ?? ""] ?? 0);
    // Date.parse alone would also take "1" and other words.
    if (Number.isNaN(time) || (ago === null && !/^\d{4}-\d{2}-\d{2}/.test(text))) {
      context.addIssue({ code: "custom", message: "a time: ISO 8601, or 30m, 12h, 7d ago" });
      return z.NEVER;
    }
    return time;
  });
