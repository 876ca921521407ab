/** Who is asking: a bearer token, or the console's cookie with proof that the request comes from the console's own pages. */
import { timingSafeEqual } from "node:crypto";
import type { AuditLog } from "../audit/index.ts";
import type { Principal } from "../facts/principal.ts";
import { type Identity, IdentityError } from "../identity/index.ts";
import { blameless, type Gate, type Protection } from "../identity/protection.ts";
import type { ConsoleSessions } from "./console-sessions.ts";
import type { Caller } from "./env.ts";
import { ApiError } from "./failure.ts";
import { type RoleGroups, rolesOf } from "./roles.ts";

export interface CallerDeps {
  readonly identity: Pick<Identity, "authenticate">;
  readonly sessions: ConsoleSessions;
  readonly roles: () => RoleGroups;
  readonly audit: Pick<AuditLog, "authFailed">;
  /** Origin under which browsers reach the listener. */
  readonly publicUrl: () => string;
  /** Makes whoever fails too often wait, here and on the wire. */
  readonly protection: Protection;
  /** Whether a principal was shut out since its session began; left out: nobody ever is. */
  readonly revoked?: (principal: Principal) => boolean;
}

/** What is looked at of a request. */
export interface Asking {
  readonly method: string;
  readonly headers: Headers;
  readonly ip: string;
  readonly port: number;
  /** TLS version, null when plain. */
  readonly tls: string | null;
}

export interface Callers {
  /** Rejects with ApiError UNAUTHENTICATED, CSRF, CROSS_SITE or TOO_MANY_REQUESTS, and with StoreUnavailable. */
  authenticate(asking: Asking): Promise<Caller>;
}

const challenge = { "www-authenticate": 'Bearer realm="postern"' };
const invalid = {
  "www-authenticate": 'Bearer realm="postern", error="invalid_token"',
};
const loginHint = { hint: "send a token as Authorization: Bearer …, or log in", login: "/login" };

export function createCallers(deps: CallerDeps): Callers {
  const { protection } = deps;

  /** One answer for every reason: the cause is for the auditor. */
  function refuse(asking: Asking, code: string, cause: string): ApiError {
    if (!blameless.has(code)) protection.failed(asking.ip, null);
    put(asking, code, cause);
    return new ApiError("UNAUTHENTICATED", "the token is not accepted", loginHint, invalid);
  }

  /** On the record once for each wait: a flood of attempts must not become a flood of records. */
  function mustWait(asking: Asking, gate: Extract<Gate, { open: false }>): ApiError {
    const seconds = gate.retryAfterSeconds;
    if (gate.tell)
      put(asking, "LOCKED_OUT", `too many failed logins from this address; refused for ${seconds} s`);
    return new ApiError(
      "TOO_MANY_REQUESTS",
      "too many failed logins from this address",
      { hint: `wait ${seconds} seconds` },
      { "retry-after": String(seconds) },
    );
  }

  function put(asking: Asking, code: string, cause: string): void {
    deps.audit.authFailed({
      code,
      cause,
      ip: asking.ip,
      port: asking.port,
      tls: asking.tls,
      user: null,
      database: null,
      application: asking.headers.get("user-agent")?.slice(0, 200) ?? null,
      tokenSha256: null,
      via: "api",
    });
  }

  async function byToken(asking: Asking, token: string): Promise<Caller> {
    let principal: Principal;
    try {
      principal = await deps.identity.authenticate(token, { ip: asking.ip, via: "api", audience: "api" });
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      throw refuse(asking, error.code, error.cause);
    }
    protection.succeeded(asking.ip, null);
    const { auth_time: authTime } = principal.claims;
    return {
      principal,
      roles: rolesOf(principal, deps.roles()),
      via: "bearer",
      authTime: typeof authTime === "number" && principal.kind === "human" ? authTime : null,
      csrf: null,
      expires: principal.token.expires,
    };
  }

  async function byCookie(asking: Asking): Promise<Caller> {
    const { headers } = asking;
    const session = await deps.sessions.find(headers.get("cookie") ?? undefined);
    if (
      session === null ||
      session.principal.kind !== "human" ||
      deps.revoked?.(session.principal) === true
    ) {
      if (headers.has("cookie") && /(^|;)\s*(__Host-)?postern_session=/.test(headers.get("cookie") ?? ""))
        throw new ApiError("UNAUTHENTICATED", "the session is over: log in again", loginHint, challenge);
      throw new ApiError("UNAUTHENTICATED", "nobody is logged in", loginHint, challenge);
    }
    refuseForeignPage(headers, deps.publicUrl());
    if (
      asking.method !== "GET" &&
      asking.method !== "HEAD" &&
      !same(headers.get("x-postern-csrf"), session.csrf)
    )
      throw new ApiError("CSRF", "the header x-postern-csrf does not hold what GET /api/me gives as csrf");
    return {
      principal: session.principal,
      roles: rolesOf(session.principal, deps.roles()),
      via: "cookie",
      authTime: session.authTime,
      csrf: session.csrf,
      expires: Math.floor(session.until / 1000),
    };
  }

  return {
    async authenticate(asking) {
      const authorization = asking.headers.get("authorization");
      if (authorization === null) return byCookie(asking);
      const gate = protection.admit(asking.ip);
      if (!gate.open) throw mustWait(asking, gate);
      // RFC 6750 section 2.1; the name of the scheme is read without case (RFC 9110 section 11.1).
      const token = /^bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
      if (token === undefined)
        throw refuse(asking, "TOKEN_MALFORMED", "the Authorization header holds no bearer token");
      return byToken(asking, token);
    },
  };
}

/**
 * Cookies come along with whatever page makes a browser ask. SameSite=Strict keeps other sites' requests without them; this also
 * refuses those of neighbours under the same domain, and of browsers that do not know it (Fetch Metadata; RFC 6454 Origin).
 */
function refuseForeignPage(headers: Headers, publicUrl: string): void {
  const site = headers.get("sec-fetch-site");
  // "none": typed into the address bar.
  if (site !== null && site !== "same-origin" && site !== "none") throw crossSite();
  const origin = headers.get("origin");
  if (origin === null || origin === publicUrl) return;
  if (!URL.canParse(origin) || new URL(origin).host !== headers.get("host")) throw crossSite();
}

function crossSite(): ApiError {
  return new ApiError("CROSS_SITE", "a page of another site asks: only Postern's own pages may");
}

function same(given: string | null, expected: string): boolean {
  const bytes = Buffer.from(given ?? "");
  const wanted = Buffer.from(expected);
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}
