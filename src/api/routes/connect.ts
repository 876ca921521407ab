/** How to connect: ready-made lines, and a fresh token to put into them. */
import { chooseLogin } from "../../gateway/logins.ts";
import { ApiError } from "../failure.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { getAccess, getConnect, postConnectToken } from "../schema/connect.ts";
import { iso } from "../told.ts";
import { type Endpoint, mcpLines, psqlLine, urlLines } from "./connect-lines.ts";
import { actingAs, endpointOf } from "./me.ts";

export function connectRoutes(deps: RestDeps): Route[] {
  return [
    route(getConnect, ({ caller }) => {
      const endpoint = endpointOf(deps);
      if (endpoint === null) return { items: [], next: null };
      const reachable = deps.databases.filter((one) => chooseLogin(one, caller.principal) !== null);
      const items = reachable.map(({ name }) => {
        const to: Endpoint = { ...endpoint, database: name, user: caller.principal.subject, tls: deps.tls };
        return {
          name,
          psql: psqlLine(to),
          urls: urlLines(to),
          mcp: deps.mcp === true ? mcpLines(deps.publicUrl()) : {},
          expires: null,
        };
      });
      return { items, next: null };
    }),
    route(postConnectToken, async ({ caller, body, context }) => {
      const { issueToken } = deps;
      if (issueToken === undefined)
        throw new ApiError("NOT_IMPLEMENTED", "this gateway issues no tokens", {
          hint: "use a token of your identity provider",
        });
      const database = body.database ?? null;
      const known = deps.databases.find(({ name }) => name === database);
      if (database !== null && (known === undefined || chooseLogin(known, caller.principal) === null))
        throw new ApiError("NOT_FOUND", "there is no such database for you");
      const { token, expires } = await issueToken(caller, { database, seconds: body.seconds ?? null });
      deps.audit.event("admin.action", {
        action: "connect.token",
        principal: actingAs(caller),
        database,
        expires: iso(expires * 1000),
        client: { ip: context.get("ip"), via: "api" },
      });
      return { token, expires: iso(expires * 1000) };
    }),
    route(getAccess, async ({ caller, query }) => {
      if (deps.describeAccess === undefined)
        throw new ApiError("NOT_IMPLEMENTED", "this gateway does not describe access");
      return { ...(await deps.describeAccess(caller.principal, query.database ?? null)) };
    }),
  ];
}
