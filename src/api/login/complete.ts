/** The end of every login, whatever the provider: a session for a person, on the record. */
import type { Context } from "hono";
import type { ApiEnv } from "../env.ts";
import type { RestDeps } from "../rest.ts";
import { actingAs } from "../routes/me.ts";
import { type LoggedIn, LoginError } from "./oidc.ts";

/**
 * Opens a console session and sends the browser on to `returnTo`, a path of this site. A session that the browser had is over, and with it its
 * live views. `before`: what the store called that one when the login began: a browser that comes back from the provider's site does not show
 * its cookie (SameSite=Strict, RFC 6265bis section 5.2). Rejects with LoginError LOGIN_AGENT for anyone but a person, with StoreUnavailable, and with AuditUnavailable.
 */
export async function completeLogin(
  deps: Pick<RestDeps, "consoleSessions" | "audit" | "judgeLive">,
  context: Context<ApiEnv>,
  { principal, authTime, sid }: LoggedIn,
  returnTo: string,
  before: string | null,
): Promise<Response> {
  if (principal.kind !== "human")
    throw new LoginError("LOGIN_AGENT", `a principal of kind ${principal.kind} gets no console session`);
  deps.audit.event("admin.action", {
    action: "console.login",
    principal: actingAs({ principal }),
    client: { ip: context.get("ip"), via: "api" },
    authenticated: authTime === null ? null : new Date(authTime * 1000).toISOString(),
  });
  await deps.consoleSessions.close(context.req.header("cookie"));
  if (before !== null) await deps.consoleSessions.end(before);
  deps.judgeLive();
  const cookie = await deps.consoleSessions.open({ principal, authTime, sid });
  return new Response(null, { status: 302, headers: { location: returnTo, "set-cookie": cookie } });
}
