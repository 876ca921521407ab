/** GET /api/me, /api/login and POST /api/logout. */

import type { Principal } from "../../facts/principal.ts";
import { chooseLogin } from "../../gateway/logins.ts";
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { getLogin, getMe, postLogout } from "../schema/me.ts";
import { iso, tellPrincipal } from "../told.ts";

/** Whether the person showed themselves so recently that they may decide (issue 6). */
export function stepUpFresh(caller: Caller, stepUpSeconds: number, now = Date.now()): boolean {
  return caller.authTime !== null && now / 1000 - caller.authTime <= stepUpSeconds;
}

const roleOrder = ["admin", "auditor", "approver", "user"] as const;

export function meRoutes(deps: RestDeps): Route[] {
  return [
    route(getMe, ({ caller }) => {
      const { principal, roles, authTime, csrf, expires } = caller;
      return {
        ...tellPrincipal(principal),
        roles: roleOrder.filter((role) => roles.has(role)),
        authTime: authTime === null ? null : iso(authTime * 1000),
        stepUpFresh: stepUpFresh(caller, deps.stepUpSeconds),
        csrf,
        expires: iso(expires * 1000),
        databases: deps.databases
          .filter((database) => chooseLogin(database, principal) !== null)
          .map(({ name }) => ({ name })),
        offers: roles.has("user") ? offersOf(deps, principal) : [],
        version: deps.version,
        node: deps.node,
        publicUrl: deps.publicUrl(),
        addresses: { postgres: postgresAddress(deps), http: deps.publicUrl() },
        warnings: roles.has("auditor") ? (deps.warnings?.() ?? []) : [],
      };
    }),
    route(getLogin, () => ({ providers: deps.login.providers().map((one) => ({ ...one })) })),
    route(postLogout, async ({ caller, context }) => {
      if (caller.via !== "cookie")
        throw new ApiError("BAD_REQUEST", "only a console session can be logged out");
      const cookie = await deps.consoleSessions.close(context.req.header("cookie"));
      deps.judgeLive();
      deps.audit.event("admin.action", {
        action: "console.logout",
        principal: actingAs(caller),
      });
      return new Response(null, { status: 204, headers: { "set-cookie": cookie } });
    }),
  ];
}

/** Who did something, as records of `admin.action` show it. */
export function actingAs({ principal }: Pick<Caller, "principal">) {
  const { subject, issuer, kind, groups, provider } = principal;
  return { subject, issuer, kind, groups, provider };
}

function postgresAddress(deps: RestDeps): string | null {
  const found = endpointOf(deps);
  if (found === null) return null;
  return found.host.includes(":") ? `[${found.host}]:${found.port}` : `${found.host}:${found.port}`;
}

/** Where clients connect: the first address that is no socket file; one that stands for all of this machine's is told by its public name. */
export function endpointOf(deps: RestDeps): { readonly host: string; readonly port: number } | null {
  const found = deps.gateway.addresses.find((address) => "port" in address);
  if (found === undefined || !("port" in found)) return null;
  const any = found.host === "0.0.0.0" || found.host === "::";
  const host = any ? new URL(deps.publicUrl()).hostname.replace(/^\[|\]$/g, "") : found.host;
  return { host, port: found.port };
}

/** Every group with every database it is offered on. */
function offersOf({ approvals, databases }: RestDeps, principal: Principal) {
  const found = new Map<string, { database: string; group: string; maxSeconds: number }>();
  for (const { group, databases: on, maxSeconds } of approvals?.offered(principal) ?? [])
    for (const { name } of databases) {
      if (!on.includes("*") && !on.includes(name)) continue;
      const key = JSON.stringify([name, group]);
      // As for a request: the first offer that names it counts.
      if (!found.has(key)) found.set(key, { database: name, group, maxSeconds });
    }
  return [...found.values()];
}
