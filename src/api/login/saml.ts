/** A login by SAML ends as any other: with a console session for a person. */
import type { Hono } from "hono";
import type { Principal } from "../../facts/principal.ts";
import type { SamlProvider } from "../../identity/index.ts";
import type { Protection } from "../../identity/protection.ts";
import type { ApiEnv } from "../env.ts";
import type { RestDeps } from "../rest.ts";
import { samlRoutes } from "../saml.ts";
import { completeLogin } from "./complete.ts";
import { LoginError } from "./oidc.ts";
import { failurePage } from "./page.ts";
import { localPath } from "./routes.ts";

export function samlLogin(
  deps: RestDeps,
  saml: { providers(): readonly SamlProvider[] },
  protection: Protection,
): (app: Hono<ApiEnv>) => void {
  return samlRoutes<ApiEnv>({
    providers: () => saml.providers(),
    protection,
    store: deps.store,
    secure: () => deps.publicUrl().startsWith("https:"),
    ip: (context) => context.get("ip"),
    onFailure: ({ code, cause }, context) => deps.loginFailed(context, code, cause),
    sessionOf: (context) => deps.consoleSessions.nameOf(context.req.header("cookie")),
    async onLogin(principal, { returnTo, before }, context) {
      const person = { principal, authTime: authTime(principal), sid: sid(principal) };
      try {
        const path = localPath(returnTo ?? undefined, deps.publicUrl());
        return await completeLogin(deps, context, person, path, before);
      } catch (error) {
        if (!(error instanceof LoginError)) throw error;
        deps.loginFailed(context, error.code, error.cause);
        return failurePage(
          error.code,
          "The console is for people: agents and services get no session here.",
          403,
        );
      }
    },
  });
}

function authTime({ claims }: Principal): number | null {
  return typeof claims.auth_time === "number" ? claims.auth_time : null;
}

function sid({ claims }: Principal): string | null {
  return typeof claims.sid === "string" ? claims.sid : null;
}
