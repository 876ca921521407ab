/** SAML in the browser: /saml/metadata, /saml/login, /saml/acs, /saml/done (docs/identity.md; saml-profiles section 4.1). */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Context, Env, Hono } from "hono";
import { z } from "zod";
import type { Principal } from "../facts/principal.ts";
import { IdentityError } from "../identity/errors.ts";
import type { SamlProvider } from "../identity/index.ts";
import { blameless, type Protection } from "../identity/protection.ts";
import type { Json, Store } from "../store/types.ts";
import { readCookie, setCookie } from "./cookies.ts";
import { escapeHtml, loginPage } from "./login/page.ts";
import { createRate } from "./rate.ts";

export interface SamlRouteDeps<E extends Env> {
  /** The providers in force: they can change on reload. */
  providers(): readonly SamlProvider[];
  readonly store: Store;
  /** Whether browsers reach us by https. */
  secure(): boolean;
  /** What names the session that a browser has as it begins, until it is back: from the provider's site it does not show its cookie. null: none. */
  sessionOf(context: Context<E>): string | null;
  /** The login is complete: sets a cookie, or hands over to a command. `returnTo`: what /saml/login was given, unchecked. */
  onLogin(
    principal: Principal,
    begun: { readonly returnTo: string | null; readonly before: string | null },
    context: Context<E>,
  ): Response | Promise<Response>;
  /** For the audit log. */
  onFailure(failure: { readonly code: string; readonly cause: string }, context: Context<E>): void;
  /** Counts failures here and nowhere else: any page can make its visitors' browsers fail at /saml/acs. */
  readonly protection: Protection;
  ip(context: Context<E>): string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const collection = "logins";
const cookie = "postern_saml";
/** How long a person may take at the identity provider; and from its answer to the end. */
const loginMs = 600_000;
const handOverMs = 60_000;
const maxReturn = 2048;
/** Logins that one address may begin in a minute: each takes room in the store. */
const mostBegun = 120;
const maxResponse = 400_000;

const begun = z.object({
  stage: z.literal("begun"),
  provider: z.string(),
  request: z.string(),
  browser: z.string(),
  returnTo: z.string().nullable(),
  before: z.string().nullable(),
});
const actor = z.object({ subject: z.string(), issuer: z.string().nullable() });
const done = z.object({
  stage: z.literal("done"),
  browser: z.string(),
  returnTo: z.string().nullable(),
  before: z.string().nullable(),
  principal: z.object({
    subject: z.string(),
    issuer: z.string(),
    email: z.string().nullable(),
    kind: z.enum(["human", "agent", "service"]),
    groups: z.array(z.string()),
    actor: z.array(actor),
    provider: z.string(),
    claims: z.record(z.string(), z.unknown()),
    token: z.object({
      jti: z.string().nullable(),
      sha256: z.string(),
      issued: z.number().nullable(),
      expires: z.number(),
    }),
  }),
});

/**
 * The routes. The response comes by a POST from another site, on which browsers send no SameSite cookie: so /saml/acs only verifies it and
 * puts the login down under its state, and /saml/done, a GET that the same browser is sent on to, shows by its cookie that it began there.
 * Otherwise somebody could post their own response through another's browser, and that one would work in their name.
 */
export function samlRoutes<E extends Env>(deps: SamlRouteDeps<E>): (app: Hono<E>) => void {
  const now = deps.now ?? Date.now;
  const rate = createRate(mostBegun);
  const marks = () => ({ secure: deps.secure(), sameSite: "Lax" }) as const;

  function find(context: Context<E>): SamlProvider | null {
    const all = deps.providers();
    const name = context.req.query("provider");
    if (name === undefined) return all.length === 1 ? (all[0] ?? null) : null;
    return all.find((provider) => provider.name === name) ?? null;
  }

  function fail(context: Context<E>, error: unknown): Response {
    const known =
      error instanceof IdentityError
        ? error
        : new IdentityError(
            "IDENTITY_INTERNAL",
            `unexpected ${error instanceof Error ? error.name : "failure"}`,
          );
    const ours = blameless.has(known.code);
    if (!ours) deps.protection.failed(deps.ip(context), null);
    deps.onFailure({ code: known.code, cause: known.cause }, context);
    return ours
      ? page(503, "Sign-in is not possible at present", "Try again in a moment.")
      : page(403, "Sign-in failed", "The answer of your identity provider was not accepted. Begin again.");
  }

  async function login(context: Context<E>): Promise<Response> {
    const provider = find(context);
    if (provider === null) return page(404, "No such identity provider", "");
    if (!rate.take(deps.ip(context)))
      return page(429, "Too many sign-ins were begun", "Try again in a minute.", { "retry-after": "60" });
    const returnTo = context.req.query("return") ?? null;
    if (returnTo !== null && returnTo.length > maxReturn)
      return page(400, "The address to return to is too long", "");
    const state = randomBytes(24).toString("base64url");
    const browser = randomBytes(24).toString("base64url");
    const stepUp = context.req.query("step_up") === "1";
    const request = await provider.begin(state, { stepUp });
    const value = {
      stage: "begun",
      provider: provider.name,
      request: request.id,
      browser: hash(browser),
      returnTo,
      before: deps.sessionOf(context),
    } as const;
    if (!(await deps.store.insert(collection, state, value, { expires: now() + loginMs })))
      throw new IdentityError("IDENTITY_INTERNAL", "a state was drawn twice");
    const headers = {
      "set-cookie": setCookie(cookie, browser, { ...marks(), seconds: loginMs / 1000 }),
    };
    if (request.url !== null)
      return new Response(null, { status: 302, headers: { ...headers, location: request.url } });
    if (request.form === null) throw new IdentityError("KEYS_UNAVAILABLE", "the provider takes no logins");
    const { action, fields } = request.form;
    return form(action, fields, headers);
  }

  async function acs(context: Context<E>): Promise<Response> {
    const fields = new URLSearchParams(await context.req.text());
    const [response = "", state = ""] = [only(fields, "SAMLResponse"), only(fields, "RelayState")];
    if (response === "" || response.length > maxResponse)
      throw new IdentityError("TOKEN_MALFORMED", "SAML: the form holds no SAMLResponse, or too long a one");
    const kept = /^[\w-]{32}$/.test(state) ? await deps.store.get(collection, state) : null;
    const read = begun.safeParse(kept?.value);
    if (kept === null || !read.success)
      throw new IdentityError("TOKEN_REQUEST", "SAML: an answer to no login that is under way");
    const { provider: name, request, browser, returnTo, before } = read.data;
    const provider = deps.providers().find((one) => one.name === name);
    if (provider === undefined)
      throw new IdentityError("TOKEN_ISSUER", "the provider is no longer configured");
    const principal = await provider.finish(response, request);
    const value = { stage: "done", browser, returnTo, before, principal: asJson(principal) };
    if (!(await deps.store.update(collection, state, kept.version, value, { expires: now() + handOverMs })))
      throw new IdentityError("TOKEN_REPLAYED", "SAML: the login was completed before");
    return new Response(null, { status: 303, headers: { location: `/saml/done?state=${state}` } });
  }

  async function complete(context: Context<E>): Promise<Response> {
    const state = context.req.query("state") ?? "";
    const kept = /^[\w-]{32}$/.test(state) ? await deps.store.get(collection, state) : null;
    const read = done.safeParse(kept?.value);
    if (kept === null || !read.success)
      throw new IdentityError("TOKEN_REQUEST", "SAML: no login is to be completed under this state");
    const shown = Buffer.from(hash(readCookie(context.req.header("cookie"), cookie, deps.secure()) ?? ""));
    const expected = Buffer.from(read.data.browser);
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected))
      throw new IdentityError("TOKEN_REQUEST", "SAML: the login was begun in another browser");
    if (!(await deps.store.remove(collection, state, kept.version)))
      throw new IdentityError("TOKEN_REPLAYED", "SAML: the login was completed before");
    const answer = await deps.onLogin(read.data.principal, read.data, context);
    const headers = new Headers(answer.headers);
    headers.append("set-cookie", setCookie(cookie, "", { ...marks(), seconds: 0 }));
    return new Response(answer.body, { status: answer.status, headers });
  }

  /** Whoever fails too often waits, and is on the record once for each wait. */
  const admitted =
    (handler: (context: Context<E>) => Promise<Response>) =>
    async (context: Context<E>): Promise<Response> => {
      const gate = deps.protection.admit(deps.ip(context));
      if (gate.open) return handler(context);
      if (gate.tell)
        deps.onFailure({ code: "LOCKED_OUT", cause: "too many failed logins from this address" }, context);
      return page(429, "Too many failed sign-ins", "Try again later.", {
        "retry-after": String(gate.retryAfterSeconds),
      });
    };

  const guarded = (handler: (context: Context<E>) => Promise<Response>) => async (context: Context<E>) => {
    try {
      return await handler(context);
    } catch (error) {
      return fail(context, error);
    }
  };

  return (app) => {
    app.get("/saml/metadata", (context) => {
      const provider = find(context);
      if (provider === null) return page(404, "No such identity provider", "");
      try {
        return new Response(provider.metadata(), {
          headers: { "content-type": "application/samlmetadata+xml" },
        });
      } catch (error) {
        return fail(context, error);
      }
    });
    app.get("/saml/login", guarded(login));
    app.post("/saml/acs", guarded(admitted(acs)));
    app.get("/saml/done", guarded(admitted(complete)));
  };
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** A field that is there once; twice is none, as two readers could take either. */
function only(fields: URLSearchParams, name: string): string | undefined {
  const all = fields.getAll(name);
  return all.length === 1 ? all[0] : undefined;
}

/** A principal is JSON already; its types only do not say so. */
function asJson(principal: Principal): Json {
  return JSON.parse(JSON.stringify(principal)) as Json;
}

function page(status: number, title: string, text: string, headers: Record<string, string> = {}): Response {
  const response = loginPage(
    title,
    `<p>${escapeHtml(text)}</p><p><a class="button" href="/login">Log in</a></p>`,
    status,
  );
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** HTTP-POST binding without a script: the person presses the button (saml-bindings section 3.5.3). */
function form(
  action: string,
  fields: Readonly<Record<string, string>>,
  headers: Record<string, string>,
): Response {
  const inputs = Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join("");
  const response = loginPage(
    "Log in",
    `<form method="post" action="${escapeHtml(action)}">${inputs}<button>Continue to your identity provider</button></form>`,
  );
  response.headers.set(
    "content-security-policy",
    `default-src 'none'; style-src 'self'; form-action ${new URL(action).origin}; base-uri 'none'; frame-ancestors 'none'`,
  );
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}
