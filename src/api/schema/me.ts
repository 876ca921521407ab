/** Who is asking, and how people log in. */
import { z } from "zod";
import type { RouteSpec } from "../routing.ts";
import { actor, iso, kind, nothing } from "./common.ts";

export const me = z
  .object({
    subject: z.string(),
    issuer: z.string(),
    provider: z.string(),
    email: z.string().nullable(),
    kind,
    groups: z.array(z.string()),
    actor: z.array(actor),
    roles: z.array(z.enum(["admin", "auditor", "approver", "user"])),
    authTime: iso.nullable().meta({ description: "When the person last logged in interactively." }),
    stepUpFresh: z.boolean().meta({ description: "Whether that is recent enough to decide on an approval." }),
    csrf: z
      .string()
      .nullable()
      .meta({ description: "For the header x-postern-csrf; null for bearer tokens." }),
    expires: iso,
    databases: z
      .array(z.object({ name: z.string() }))
      .meta({ description: "Those with a login for the caller." }),
    offers: z
      .array(z.object({ database: z.string(), group: z.string(), maxSeconds: z.number() }))
      .meta({ description: "Groups that the caller may ask for with POST /api/access." }),
    version: z.string(),
    node: z.string(),
    publicUrl: z.string(),
    addresses: z.object({ postgres: z.string().nullable(), http: z.string() }),
    warnings: z.array(z.string()),
  })
  .meta({ id: "Me" });

export const loginProvider = z
  .object({ name: z.string(), type: z.enum(["oidc", "saml"]), url: z.string() })
  .meta({ id: "LoginProvider" });

export const getMe = {
  method: "GET",
  path: "/api/me",
  summary: "Who is asking, and what they may do",
  allow: ["user", "agent"],
  answer: me,
} as const satisfies RouteSpec;

export const getLogin = {
  method: "GET",
  path: "/api/login",
  summary: "Through which providers a person can log in",
  allow: "anyone",
  answer: z.object({ providers: z.array(loginProvider) }).meta({ id: "LoginProviders" }),
} as const satisfies RouteSpec;

export const postLogout = {
  method: "POST",
  path: "/api/logout",
  summary: "Ends the console session",
  allow: ["user"],
  body: nothing,
  answer: null,
} as const satisfies RouteSpec;
