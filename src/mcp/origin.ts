/** Which web pages may call (MCP, "Streamable HTTP", security: DNS rebinding). Programs send no Origin. */

/** The pages that may. */
export interface Pages {
  readonly origins: readonly string[];
  publicUrl(): string | null;
}

/** null: the request may pass. */
export function refusedOrigin(request: Request, { origins, publicUrl }: Pages): Response | null {
  const origin = request.headers.get("origin");
  if (origin === null) return null;
  const base = publicUrl();
  const own = base === null ? null : new URL(base).origin;
  if (origin === own || origins.includes(origin)) return null;
  return Response.json(
    { error: { code: "ORIGIN_REFUSED", message: "pages of this origin may not call; see mcp.origins" } },
    { status: 403 },
  );
}

/** The answer to a browser's question before the request itself (Fetch standard, "CORS-preflight fetch"). */
export function preflight(request: Request): Response {
  const headers = {
    "access-control-allow-methods": "POST, GET, DELETE",
    "access-control-allow-headers":
      "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, last-event-id, traceparent",
    "access-control-max-age": "600",
  };
  return allowOrigin(request, new Response(null, { status: 204, headers }));
}

/** Lets the page that was allowed read the answer. */
export function allowOrigin(request: Request, response: Response): Response {
  const origin = request.headers.get("origin");
  if (origin === null) return response;
  const headers = new Headers(response.headers);
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", "www-authenticate, mcp-session-id, mcp-protocol-version");
  headers.append("vary", "origin");
  return new Response(response.body, { status: response.status, headers });
}

/** The same question about what everybody may read: metadata, which holds nothing of anybody. */
export function openPreflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET",
      "access-control-allow-headers": "mcp-protocol-version",
      "access-control-max-age": "600",
    },
  });
}
