/**
 * A small authorization server for clients that must register or bring a metadata document, which many identity providers do not let
 * them: RFC 8414 metadata, RFC 7591 registration, the code flow with PKCE (OAuth 2.1). It logs nobody in: that is the console's login, at
 * the identity provider. It asks the person about each client, every time, and gives a Postern token that is bound to MCP and carries the
 * client as the one who acts.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Env, Hono } from "hono";
import { z } from "zod";
import type { Principal } from "../../facts/principal.ts";
import type { Json, Store } from "../../store/types.ts";
import { allowOrigin, openPreflight, preflight, refusedOrigin } from "../origin.ts";
import type { FacadeSettings } from "../settings.ts";
import { createClients, isOwnRedirect, type OauthClient } from "./clients.ts";
import { type FetchDocument, fetchDocument } from "./fetch.ts";
import { escaped, page, refusal, sendOn } from "./page.ts";

export interface FacadeDeps {
  readonly settings: FacadeSettings;
  readonly store: Store;
  /** Web pages that may register and fetch tokens, beside the gateway's own: "https://host". */
  readonly origins: readonly string[];
  publicUrl(): string;
  /** Who is logged in at the console, by the Cookie header; null: nobody. */
  session(
    cookies: string | undefined,
  ): Promise<{ readonly principal: Principal; readonly csrf: string } | null>;
  /** The address of the login, which comes back to a path of this site. */
  login(returnTo: string): string;
  /** Rejects with an error that has an RFC 6749 `code` when none shall be issued. */
  issue(
    principal: Principal,
    request: { readonly audience: readonly ["mcp"]; readonly agent: string; readonly seconds: number },
  ): Promise<{ readonly token: string; readonly issued: number; readonly expires: number }>;
  /** Puts a consent on the record; throws when it cannot be. */
  record(fields: {
    readonly principal: Principal;
    readonly client: string;
    readonly verdict: "allowed" | "refused";
  }): void;
  readonly fetchDocument?: FetchDocument;
}

const wellKnown = "/.well-known/oauth-authorization-server";
const paths = {
  authorize: "/mcp/oauth/authorize",
  consent: "/mcp/oauth/consent",
  register: "/mcp/oauth/register",
  token: "/mcp/oauth/token",
} as const;
const requestMs = 10 * 60_000;
const codeMs = 60_000;
/** Registrations and documents asked for in a minute, by all: enough for people, too few to fill the store. */
const mostAMinute = 60;

const pending = z.object({
  client: z.string(),
  name: z.string(),
  redirect: z.string(),
  challenge: z.string(),
  state: z.string().nullable(),
});
type Pending = z.output<typeof pending>;
const granted = z.object({
  client: z.string(),
  name: z.string(),
  redirect: z.string(),
  challenge: z.string(),
  principal: z.custom<Principal>((value) => typeof value === "object" && value !== null),
});

const asked = z.object({
  response_type: z.literal("code"),
  code_challenge: z.string().regex(/^[\w-]{43}$/),
  code_challenge_method: z.literal("S256"),
});

export function facadeRoutes<E extends Env>(deps: FacadeDeps): (app: Hono<E>) => void {
  const { store, settings } = deps;
  const clients = createClients(store, settings, deps.fetchDocument ?? fetchDocument);
  let minute = 0;
  let taken = 0;

  function crowded(): boolean {
    const now = Math.floor(Date.now() / 60_000);
    if (now !== minute) {
      minute = now;
      taken = 0;
    }
    return ++taken > mostAMinute;
  }

  function metadata(): Response {
    const base = deps.publicUrl();
    return Response.json(
      {
        issuer: base,
        authorization_endpoint: base + paths.authorize,
        token_endpoint: base + paths.token,
        ...(settings.registration ? { registration_endpoint: base + paths.register } : {}),
        ...(settings.documents ? { client_id_metadata_document_supported: true } : {}),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["none"],
        authorization_response_iss_parameter_supported: true,
      },
      { headers: { "access-control-allow-origin": "*" } },
    );
  }

  async function register(request: Request): Promise<Response> {
    if (crowded())
      return fault(429, "temporarily_unavailable", "too many registrations: try again in a minute");
    const body: unknown = await request.json().catch(() => null);
    const client = await clients.register(body);
    if (client === null)
      return fault(
        400,
        "invalid_client_metadata",
        "name 1 to 20 redirect_uris, https or of this machine, and no secret",
      );
    return Response.json(
      {
        client_id: client.id,
        client_id_issued_at: Math.floor(Date.now() / 1000),
        client_name: client.name,
        redirect_uris: client.redirects,
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
      { status: 201 },
    );
  }

  /** RFC 6749 section 4.1.1. Until client and address are known to belong together, nothing is sent there. */
  async function authorize(request: Request): Promise<Response> {
    const { searchParams: query } = new URL(request.url);
    for (const name of query.keys())
      if (query.getAll(name).length > 1) return refusal("A parameter was given twice.");
    if (crowded()) return refusal("Too many requests: try again in a minute.", 429);
    const client = await clients.find(query.get("client_id") ?? "");
    if (client === null) return refusal("The program is not known here: let it register anew.");
    const redirect =
      query.get("redirect_uri") ?? (client.redirects.length === 1 ? client.redirects[0] : undefined);
    if (redirect === undefined || !isOwnRedirect(client, redirect))
      return refusal("The program asks to be answered at an address that is not its own.");
    // From a page of ours a browser would go there with the person's cookie, as if they had meant to.
    if ([new URL(deps.publicUrl()).origin, new URL(request.url).origin].includes(new URL(redirect).origin))
      return refusal("The program asks to be answered at an address of the gateway itself.");
    const state = query.get("state");
    if ((state?.length ?? 0) > 2048) return refusal("The program's state is too long.");
    const resource = query.get("resource");
    const wanted = asked.safeParse(Object.fromEntries(query));
    if (!wanted.success) return turnBack(answerTo(redirect, state, { error: "invalid_request" }));
    if (resource !== null && resource.replace(/\/$/, "") !== `${deps.publicUrl()}/mcp`)
      return turnBack(answerTo(redirect, state, { error: "invalid_target" }));
    const id = randomBytes(24).toString("base64url");
    const kept: Pending = {
      client: client.id,
      name: client.name,
      redirect,
      challenge: wanted.data.code_challenge,
      state,
    };
    await store.insert("mcp-requests", id, kept, { expires: Date.now() + requestMs });
    // A page of ours in between: the console's cookie goes along only from there (SameSite=Strict).
    return page("Connect a program", `<p><a href="${paths.consent}?request=${id}">Continue</a></p>`);
  }

  async function load(
    id: string | null,
  ): Promise<{ readonly pending: Pending; readonly version: number } | null> {
    if (id === null || !/^[\w-]{32}$/.test(id)) return null;
    const document = await store.get("mcp-requests", id);
    const parsed = pending.safeParse(document?.value);
    return document !== null && parsed.success ? { pending: parsed.data, version: document.version } : null;
  }

  async function consent(request: Request): Promise<Response> {
    const { searchParams: query } = new URL(request.url);
    const id = query.get("request");
    const found = await load(id);
    if (id === null || found === null)
      return refusal("This was begun too long ago. Begin anew in the program.");
    const here = `${paths.consent}?request=${id}&back=1`;
    const session = await deps.session(request.headers.get("cookie") ?? undefined);
    if (session === null) {
      if (query.get("back") !== null)
        return page(
          "Connect a program",
          `<p><a href="${paths.consent}?request=${id}">You are logged in: continue</a></p>`,
        );
      return redirectTo(deps.login(here));
    }
    const { principal } = session;
    if (principal.kind !== "human") return refusal("Only people may connect programs.", 403);
    const { name, client, redirect } = found.pending;
    return page(
      "Connect a program",
      `<p>A program that calls itself <strong>${escaped(name)}</strong> wants to use your databases as an agent of yours,
       within what the policy allows agents.</p>
       <dl><dt>You</dt><dd>${escaped(principal.email ?? principal.subject)}</dd>
       <dt>Program</dt><dd>${escaped(client)}</dd><dt>It is answered at</dt><dd>${escaped(new URL(redirect).origin === "null" ? redirect : new URL(redirect).origin)}</dd></dl>
       <p>Allow it only if you began this yourself, just now.</p>
       <form method="post" action="${paths.consent}"><input type="hidden" name="request" value="${id}">
       <input type="hidden" name="csrf" value="${escaped(session.csrf)}">
       <button name="verdict" value="allow">Allow</button> <button name="verdict" value="refuse">Refuse</button></form>`,
    );
  }

  async function decide(request: Request): Promise<Response> {
    const origin = request.headers.get("origin");
    if (origin !== null && origin !== new URL(deps.publicUrl()).origin)
      return refusal("This form is another site's.", 403);
    const form = new URLSearchParams(await request.text());
    const session = await deps.session(request.headers.get("cookie") ?? undefined);
    const csrf = form.get("csrf") ?? "";
    if (session === null || !same(csrf, session.csrf) || session.principal.kind !== "human")
      return refusal("Your login has ended. Begin anew in the program.", 403);
    const id = form.get("request");
    const found = await load(id);
    // Once: whoever removes it goes on.
    if (id === null || found === null || !(await store.remove("mcp-requests", id, found.version)))
      return refusal("This was begun too long ago, or is decided already. Begin anew in the program.");
    const { client, name, redirect, challenge, state } = found.pending;
    const { principal } = session;
    const allowed = form.get("verdict") === "allow";
    deps.record({ principal, client, verdict: allowed ? "allowed" : "refused" });
    if (!allowed) return sendOn(answerTo(redirect, state, { error: "access_denied" }));
    const code = randomBytes(32).toString("base64url");
    const value = { client, name, redirect, challenge, principal } as unknown as Json;
    await store.insert("mcp-codes", sha256(code), value, { expires: Date.now() + codeMs });
    return sendOn(answerTo(redirect, state, { code }));
  }

  /** RFC 6749 section 4.1.3, RFC 7636 section 4.6. A code is used up by the first who shows it, right or wrong. */
  async function token(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    if (form.get("grant_type") !== "authorization_code")
      return fault(400, "unsupported_grant_type", "only authorization_code");
    const key = sha256(form.get("code") ?? "");
    const document = await store.get("mcp-codes", key);
    if (document === null || !(await store.remove("mcp-codes", key, document.version)))
      return fault(400, "invalid_grant", "the code is not known, was used, or is over");
    const parsed = granted.safeParse(document.value);
    if (!parsed.success) return fault(400, "invalid_grant", "the code is not known, was used, or is over");
    const { client, name, redirect, challenge, principal } = parsed.data;
    const verifier = form.get("code_verifier") ?? "";
    const proof = createHash("sha256").update(verifier).digest("base64url");
    const resource = form.get("resource");
    if (
      form.get("client_id") !== client ||
      (form.get("redirect_uri") ?? redirect) !== redirect ||
      !/^[\w.~-]{43,128}$/.test(verifier) ||
      !same(proof, challenge)
    )
      return fault(400, "invalid_grant", "the code is not this client's");
    if (resource !== null && resource.replace(/\/$/, "") !== `${deps.publicUrl()}/mcp`)
      return fault(400, "invalid_target", "tokens are for this gateway's MCP endpoint only");
    try {
      const issued = await deps.issue(principal, {
        audience: ["mcp"],
        agent: agentOf({ id: client, name, redirects: [] }),
        seconds: settings.tokenSeconds,
      });
      return Response.json(
        { access_token: issued.token, token_type: "Bearer", expires_in: issued.expires - issued.issued },
        { headers: { "cache-control": "no-store" } },
      );
    } catch (error) {
      const code =
        error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
      if (!/^[a-z_]+$/.test(code)) throw error;
      return fault(400, code, "no token can be issued now");
    }
  }

  function answerTo(redirect: string, state: string | null, answer: Record<string, string>): string {
    const url = new URL(redirect);
    for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value);
    if (state !== null) url.searchParams.set("state", state);
    url.searchParams.set("iss", deps.publicUrl());
    return url.href;
  }

  /** Programs send no Origin, or any; pages read the answer only where they may call. */
  const shared = (answer: (request: Request) => Promise<Response>) => async (request: Request) => {
    const response = await answer(request);
    return refusedOrigin(request, deps) === null ? allowOrigin(request, response) : response;
  };
  const [registering, exchanging] = [shared(register), shared(token)];

  return (app) => {
    app.get(wellKnown, metadata);
    app.options(wellKnown, openPreflight);
    app.get(paths.authorize, ({ req }) => authorize(req.raw));
    app.get(paths.consent, ({ req }) => consent(req.raw));
    app.post(paths.consent, ({ req }) => decide(req.raw));
    app.post(paths.register, ({ req }) => registering(req.raw));
    app.post(paths.token, ({ req }) => exchanging(req.raw));
    for (const path of [paths.register, paths.token])
      app.options(path, ({ req }) => refusedOrigin(req.raw, deps) ?? preflight(req.raw));
  };
}

/**
 * The browser goes back with an error. Anybody may register a program with any address: without the person's own click this would be a way to
 * send visitors anywhere in the gateway's name (RFC 9700 section 4.11.2). On this machine there is nobody to be fooled.
 */
function turnBack(url: string): Response {
  if (url.startsWith("http:")) return redirectTo(url);
  return page(
    "This cannot go on",
    `<p>The program asked for something that it cannot have.</p><p><a href="${escaped(url)}">Go back to it</a></p><p>${escaped(new URL(url).host)}</p>`,
    400,
  );
}

function redirectTo(location: string): Response {
  return new Response(null, { status: 302, headers: { location } });
}

function fault(status: number, error: string, description: string): Response {
  return Response.json(
    { error, error_description: description },
    { status, headers: { "cache-control": "no-store" } },
  );
}

/** Who acts, in the records: the client's own name is a claim, its id is not. */
function agentOf({ id, name }: OauthClient): string {
  return `${name.replaceAll(/[^\x20-\x7e]/g, "?")} (${id})`.slice(0, 128);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function same(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
