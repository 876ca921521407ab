/** How to connect, and what one may see. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
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

export const getAccess = {
  method: "GET",
  path: "/api/access",
  summary: "What the caller may see and do: databases, tables, columns, limits",
  allow: ["user", "agent"],
  query: z.object({ database: name.optional() }),
  answer: z.record(z.string(), z.unknown()).meta({ id: "Access" }),
} as const satisfies RouteSpec;
