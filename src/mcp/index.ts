/**
 * MCP over HTTP: `POST /mcp` for the stateless revision 2026-07-28 and for clients of 2025 alike, behind bearer tokens (MCP,
 * "Authorization"; RFC 6750), and the metadata that tells clients where tokens come from (RFC 9728).
 */
import { getConnInfo } from "@hono/node-server/conninfo";
import { createMcpHandler } from "@modelcontextprotocol/server";
import type { Context, Env, Hono } from "hono";
import { plainAddress } from "../gateway/client/address.ts";
import { authenticate, challenge } from "./auth.ts";
import type { Caller, McpDeps } from "./deps.ts";
import { allowOrigin, openPreflight, preflight, refusedOrigin } from "./origin.ts";
import { createServer } from "./server.ts";
import { listenFault } from "./tasks/listen.ts";

export type { Activity, McpDeps } from "./deps.ts";
export { facadeRoutes } from "./facade/index.ts";
export { defaultMcpSettings, type McpSettings } from "./settings.ts";

/** A JSON-RPC response. */
interface Given {
  readonly jsonrpc: "2.0";
  readonly id: string | number;
  readonly result: Readonly<Record<string, unknown>>;
}

const endpoint = "/mcp";
const wellKnown = "/.well-known/oauth-protected-resource";
/** As the http listener's own limit. */
const maxBodyBytes = 1024 * 1024;

/** Puts the routes on the http listener's application. */
export function mcpRoutes<E extends Env>(deps: McpDeps): (app: Hono<E>) => void {
  const callers = new WeakMap<object, Caller>();
  const handler = createMcpHandler(
    ({ authInfo }) => {
      const caller = authInfo?.extra === undefined ? undefined : callers.get(authInfo.extra);
      if (caller === undefined) throw new Error("a request without its caller");
      return createServer(deps, caller);
    },
    {
      maxRequestBodySize: maxBodyBytes,
      onerror: (error) => deps.logger.debug({ err: error }, "mcp request"),
    },
  );

  /** What this resource is and who issues tokens for it (RFC 9728 section 3.2). */
  function metadata(): Response {
    const base = deps.publicUrl();
    if (base === null) return failure(404, "NOT_FOUND", "there is nothing at this address");
    const { authorizationServers, scopes, facade } = deps.settings;
    return Response.json(
      {
        resource: base + endpoint,
        authorization_servers: facade === null ? authorizationServers : [base],
        bearer_methods_supported: ["header"],
        resource_name: "Postern",
        ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
      },
      { headers: { "access-control-allow-origin": "*" } },
    );
  }

  async function serve(context: Context<E>): Promise<Response> {
    const request = context.req.raw;
    const refused = refusedOrigin(request, {
      origins: deps.settings.origins,
      publicUrl: deps.publicUrl,
    });
    if (refused !== null) return refused;
    if (request.method === "OPTIONS") return preflight(request);
    const answer = await answerTo(request, context);
    return allowOrigin(request, answer);
  }

  async function answerTo(request: Request, context: Context<E>): Promise<Response> {
    const connection = connectionOf(context);
    const authenticated = await authenticate(request, connection, deps);
    if (!authenticated.ok) return challenge(authenticated, deps, wellKnown + endpoint);
    const fault = deps.tasks === null ? null : await listenFault(request);
    if (fault !== null) return fault;
    const { principal } = authenticated;
    const extra = {};
    const given: Given[] = [];
    callers.set(extra, {
      principal,
      ...connection,
      userAgent: request.headers.get("user-agent"),
      traceparent: request.headers.get("traceparent"),
      answerWith: (id, result) => given.push({ jsonrpc: "2.0", id, result }),
    });
    const answer = await handler.fetch(request, {
      authInfo: {
        token: "",
        clientId: principal.subject,
        scopes: [],
        expiresAt: principal.token.expires,
        extra,
      },
    });
    const [instead] = given;
    if (instead === undefined) return answer;
    await answer.body?.cancel();
    return Response.json(instead);
  }

  return (app) => {
    for (const path of [wellKnown, wellKnown + endpoint]) {
      app.get(path, metadata);
      app.options(path, openPreflight);
    }
    app.all(endpoint, serve);
  };
}

/** The connection that a request came over. */
function connectionOf<E extends Env>(context: Context<E>): Pick<Caller, "ip" | "port" | "tls"> {
  const { remote } = getConnInfo(context);
  const bindings: { incoming?: { socket?: { getProtocol?: () => string | null } } } = { ...context.env };
  const protocol = bindings.incoming?.socket?.getProtocol;
  return {
    ip: plainAddress(remote.address ?? ""),
    port: remote.port ?? 0,
    tls: protocol === undefined ? null : protocol.call(bindings.incoming?.socket),
  };
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
