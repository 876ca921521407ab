/** How to connect, and what one may see. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { decisionLimits } from "./approvals.ts";
import { iso, name } from "./common.ts";

export const connectDatabase = z
  .object({
    name: z.string(),
    psql: z.string(),
    urls: z
      .record(z.string(), z.string())
      .meta({ description: "By language: node, python, go, java …; with {token} for the token." }),
    mcp: z.record(z.string(), z.string()).meta({ description: "By client: chatgpt, claude, cursor, codex." }),
    expires: iso.nullable(),
  })
  .meta({ id: "ConnectDatabase" });

export const getConnect = {
  method: "GET",
  path: "/api/connect",
  summary: "Ready-made lines for every database that the caller may connect to",
  allow: ["user"],
  answer: z.object({ items: z.array(connectDatabase), next: z.null() }).meta({ id: "ConnectList" }),
} as const satisfies RouteSpec;

export const postConnectToken = {
  method: "POST",
  path: "/api/connect/token",
  summary: "A fresh short-lived token of the caller's own",
  allow: ["user"],
  body: z.object({
    database: name.nullish(),
    seconds: z.number().int().min(60).max(86_400).nullish(),
  }),
  answer: z.object({ token: z.string(), expires: iso }).meta({ id: "ConnectToken" }),
} as const satisfies RouteSpec;

const may = z.enum(["yes", "approval", "no", "depends"]).meta({ id: "May" });

export const accessTable = z
  .object({
    name: z.string(),
    kind: z.enum(["table", "view", "materialized view", "foreign table"]),
    columns: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        notNull: z.boolean(),
        mask: z.string().nullable(),
        use: z.enum(["output", "equality", "derived"]).nullable(),
      }),
    ),
    partial: z.boolean().meta({ description: "Some columns may not be read, and are not listed." }),
    read: may,
    insert: may,
    update: may,
    delete: may,
    limits: decisionLimits.nullable(),
    approvers: z.array(z.object({ groups: z.array(z.string()), count: z.number() })),
  })
  .meta({ id: "AccessTable" });

export const databaseAccess = z
  .object({
    database: z.string(),
    unavailable: z.boolean().meta({ description: "It could not be asked now." }),
    open: z.boolean().meta({ description: "No policy is loaded: every statement passes." }),
    tables: z.array(accessTable),
    moreTables: z.number().meta({ description: "How many there are beyond those that are listed." }),
    budgets: z.array(
      z.object({
        rule: z.string(),
        unit: z.enum(["statements", "rows"]),
        amount: z.number(),
        perSeconds: z.number(),
        left: z.number(),
      }),
    ),
  })
  .meta({ id: "DatabaseAccess" });

export const getAccess = {
  method: "GET",
  path: "/api/access",
  summary: "What the caller may see and do: databases, tables, columns, limits",
  allow: ["user", "agent"],
  query: z.object({ database: name.optional() }),
  answer: z.object({ items: z.array(databaseAccess), next: z.null() }).meta({ id: "Access" }),
} as const satisfies RouteSpec;
