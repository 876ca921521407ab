/** `mcp:` → the endpoint's settings. */
import type { z } from "zod";
import type { ProviderSettings } from "../../identity/settings.ts";
import type { FacadeSettings, McpSettings } from "../../mcp/settings.ts";
import { mcp as mcpSchema } from "../schema/mcp.ts";
import { isSafeUrl } from "../units.ts";
import { type Context, isGiven, take } from "./context.ts";

/** null: it is not served. */
export function buildMcp(
  context: Context,
  providers: readonly ProviderSettings[],
  http: boolean,
): McpSettings | null {
  const input = take(context, ["mcp"], mcpSchema);
  if (input === null || !input.enabled) return null;
  if (!http) {
    if (isGiven(context, ["mcp"]))
      context.warning(
        ["mcp"],
        "there is no http listener, so MCP is not served",
        "listen: { http: HOST:PORT }",
      );
    return null;
  }
  if (input.rows > input.max_rows)
    context.problem(["mcp", "rows"], "is more than mcp.max_rows", "at most mcp.max_rows");
  const issuers = providers.flatMap((provider) =>
    provider.type === "oidc" && isSafeUrl(provider.issuer) ? [provider.issuer] : [],
  );
  return {
    rows: input.rows,
    maxRows: input.max_rows,
    resultCharacters: input.result_size,
    timeoutMs: input.timeout * 1000,
    audience: input.audience,
    scopes: input.scopes,
    origins: input.origins,
    authorizationServers: input.authorization_servers.length > 0 ? input.authorization_servers : issuers,
    facade: buildFacade(context, input.facade, providers),
  };
}

/** null: it is off, or nobody could log in (a problem says so). */
function buildFacade(
  context: Context,
  input: z.output<typeof mcpSchema>["facade"],
  providers: readonly ProviderSettings[],
): FacadeSettings | null {
  if (!input.enabled) return null;
  const able = providers.filter((one) => one.type === "saml" || (one.type === "oidc" && one.client !== null));
  const chosen = input.provider === undefined ? able[0] : able.find(({ name }) => name === input.provider);
  if (chosen === undefined) {
    context.problem(
      input.provider === undefined ? ["mcp", "facade"] : ["mcp", "facade", "provider"],
      "nobody can log in there",
      "an oidc provider with a client, or a saml provider",
    );
    return null;
  }
  return {
    provider: chosen.name,
    tokenSeconds: input.token,
    registration: input.registration,
    documents: input.documents,
  };
}
