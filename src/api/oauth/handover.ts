/**
 * Logins of the command line in a browser that is logged in to the console, for providers at which the command line has no client of its
 * own (SAML above all): a code to a loopback address, bound by PKCE (RFC 8252, RFC 7636), exchanged at /oauth/token.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Hono } from "hono";
import type { AuditLog } from "../../audit/index.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Json, Store } from "../../store/types.ts";
import type { ApiEnv } from "../env.ts";
import { ApiError } from "../failure.ts";
import { escapeHtml, loginPage } from "../login/page.ts";
import { isPrincipal } from "../principal.ts";
import { actingAs } from "../routes/me.ts";
import { type Form, OauthError } from "./form.ts";

const collection = "logins";
const codeMs = 60_000;

interface Asked {
  readonly port: number;
  readonly challenge: string;
  readonly state: string;
}

/** What the command line asks the browser to carry. Throws ApiError BAD_REQUEST. */
function readAsked(query: (name: string) => string | undefined): Asked {
  const port = Number(query("port") ?? "");
  const challenge = query("challenge") ?? "";
  const state = query("state") ?? "";
  if (!Number.isInteger(port) || port < 1024 || port > 65_535)
    throw new ApiError("BAD_REQUEST", "port is that of the command line's listener");
  if (!/^[\w-]{43}$/.test(challenge) || !/^[\w-]{16,128}$/.test(state))
    throw new ApiError("BAD_REQUEST", "challenge and state are missing or malformed");
  return { port, challenge, state };
}

/** What the terminal and the page both show, so that a person sees that they belong together. */
export function matchOf(challenge: string): string {
  const digits = createHash("sha256").update(challenge).digest("hex").slice(0, 8).toUpperCase();
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}

/**
 * GET /cli/login shows what is asked for; GET /cli/allow, from that page alone, gives the code. The page needs no session: the console's cookie
 * does not come along with a redirect from another site (SameSite=Strict), but it does from the page itself.
 */
export function handoverRoutes(deps: {
  readonly store: Store;
  readonly audit: Pick<AuditLog, "event">;
  /** Origin under which the listener is reached. */
  readonly publicUrl: () => string;
}): (app: Hono<ApiEnv>) => void {
  return (app) => {
    app.get("/cli/login", (context) => {
      const { port, challenge, state } = readAsked((name) => context.req.query(name));
      const field = (name: string, value: string | number) =>
        `<input type="hidden" name="${name}" value="${escapeHtml(String(value))}">`;
      const page = loginPage(
        "Log in the command line?",
        `<p>A <code>postern login</code> on this computer asks to act as you. Its terminal shows this code:</p>
<p><code>${escapeHtml(matchOf(challenge))}</code></p>
<p>If it does not, close this page.</p>
<form method="get" action="/cli/allow">${field("port", port)}${field("challenge", challenge)}${field("state", state)}
<button type="submit">Yes, log it in</button></form>`,
      );
      // The form leads on to the loopback address.
      page.headers.set(
        "content-security-policy",
        `default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:${port}; base-uri 'none'; frame-ancestors 'none'`,
      );
      return page;
    });
    app.get("/cli/allow", async (context) => {
      const { port, challenge, state } = readAsked((name) => context.req.query(name));
      const caller = await context.get("authenticate")();
      // Only the page above may lead here: a link of another site would not be a person's yes.
      if (caller.via !== "cookie" || context.req.header("sec-fetch-site") !== "same-origin")
        throw new ApiError("FORBIDDEN", "begin with postern login, in a browser that is logged in");
      const code = randomBytes(32).toString("base64url");
      const { claims: told, ...rest } = caller.principal;
      // When the person showed themselves to the console, whatever else the session's token says.
      const { auth_time: _, ...others } = told;
      const claims = caller.authTime === null ? others : { ...others, auth_time: caller.authTime };
      await deps.store.insert(
        collection,
        keyOf(code),
        { kind: "cli", challenge, principal: JSON.parse(JSON.stringify({ ...rest, claims })) as Json },
        { expires: Date.now() + codeMs },
      );
      deps.audit.event("admin.action", {
        action: "cli.login",
        principal: actingAs(caller),
        client: { ip: context.get("ip"), via: "api" },
      });
      const back = new URL(`http://127.0.0.1:${port}/callback`);
      back.searchParams.set("code", code);
      back.searchParams.set("state", state);
      // RFC 9207: a gateway that the command line began at could have sent the browser here, and would be shown this code.
      back.searchParams.set("iss", deps.publicUrl());
      return new Response(null, { status: 302, headers: { location: back.href } });
    });
  };
}

/** A code or its verifier was wrong: somebody may be guessing. */
export class WrongCode extends OauthError {
  constructor() {
    super("invalid_grant", "the code was not accepted");
  }
}

/** The principal a code was given for (RFC 6749 section 4.1.3, RFC 7636 section 4.6), once. Throws WrongCode. */
export async function redeemCode(form: Form, store: Store): Promise<Principal> {
  const refused = new WrongCode();
  const verifier = form.need("code_verifier");
  const key = keyOf(form.need("code"));
  const found = await store.get(collection, key);
  const value = found?.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refused;
  const { kind, challenge, principal } = value as { readonly [name: string]: unknown };
  if (kind !== "cli" || typeof challenge !== "string" || !isPrincipal(principal)) throw refused;
  if (!(await store.remove(collection, key, found?.version))) throw refused;
  const shown = createHash("sha256").update(verifier).digest();
  const expected = Buffer.from(challenge, "base64url");
  if (expected.length !== shown.length || !timingSafeEqual(shown, expected)) throw refused;
  return principal;
}

function keyOf(code: string): string {
  return `cli-${createHash("sha256").update(code).digest("hex")}`;
}
