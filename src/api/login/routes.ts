/** GET /login, /login/callback: people get a console session. */
import { randomBytes } from "node:crypto";
import type { Context, Hono } from "hono";
import type { OidcProviderSettings, ProviderSettings } from "../../identity/settings.ts";
import type { Json, Store } from "../../store/types.ts";
import { readCookie, setCookie } from "../cookies.ts";
import { sha256 } from "../digest.ts";
import type { ApiEnv } from "../env.ts";
import { ApiError } from "../failure.ts";
import { createRate } from "../rate.ts";
import type { RestDeps } from "../rest.ts";
import { completeLogin } from "./complete.ts";
import { beginOidc, finishOidc, LoginError, type LoginErrorCode, type OidcFlow } from "./oidc.ts";
import { choicePage, failurePage, loginCss, loginPage } from "./page.ts";

const collection = "logins";
const flowMs = 10 * 60_000;
/** Names the browser that began a login, so that nobody can be made to finish somebody else's. */
const browserCookie = "postern_login";
/** Logins that one address may begin in a minute: each asks the provider and takes room in the store. */
const mostBegun = 120;

/** Answers to no login that are put on the record, of one address in a minute. */
const mostTold = 20;

interface Flow extends OidcFlow {
  readonly browser: string;
  readonly returnTo: string;
  /** What the store calls the session that the browser had. */
  readonly before: string | null;
}

export interface LoginChoice {
  readonly name: string;
  readonly type: "oidc" | "saml";
  readonly url: string;
}

/** The providers through which people can log in, as settings have them now. */
export function loginChoices(providers: readonly ProviderSettings[]): LoginChoice[] {
  return providers.flatMap((provider) => {
    const { name, type } = provider;
    if (type === "mtls" || (type === "oidc" && provider.client === null)) return [];
    const path = type === "saml" ? "/saml/login" : "/login";
    return [{ name, type, url: `${path}?provider=${encodeURIComponent(name)}` }];
  });
}

const words: Readonly<Record<LoginErrorCode, readonly [text: string, status: number]>> = {
  LOGIN_STATE: ["This login was begun in another browser, or too long ago. Begin anew.", 400],
  LOGIN_REFUSED: ["The identity provider did not log you in.", 403],
  LOGIN_PROVIDER: ["The identity provider cannot be reached.", 502],
  LOGIN_TOKEN: ["What the identity provider says of you cannot be accepted. Ask your administrator.", 403],
  LOGIN_STALE: ["The identity provider did not ask you to log in anew, which this step needs.", 403],
  LOGIN_AGENT: ["The console is for people: agents and services get no session here.", 403],
};

export function loginRoutes(deps: RestDeps): (app: Hono<ApiEnv>) => void {
  const rate = createRate(mostBegun);
  const told = createRate(mostTold);
  const { store } = deps;

  async function begin(context: Context<ApiEnv>, provider: OidcProviderSettings): Promise<Response> {
    const { client } = provider;
    if (client === null) throw new ApiError("NOT_FOUND", "nobody can log in through this provider");
    if (!rate.take(context.get("ip")))
      throw new ApiError(
        "TOO_MANY_REQUESTS",
        "too many logins were begun from this address",
        {},
        { "retry-after": "60" },
      );
    const origin = deps.publicUrl();
    const secure = origin.startsWith("https:");
    const shown = readCookie(context.req.header("cookie"), browserCookie, secure) ?? "";
    // The same for logins in several tabs.
    const browser = /^[\w-]{32}$/.test(shown) ? shown : randomBytes(24).toString("base64url");
    const stepUp = context.req.query("step_up") === "1";
    const { url, state, flow } = await beginOidc({ ...provider, client }, `${origin}/login/callback`, stepUp);
    const kept: Flow = {
      ...flow,
      browser: sha256(browser),
      returnTo: localPath(context.req.query("return"), origin),
      before: deps.consoleSessions.nameOf(context.req.header("cookie")),
    };
    await store.insert(collection, sha256(state), kept as unknown as Json, { expires: Date.now() + flowMs });
    return new Response(null, {
      status: 302,
      headers: {
        location: url,
        // Lax: the provider sends the browser back from another site.
        "set-cookie": setCookie(browserCookie, browser, { secure, sameSite: "Lax", seconds: flowMs / 1000 }),
      },
    });
  }

  async function callback(context: Context<ApiEnv>): Promise<Response> {
    const { searchParams } = new URL(context.req.url);
    const state = searchParams.get("state") ?? "";
    const flow = state === "" || state.length > 256 ? null : await takeFlow(store, state);
    const browser = readCookie(
      context.req.header("cookie"),
      browserCookie,
      deps.publicUrl().startsWith("https:"),
    );
    if (flow === null || browser === null || flow.browser !== sha256(browser))
      throw new LoginError("LOGIN_STATE", "the answer belongs to no login of this browser");
    const provider = deps.providers().find(({ name }) => name === flow.provider);
    if (provider?.type !== "oidc" || provider.client === null)
      throw new LoginError("LOGIN_STATE", "the provider was taken out of the configuration meanwhile");
    const person = await finishOidc({ ...provider, client: provider.client }, deps.identity, flow, {
      parameters: searchParams,
      state,
    });
    return completeLogin(deps, context, person, flow.returnTo, flow.before);
  }

  function fail(context: Context<ApiEnv>, error: unknown): Response {
    if (!(error instanceof LoginError)) throw error;
    const [text, status] = words[error.code];
    // An answer to no login says nothing of who sent it: any page can make its visitors' browsers do that, without end.
    if (error.code !== "LOGIN_STATE" || told.take(context.get("ip")))
      deps.loginFailed(context, error.code, error.cause);
    return failurePage(error.code, text, status);
  }

  return (app) => {
    app.get(
      "/login.css",
      () =>
        new Response(loginCss, {
          headers: { "content-type": "text/css; charset=utf-8", "cache-control": "public, max-age=3600" },
        }),
    );
    app.get("/login", async (context, next) => {
      // Typed or loaded again in a browser: the console's own page, where there is one.
      if (isPlainVisit(context)) {
        await next();
        if (context.res.ok) return;
        context.res = undefined;
      }
      const choices = deps.login.providers();
      const wanted = context.req.query("provider");
      const choice =
        wanted === undefined
          ? choices.length === 1
            ? choices[0]
            : undefined
          : choices.find((one) => one.name === wanted);
      if (choice === undefined) {
        if (wanted !== undefined) return failurePage("LOGIN_STATE", "There is no such provider.", 404);
        if (choices.length > 0)
          return choicePage(choices.map((one) => ({ ...one, url: onwards(one.url, context) })));
        return loginPage(
          "Nobody can log in yet",
          "<p>No provider in <code>postern.yaml</code> has a <code>client</code>. See docs/config.md.</p>",
          503,
        );
      }
      const provider = deps.providers().find(({ name }) => name === choice.name);
      // Providers of other kinds have a page of their own.
      if (provider?.type !== "oidc")
        return new Response(null, { status: 302, headers: { location: onwards(choice.url, context) } });
      try {
        return await begin(context, provider);
      } catch (error) {
        return fail(context, error);
      }
    });
    app.get("/login/callback", async (context) => {
      try {
        return await callback(context);
      } catch (error) {
        return fail(context, error);
      }
    });
  };
}

/** A page load that asks for no provider and no fresh login (Fetch Metadata: browsers say what a request is for, over TLS and on loopback). */
function isPlainVisit(context: Context<ApiEnv>): boolean {
  return (
    context.req.header("sec-fetch-dest") === "document" &&
    context.req.query("provider") === undefined &&
    context.req.query("step_up") === undefined
  );
}

/** The login's memory, once. null: there is none. */
async function takeFlow(store: Store, state: string): Promise<Flow | null> {
  const key = sha256(state);
  const found = await store.get(collection, key);
  if (found === null || (found.expires !== null && found.expires <= Date.now())) return null;
  if (!(await store.remove(collection, key))) return null;
  const flow = found.value as unknown as Partial<Flow> | null;
  const texts = [
    flow?.provider,
    flow?.nonce,
    flow?.verifier,
    flow?.redirectUri,
    flow?.browser,
    flow?.returnTo,
  ];
  const whole =
    texts.every((text) => typeof text === "string") &&
    typeof flow?.started === "number" &&
    (flow.before === null || typeof flow.before === "string");
  return whole ? (flow as Flow) : null;
}

/** A path of this site to go back to; "/" for anything else: an open redirect would lend phishers our name. */
export function localPath(path: string | undefined, origin: string): string {
  if (path === undefined || path.length > 2048 || !/^\/(?![/\\])/.test(path) || /[\p{Cc}\\]/u.test(path))
    return "/";
  const url = URL.canParse(path, origin) ? new URL(path, origin) : null;
  // "/.//host" is a path of this site, and reads "//host" once its dots are gone: a browser would take that for a host.
  if (url === null || url.origin !== new URL(origin).origin || url.pathname.startsWith("//")) return "/";
  // A way back into login or the API shows no page.
  return /^\/(login|api)(\/|$)/.test(url.pathname) ? "/" : `${url.pathname}${url.search}${url.hash}`;
}

/** A provider's address with what this page was asked for. */
function onwards(address: string, context: Context<ApiEnv>): string {
  const url = new URL(address, "http://localhost");
  for (const name of ["return", "step_up"] as const) {
    const value = context.req.query(name);
    if (value !== undefined && value.length <= 2048) url.searchParams.set(name, value);
  }
  return `${url.pathname}${url.search}`;
}
