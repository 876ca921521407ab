/** How to connect: ready-made lines, and a fresh token to put into them. */
import type { z } from "zod";
import type { DatabaseAccess } from "../../gateway/index.ts";
import { chooseLogin } from "../../gateway/logins.ts";
import { ApiError } from "../failure.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { type databaseAccess, getAccess, getConnect, postConnectToken } from "../schema/connect.ts";
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
    route(getAccess, async ({ caller, query, ip, context }) => {
      const { access } = deps.gateway;
      const { principal } = caller;
      const known = access.databases(principal);
      if (query.database !== undefined && !known.includes(query.database))
        throw new ApiError("NOT_FOUND", "there is no such database for you");
      const asker = {
        principal,
        via: "api" as const,
        application: context.req.header("user-agent")?.slice(0, 200) ?? null,
        ip,
        tls: deps.publicUrl().startsWith("https:"),
        claimed: {},
      };
      const items = [];
      for (const name of query.database === undefined ? known : [query.database])
        items.push(tellAccess(name, await reach(deps, () => access.describe(asker, name))));
      return { items, next: null };
    }),
  ];
}

/** null: it could not be asked. */
async function reach<T>(deps: RestDeps, ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    deps.logger.warn({ err: error }, "a database could not be described");
    return null;
  }
}

/** Tables that one answer holds of a database. */
const maxTables = 500;

function tellAccess(database: string, found: DatabaseAccess | null): z.output<typeof databaseAccess> {
  const tables = found?.tables.slice(0, maxTables) ?? [];
  return {
    database,
    unavailable: found === null,
    open: found?.open ?? false,
    tables: tables.map(
      ({ name, kind, columns, partial, read, insert, update, delete: remove, limits, approvers }) => ({
        name,
        kind,
        columns: columns.map((one) => ({ ...one })),
        partial,
        read,
        insert,
        update,
        delete: remove,
        limits: limits === null ? null : { ...limits },
        approvers: approvers.map(({ groups, count }) => ({ groups: [...groups], count })),
      }),
    ),
    moreTables: (found?.tables.length ?? 0) - tables.length,
    budgets: (found?.budgets ?? []).map(({ rule, unit, amount, perSeconds, left }) => ({
      rule,
      unit,
      amount,
      perSeconds,
      left,
    })),
  };
}
