/**
 * OAuth at the gateway: /oauth/token (RFC 8693, RFC 7523, RFC 7522), /oauth/revoke (RFC 7009), /oauth/introspect (RFC 7662), back-channel
 * logout (OpenID Connect), and /.well-known/postern, from which the command line learns how to log in.
 */
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Context, Hono } from "hono";
import type { AuditLog } from "../audit/index.ts";
import type { Principal } from "../facts/principal.ts";
import { type CallContext, type Identity, IdentityError } from "../identity/index.ts";
import { blameless, network, type Protection } from "../identity/protection.ts";
import { tokenPrefix } from "../identity/tokens/format.ts";
import type { PosternTokens } from "../identity/tokens/index.ts";
import type { Revocations } from "../identity/tokens/revoked.ts";
import type { Store } from "../store/types.ts";
import type { ApiEnv } from "./env.ts";
import { accessTokenType, asOauthError, exchange } from "./oauth/exchange.ts";
import { answer, type Form, OauthError, readForm, refusal } from "./oauth/form.ts";
import { handoverRoutes, WrongCode } from "./oauth/handover.ts";
import { describeToken } from "./oauth/introspection.ts";
import type { WellKnown } from "./oauth/wellknown.ts";
import { createRate } from "./rate.ts";

export interface OauthDeps {
  readonly identity: Pick<Identity, "authenticate" | "verifyGrant" | "verifyLogout">;
  readonly tokens: PosternTokens;
  readonly revocations: Revocations;
  readonly store: Store;
  readonly audit: Pick<AuditLog, "event" | "authFailed" | "whenSafe">;
  /** Makes whoever fails too often wait: the same as at the other doors, or each door would give a budget of its own. */
  readonly protection: Protection;
  /** Origin under which the listener is reached, without a slash at the end. */
  readonly publicUrl: () => string;
  readonly mayUse: (principal: Principal, database: string) => boolean;
  /** Whether a principal may look into the tokens of others. */
  readonly isAdmin: (principal: Principal) => boolean;
  readonly wellKnown: () => WellKnown;
}

/** A refusal is answered at a multiple of this, as on the wire: the clock tells nothing of the cause. */
const refusalStepMs = 250;
/** Requests of one address, failed or not: each may cost a signature, or a place in the store. */
const perMinute = 120;

/** Mounts the endpoints. */
export function oauthRoutes(deps: OauthDeps): (app: Hono<ApiEnv>) => void {
  const rate = createRate(perMinute);

  /** Throws OauthError for who has to wait. */
  function admit(context: Context<ApiEnv>, ip: string): void {
    const gate = deps.protection.admit(ip);
    if (!gate.open) {
      const cause = `too many failed logins from this address; refused for ${gate.retryAfterSeconds} s`;
      if (gate.tell) putFailure(deps, context, { code: "LOCKED_OUT", cause }, null);
      throw new OauthError("slow_down", "too many failed logins from this address", gate.retryAfterSeconds);
    }
    if (!rate.take(network(ip))) throw new OauthError("slow_down", "too many requests from this address");
  }

  /** One endpoint: the limits before, refusals in OAuth's form and on the record after. */
  const endpoint =
    (work: (form: Form, context: Context<ApiEnv>) => Promise<Response>) =>
    async (context: Context<ApiEnv>): Promise<Response> => {
      const started = performance.now();
      const ip = context.get("ip") ?? "";
      let token: string | null = null;
      try {
        refuseForeignPage(context, deps.publicUrl());
        admit(context, ip);
        const form = await readForm(context.req.raw);
        token = form.one("subject_token") ?? form.one("assertion") ?? form.one("logout_token");
        return await work(form, context);
      } catch (error) {
        const told = asOauthError(error);
        if (told === null) throw error;
        if (error instanceof IdentityError) putFailure(deps, context, error, token);
        else if (error instanceof WrongCode) deps.protection.failed(ip, null);
        const spent = performance.now() - started;
        await pause(refusalStepMs * (Math.floor(spent / refusalStepMs) + 1) - spent);
        return refusal(told);
      }
    };

  return (app) => {
    handoverRoutes(deps)(app);
    app.get("/.well-known/postern", () => answer({ ...deps.wellKnown() }));
    app.post(
      "/oauth/token",
      endpoint(async (form, context) => {
        const { issued, grant, rotated } = await exchange(
          form,
          { ...deps, refuseRevoked: (principal) => refuseRevoked(principal, deps) },
          contextOf(context),
        );
        try {
          await record(deps, {
            action: "token.issued",
            grant,
            rotated,
            principal: who(issued.principal),
            token: { jti: issued.id, sha256: issued.principal.token.sha256 },
            from: (issued.principal.token.from ?? []).map(({ jti, sha256 }) => ({ jti, sha256 })),
            audience: issued.audience,
            database: issued.database,
            expires: new Date(issued.expires * 1000).toISOString(),
            client: { ip: context.get("ip") ?? null },
          });
        } catch (error) {
          // A token that is not on the record does not exist.
          await deps.tokens.end(issued.id);
          throw error;
        }
        return answer({
          access_token: issued.token,
          issued_token_type: accessTokenType,
          token_type: "Bearer",
          expires_in: issued.expires - issued.issued,
          scope: [
            ...(issued.audience ?? ["all"]),
            ...(issued.database === null ? [] : [`database:${issued.database}`]),
          ].join(" "),
          id: issued.id,
          user: issued.user,
          expires: new Date(issued.expires * 1000).toISOString(),
        });
      }),
    );
    app.post(
      "/oauth/revoke",
      endpoint(async (form, context) => {
        await revoke(form.need("token"), deps, context);
        return answer({});
      }),
    );
    app.post(
      "/oauth/introspect",
      endpoint(async (form, context) => {
        const caller = await bearer(context, deps);
        return answer(await describeToken(form.need("token"), caller, deps));
      }),
    );
    app.post(
      "/oauth/backchannel-logout",
      endpoint(async (form) => {
        const logout = await deps.identity.verifyLogout(form.need("logout_token"));
        const key = createHash("sha256").update(`logout ${logout.issuer} ${logout.jti}`).digest("hex");
        const first = await deps.store
          .insert("spent", key, { v: 1 }, { expires: logout.expires * 1000 + 600_000 })
          .catch(() => {
            throw new OauthError("temporarily_unavailable", "the store does not answer");
          });
        if (!first) throw new OauthError("invalid_request", "the logout token was used before");
        const { sid, subject, issuer } = logout;
        const revocation = await deps.revocations.add({
          kind: sid === null ? "sub" : "sid",
          value: sid ?? subject ?? "",
          issuer,
          reason: "logged out at the identity provider",
          by: null,
        });
        await record(deps, {
          action: "revocation.added",
          revocation: revocation.id,
          kind: revocation.kind,
          issuer,
          provider: logout.provider,
          reason: revocation.reason,
        });
        return new Response(null, { status: 200, headers: { "cache-control": "no-store" } });
      }),
    );
    for (const path of ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/backchannel-logout"])
      app.all(path, () =>
        Response.json(
          { error: "invalid_request", error_description: "this address takes POST only" },
          { status: 405, headers: { allow: "POST" } },
        ),
      );
  };
}

/**
 * RFC 7009: whoever holds a token may end it. Unknown ones are answered alike. A Postern token ends with all that was made of it; a
 * provider's token is refused here from now on, and so is what was exchanged for it.
 */
async function revoke(token: string, deps: OauthDeps, context: Context<ApiEnv>): Promise<void> {
  let principal: Principal;
  let value: string;
  let ended: string | null = null;
  try {
    if (token.startsWith(tokenPrefix)) {
      const found = await deps.tokens.inspect(token);
      principal = found.principal;
      value = found.head;
      ended = found.id;
    } else {
      principal = await deps.identity.authenticate(token, contextOf(context));
      value = principal.token.input ?? principal.token.sha256;
    }
  } catch (error) {
    if (!(error instanceof IdentityError) || error.code === "STORE_UNAVAILABLE") throw error;
    // Not told, but counted: who tries many tokens here is guessing.
    count(deps, context, error);
    return;
  }
  const revocation = await deps.revocations.add({
    kind: "token",
    value,
    reason: "revoked by its holder",
    by: { subject: principal.subject, issuer: principal.issuer },
  });
  // Last: were the list not to take it, the holder could not come back with it, and what was made of it would live on.
  if (ended !== null) await deps.tokens.end(ended);
  await record(deps, {
    action: "token.revoked",
    revocation: revocation.id,
    principal: who(principal),
    token: { jti: principal.token.jti, sha256: principal.token.sha256 },
  });
}

function refuseRevoked(principal: Principal, { revocations }: OauthDeps): void {
  if (!revocations.fresh)
    throw new IdentityError("STORE_UNAVAILABLE", "the list of revocations cannot be read");
  if (revocations.find(principal, "api") !== null)
    throw new IdentityError("TOKEN_REVOKED", "the principal of the grant was revoked");
}

async function bearer(context: Context<ApiEnv>, deps: OauthDeps): Promise<Principal> {
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(context.req.header("authorization") ?? "")?.[1];
  if (token === undefined)
    throw new OauthError("invalid_client", "a bearer token is needed to ask about another");
  try {
    return await deps.identity.authenticate(token, { ...contextOf(context), audience: "api" });
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    putFailure(deps, context, error, token);
    throw new OauthError("invalid_client", "the bearer token was not accepted");
  }
}

function contextOf(context: Context<ApiEnv>): CallContext {
  return { ip: context.get("ip") ?? null, via: "api" };
}

export function who({ subject, issuer, kind, provider, actor }: Principal) {
  return { subject, issuer, kind, provider, actor };
}

/** On the log, and handed to the operating system. Rejects with AuditUnavailable. */
async function record(deps: OauthDeps, fields: Readonly<Record<string, unknown>>): Promise<void> {
  deps.audit.event("admin.action", fields);
  await new Promise<void>((auditSafe, auditFailed) =>
    deps.audit.whenSafe("process", { auditSafe, auditFailed }),
  );
}

/**
 * Any page can make its visitors' browsers post forms here, fail, and so have to wait. Nobody's browser has business here: programs send neither
 * header (Fetch Metadata; RFC 6454 Origin). Throws OauthError invalid_request.
 */
function refuseForeignPage(context: Context<ApiEnv>, publicUrl: string): void {
  const site = context.req.header("sec-fetch-site") ?? "none";
  const origin = context.req.header("origin") ?? publicUrl;
  if ((site !== "none" && site !== "same-origin") || origin !== publicUrl)
    throw new OauthError("invalid_request", "web pages may not ask here");
}

function count(deps: OauthDeps, context: Context<ApiEnv>, { code }: { readonly code: string }): void {
  if (!blameless.has(code)) deps.protection.failed(context.get("ip") ?? "", null);
}

/** Counts a failed login, and puts it on the record. */
function putFailure(
  deps: OauthDeps,
  context: Context<ApiEnv>,
  error: { readonly code: string; readonly cause: string },
  token: string | null,
): void {
  count(deps, context, error);
  deps.audit.authFailed({
    code: error.code,
    cause: error.cause,
    ip: context.get("ip") ?? "",
    port: context.env?.incoming?.socket.remotePort ?? 0,
    tls: null,
    user: null,
    database: null,
    application: context.req.header("user-agent")?.slice(0, 200) ?? null,
    tokenSha256: token === null ? null : createHash("sha256").update(token).digest("hex"),
    via: "api",
  });
}
