/** Open sessions: listing and ending them. */
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { isOwn, seesAll } from "../live/hub.ts";
import { page } from "../paging.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { endSession, listSessions } from "../schema/sessions.ts";
import { tellSession } from "../told.ts";
import { actingAs } from "./me.ts";

const idShape = /^[0-9a-f-]{36}$/;

export function sessionRoutes(deps: RestDeps): Route[] {
  const visible = (caller: Caller) =>
    deps.gateway.describe().filter(({ principal }) => seesAll(caller) || isOwn(caller, principal));
  return [
    route(listSessions, ({ caller, query }) => {
      const { database, subject, limit, after } = query;
      const found = visible(caller)
        .filter((one) => database === undefined || one.database === database)
        .filter((one) => subject === undefined || one.principal.subject === subject)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      const { items, next } = page(found, ({ id }) => id, { limit, after, shape: idShape });
      return { items: items.map((one) => tellSession(one, deps.node)), next };
    }),
    route(endSession, async ({ caller, params, query }) => {
      const session = visible(caller).find(({ id }) => id === params.id);
      // Whoever may not see it is not told that it is there.
      if (session === undefined) {
        if (!caller.roles.has("admin") || !idShape.test(params.id ?? ""))
          throw new ApiError("NOT_FOUND", "there is no such session on this node");
        // Perhaps on another node: all are told.
        deps.audit.event("admin.action", {
          action: "session.end",
          principal: actingAs(caller),
          session: params.id,
          reason: query.reason ?? "ended by an administrator",
        });
        await deps.gateway.lifecycle.endAnywhere(
          params.id ?? "",
          query.reason ?? "ended by an administrator",
        );
        return null;
      }
      if (!caller.roles.has("admin") && !isOwn(caller, session.principal))
        throw new ApiError("FORBIDDEN", "only an admin may end the sessions of others");
      const reason = query.reason ?? "ended by an administrator";
      deps.audit.event("admin.action", {
        action: "session.end",
        principal: actingAs(caller),
        session: session.id,
        reason,
      });
      deps.gateway.endSession(session.id, reason);
      return null;
    }),
  ];
}
