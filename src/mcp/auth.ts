/** Bearer tokens of MCP requests: RFC 6750, and the challenges of MCP's authorization (RFC 9728 section 5.1). */
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Principal } from "../facts/principal.ts";
import { blameless } from "../identity/protection.ts";
import type { Caller, McpDeps } from "./deps.ts";

export type Authenticated =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly why: "missing" | "invalid" | "scope" }
  | { readonly ok: false; readonly why: "wait"; readonly seconds: number };

/** Refusals are answered at multiples of this time only, so that their causes cannot be told apart by the clock. */
const refusalStepMs = 250;
const ownTokens = "pgt_";

/** Who sends a request. A refused token is on the record when this resolves. */
export async function authenticate(
  request: Request,
  connection: Pick<Caller, "ip" | "port" | "tls">,
  deps: McpDeps,
): Promise<Authenticated> {
  // Only in the header: tokens in addresses end up in logs (RFC 6750 section 2.3; OAuth 2.1 section 5.1).
  const [, token] = /^Bearer +([\w.~+/=-]+) *$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (token === undefined) return { ok: false, why: "missing" };
  const gate = deps.protection?.admit(connection.ip);
  if (gate?.open === false) {
    // On the record once for each wait: a flood of attempts must not become a flood of records.
    if (gate.tell)
      note("LOCKED_OUT", `too many failed logins from this address; refused for ${gate.retryAfterSeconds} s`);
    return { ok: false, why: "wait", seconds: gate.retryAfterSeconds };
  }
  const started = performance.now();
  try {
    const principal = await deps.identity.authenticate(token, {
      ip: connection.ip,
      via: "mcp",
      audience: "mcp",
    });
    // Postern's own tokens are bound to this endpoint, or to nothing, where they are looked up; their claims are another token's.
    if (token.startsWith(ownTokens)) return { ok: true, principal };
    const fault = audienceFault(principal, deps);
    if (fault === null)
      return scoped(principal, deps) ? { ok: true, principal } : { ok: false, why: "scope" };
    note("TOKEN_AUDIENCE", fault);
  } catch (error) {
    note(...causeOf(error));
  }
  const spent = performance.now() - started;
  await pause(refusalStepMs * (Math.floor(spent / refusalStepMs) + 1) - spent);
  return { ok: false, why: "invalid" };

  function note(code: string, cause: string): void {
    if (!blameless.has(code)) deps.protection?.failed(connection.ip, null);
    deps.gateway.authFailed({
      code,
      cause,
      ...connection,
      user: null,
      database: null,
      application: null,
      tokenSha256: createHash("sha256")
        .update(token ?? "")
        .digest("hex"),
      via: "mcp",
    });
  }
}

/** Errors of the identity room are made for the record; any other's text could hold anything. */
function causeOf(error: unknown): [code: string, cause: string] {
  if (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    error.name === "IdentityError"
  )
    return [error.code, typeof error.cause === "string" ? error.cause : "the token was refused"];
  return [
    "INTERNAL",
    `the check of the token failed (${error instanceof Error ? error.name : typeof error})`,
  ];
}

/** Why a token is not meant for this endpoint; null: it is. */
function audienceFault({ claims }: Principal, { settings }: McpDeps): string | null {
  if (settings.audience.length === 0) return null;
  const { aud } = claims;
  const named = typeof aud === "string" ? [aud] : Array.isArray(aud) ? aud : [];
  return settings.audience.some((one) => named.includes(one))
    ? null
    : "the token is not for the MCP endpoint";
}

function scoped({ claims }: Principal, { settings }: McpDeps): boolean {
  const given = [claims.scope, claims.scp].flatMap((claim) =>
    typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [],
  );
  return settings.scopes.every((scope) => given.includes(scope));
}

/** 401 or 403 with WWW-Authenticate (RFC 6750 section 3). `metadataPath`: where this resource describes itself. */
export function challenge(
  refused: Extract<Authenticated, { ok: false }>,
  { settings, publicUrl }: McpDeps,
  metadataPath: string,
): Response {
  if (refused.why === "wait")
    return Response.json(
      { error: { code: "TOO_MANY_REQUESTS", message: "too many failed logins from this address" } },
      { status: 429, headers: { "retry-after": String(refused.seconds) } },
    );
  const base = publicUrl();
  const parts = [
    ...(refused.why === "missing"
      ? []
      : [`error="${refused.why === "scope" ? "insufficient_scope" : "invalid_token"}"`]),
    ...(settings.scopes.length === 0 ? [] : [`scope="${settings.scopes.join(" ")}"`]),
    ...(base === null ? [] : [`resource_metadata="${base}${metadataPath}"`]),
  ];
  const error =
    refused.why === "scope"
      ? { code: "INSUFFICIENT_SCOPE", message: "the token lacks a scope that this endpoint asks for" }
      : {
          code: "UNAUTHENTICATED",
          message:
            refused.why === "missing"
              ? "a bearer token is needed"
              : "the token was not accepted; get a fresh one; details are in the gateway's audit log",
        };
  return Response.json(
    { error },
    {
      status: refused.why === "scope" ? 403 : 401,
      headers: { "www-authenticate": `Bearer ${parts.join(", ")}`.trim() },
    },
  );
}
