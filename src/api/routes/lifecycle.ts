/** Renewing sessions, revoking access, and the caller's Postern tokens. */
import { createHash } from "node:crypto";
import type { AuditLog } from "../../audit/index.ts";
import type { Gateway } from "../../gateway/index.ts";
import { type Identity, IdentityError } from "../../identity/index.ts";
import { blameless, type Protection } from "../../identity/protection.ts";
import type { PosternTokens, TokenListing } from "../../identity/tokens/index.ts";
import type { Revocation, RevocationKind, Revocations } from "../../identity/tokens/revoked.ts";
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { isOwn } from "../live/hub.ts";
import { page } from "../paging.ts";
import { type Route, route } from "../routing.ts";
import {
  addRevocation,
  endToken,
  liftRevocation,
  listRevocations,
  listTokens,
  renewSession,
} from "../schema/lifecycle.ts";
import { iso } from "../told.ts";
import { actingAs } from "./me.ts";

export interface LifecycleDeps {
  readonly gateway: Pick<Gateway, "sessions" | "lifecycle">;
  readonly identity: Pick<Identity, "authenticate">;
  readonly tokens: PosternTokens;
  readonly revocations: Revocations;
  readonly audit: Pick<AuditLog, "event" | "authFailed">;
  /** Counts tokens that were shown here and refused; left out: nobody counts. */
  readonly protection?: Pick<Protection, "failed">;
}

export function lifecycleRoutes(deps: LifecycleDeps): Route[] {
  const { gateway, identity, tokens, revocations, audit } = deps;

  async function ownTokens(caller: Caller): Promise<TokenListing[]> {
    const { subject, issuer } = caller.principal;
    const all = await tokens.list(caller.principal);
    return all.filter(({ actor }) => isOwn(caller, { subject, issuer, actor }));
  }

  return [
    route(renewSession, async ({ params, body, ip }) => {
      const session = gateway.sessions.get(params.id ?? "");
      const unknown = new ApiError("NOT_FOUND", "there is no such session of yours on this node");
      if (session === undefined) throw unknown;
      const principal = await identity
        .authenticate(body.token, { ip, via: "wire", audience: "wire", database: session.database })
        .catch((error: unknown) => {
          if (!(error instanceof IdentityError)) throw error;
          const { code, cause } = error;
          const tokenSha256 = createHash("sha256").update(body.token).digest("hex");
          const { database } = session;
          const client = { ip, port: 0, tls: null, user: null, application: null, via: "api" as const };
          // Who has one good token may not guess others with it.
          if (!blameless.has(code)) deps.protection?.failed(ip, null);
          audit.authFailed({ code, cause, database, tokenSha256, ...client });
          throw new ApiError("BAD_REQUEST", "the fresh token is not accepted", { reason: error.code });
        });
      const renewed = gateway.lifecycle.renew(session.id, principal);
      if (renewed.ok) return { id: session.id, expires: iso(renewed.expires * 1000) };
      // Whoever cannot show a token of its principal is not told that the session is there.
      if (renewed.why !== "changed") throw unknown;
      throw new ApiError("CONFLICT", renewed.message);
    }),
    route(listRevocations, ({ query }) => {
      const { limit, after } = query;
      const found = revocations.all
        .map((one) => ({ one, key: `${String(one.at).padStart(16, "0")} ${one.id}` }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      const paged = page(found, ({ key }) => key, { limit, after, shape: /^\d{16} [\w.:-]{1,200}$/ });
      return { items: paged.items.map(({ one }) => tellRevocation(one)), next: paged.next };
    }),
    route(addRevocation, async ({ body, caller }) => {
      const { subject, agent, jti, tokenSha256, issuer, mode, seconds, reason } = body;
      const [kind, value] = chosen({ subject, agent, jti, tokenSha256 });
      const { principal } = caller;
      // First on the record: what follows ends other people's work.
      audit.event("admin.action", {
        action: "revocation.added",
        principal: actingAs(caller),
        kind,
        value,
        issuer: issuer ?? null,
        reason,
      });
      const added = await revocations.add({
        kind,
        value,
        issuer: issuer ?? null,
        ...(mode === undefined ? {} : { mode }),
        ...(seconds === undefined ? {} : { expires: Date.now() + seconds * 1000 }),
        reason,
        by: { subject: principal.subject, issuer: principal.issuer },
      });
      return tellRevocation(added);
    }),
    route(liftRevocation, async ({ params, caller }) => {
      const id = params.id ?? "";
      if (!revocations.all.some((one) => one.id === id))
        throw new ApiError("NOT_FOUND", "there is no such revocation");
      audit.event("admin.action", {
        action: "revocation.lifted",
        principal: actingAs(caller),
        revocation: id,
      });
      await revocations.lift(id);
      return null;
    }),
    route(listTokens, async ({ caller }) => ({
      items: (await ownTokens(caller)).map(tellToken),
      next: null,
    })),
    route(endToken, async ({ params, caller }) => {
      const id = params.id ?? "";
      const { principal, roles } = caller;
      const own = (await ownTokens(caller)).some((one) => one.id === id);
      const found = own || roles.has("admin") ? await tokens.find(id) : null;
      if (found === null) throw new ApiError("NOT_FOUND", "there is no such token of yours");
      audit.event("admin.action", {
        action: "token.revoked",
        principal: actingAs(caller),
        token: { jti: id, sha256: found.principal.token.sha256 },
        of: { subject: found.principal.subject, issuer: found.principal.issuer },
      });
      await revocations.add({
        kind: "token",
        value: found.head,
        reason: own ? "revoked by its owner" : "revoked by an administrator",
        by: { subject: principal.subject, issuer: principal.issuer },
      });
      // Last: were the list not to take it, the token would be gone and what was made of it would live on.
      await tokens.end(id);
      return null;
    }),
  ];
}

function chosen(given: {
  readonly subject: string | undefined;
  readonly agent: string | undefined;
  readonly jti: string | undefined;
  readonly tokenSha256: string | undefined;
}): [RevocationKind, string] {
  if (given.subject !== undefined) return ["subject", given.subject];
  if (given.agent !== undefined) return ["agent", given.agent];
  const token = given.jti ?? given.tokenSha256;
  return token === undefined ? ["everything", ""] : ["token", token];
}

function tellRevocation({ id, kind, value, issuer, mode, at, expires, reason, by }: Revocation) {
  const end = expires === null ? null : iso(expires);
  return {
    id,
    kind,
    value,
    issuer,
    mode,
    subject: kind === "subject" || kind === "sub" ? value : null,
    agent: kind === "agent" ? value : null,
    jti: kind === "token" ? value : null,
    everything: kind === "everything",
    at: iso(at),
    time: iso(at),
    expires: end,
    reason,
    by: by?.subject ?? "",
  };
}

function tellToken({ issued, expires, audience, actor, ...rest }: TokenListing) {
  return {
    ...rest,
    audience: audience === null ? null : [...audience],
    actor: [...actor],
    issued: iso(issued * 1000),
    expires: iso(expires * 1000),
  };
}
