/** Open sessions: listing and ending them. */
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { isOwn, seesAll } from "../live/hub.ts";
import { page } from "../paging.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { endSession, listSessions, type Session } from "../schema/sessions.ts";
import { tellSession } from "../told.ts";
import { actingAs } from "./me.ts";

const idShape = /^[0-9a-f-]{36}$/;

export function sessionRoutes(deps: RestDeps): Route[] {
  const visible = (caller: Caller, { principal }: Session) => seesAll(caller) || isOwn(caller, principal);
  /** This node's as they are now, other nodes' as they told last. */
  async function open(caller: Caller): Promise<Session[]> {
    const own = deps.gateway.describe().map((one) => tellSession(one, deps.node));
    const here = new Set(own.map(({ id }) => id));
    const others = (await deps.peers?.others()) ?? [];
    return [...own, ...others.filter(({ id }) => !here.has(id))].filter((one) => visible(caller, one));
  }
  return [
    route(listSessions, async ({ caller, query }) => {
      const { database, subject, limit, after } = query;
      const found = (await open(caller))
        .filter((one) => database === undefined || one.database === database)
        .filter((one) => subject === undefined || one.principal.subject === subject)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      return page(found, ({ id }) => id, { limit, after, shape: idShape });
    }),
    route(endSession, async ({ caller, params, query }) => {
      const session = (await open(caller)).find(({ id }) => id === params.id);
      // Whoever may not see it is not told that it is there.
      if (session === undefined) {
        if (!caller.roles.has("admin") || !idShape.test(params.id ?? ""))
          throw new ApiError("NOT_FOUND", "there is no such session");
        // Perhaps on another node that has not told of it: all are told.
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
      // Here at once; else its node hears of it.
      await deps.gateway.lifecycle.endAnywhere(session.id, reason);
      return null;
    }),
  ];
}
