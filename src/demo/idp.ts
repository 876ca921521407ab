/**
 * A small OIDC provider for the demo, on loopback. Scripted agents get JWT access tokens (RFC 9068) by the client credentials grant (RFC
 * 6749 section 4.4); people log in by authorization code with PKCE or by device code (RFC 8628), without a password: one picks who
 * one is. For development only: it keeps nothing but its keys.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Configuration, Context, Grant, Source } from "oidc-provider";
import { clientsOf } from "./idp-clients.ts";
import { devicePages, errorPage, logoutPage, page, pagePolicy, personPage } from "./idp-pages.ts";
import { loadOidcProvider } from "./packages.ts";
import { humans, type Person, people } from "./people.ts";
import type { DemoState } from "./state.ts";

/** The audience of the tokens, as postern.yaml expects it. */
export const audience = "postern";
const resource = "urn:postern";
export const tokenSeconds = 8 * 3600;
/** Of access tokens that people get: refreshed as they are used. */
const personTokenSeconds = 3600;
const scopes = "openid profile email groups offline_access";

export interface DemoIdp {
  readonly issuer: string;
  /** A fresh access token of a client. Throws an Error with the provider's error code when it refuses. */
  token(client: string): Promise<string>;
  stop(): Promise<void>;
}

type Provider = InstanceType<Awaited<ReturnType<typeof loadOidcProvider>>>;

/**
 * Starts the provider on 127.0.0.1:`port`. Keys and client secrets are kept in the state folder, so tokens outlive a restart.
 * `consoles`: origins of the http listeners whose consoles people may log in to.
 */
export async function startIdp(
  state: DemoState,
  port: number,
  consoles: readonly string[] = [],
): Promise<DemoIdp> {
  const Provider = await loadOidcProvider();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = quietly(() => new Provider(issuer, configuration(state, consoles)));
  const handle = provider.callback();
  const server = createServer((request, response) => {
    // No connection is kept that a stop would have to break.
    response.setHeader("connection", "close");
    response.setHeader("content-security-policy", pagePolicy);
    if (request.url?.startsWith("/interaction/") === true) void interact(provider, request, response);
    else void handle(request, response);
  });
  await listen(server, port);
  return {
    issuer,
    async token(client) {
      const secret = state.secret(`client-${client}`).value;
      const response = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString("base64")}` },
        body: new URLSearchParams({ grant_type: "client_credentials", resource }),
      });
      const answer = (await response.json()) as { access_token?: unknown; error?: unknown };
      if (typeof answer.access_token !== "string")
        throw new Error(`the demo's OIDC provider refused ${client}: ${String(answer.error)}`);
      return answer.access_token;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function configuration(state: DemoState, consoles: readonly string[]): Configuration {
  const seconds = (_ctx: unknown, _token: unknown, client: { clientId: string }) =>
    people.some((person) => person.client === client.clientId) ? tokenSeconds : personTokenSeconds;
  return {
    jwks: { keys: [signingKey(state)] },
    cookies: { keys: [state.secret("idp-cookies").value] },
    clients: clientsOf(state, consoles),
    scopes: scopes.split(" "),
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["name"],
      groups: ["groups"],
    },
    // Claims of the scopes stand in the ID token too, as with most providers.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    // ES256 keeps a token near 600 bytes; RS256 adds 256.
    ttl: {
      ClientCredentials: tokenSeconds,
      AccessToken: seconds,
      Session: 86_400,
      Grant: 86_400,
      Interaction: 3600,
      RefreshToken: 86_400,
      IdToken: 3600,
      AuthorizationCode: 60,
      DeviceCode: 600,
    },
    clientDefaults: { id_token_signed_response_alg: "ES256", require_auth_time: true },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: async (ctx, form) => show(ctx, logoutPage(form)),
        postLogoutSuccessSource: async (ctx) =>
          show(ctx, page("Logged out", "<p>You can close this page.</p>")),
      },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: async (ctx, form, _out, error) =>
          show(ctx, devicePages.code(form, error === undefined ? null : "That is not the code. Try again.")),
        userCodeConfirmSource: async (ctx, form, client, _device, code) =>
          show(ctx, devicePages.confirm(form, client.clientName ?? client.clientId, code)),
        successSource: async (ctx) => show(ctx, devicePages.done()),
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, _resource, client) => ({
          scope: scopes,
          audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: seconds(null, null, client),
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    async issueRefreshToken(_ctx, client) {
      return client.grantTypeAllowed("refresh_token");
    },
    async findAccount(_ctx, id) {
      const person = humans.find(({ subject }) => subject === id);
      if (person === undefined) return undefined;
      const { subject, email, groups } = person;
      const claims = { sub: subject, email, email_verified: true, name: subject.split("@")[0], groups };
      return { accountId: subject, claims: async () => claims };
    },
    // Nobody is asked for consent: Postern is this provider's only reason to be.
    async loadExistingGrant(ctx) {
      const { oidc } = ctx;
      const known = oidc.result?.consent?.grantId ?? oidc.session?.grantIdFor(oidc.client.clientId);
      const found = known === undefined ? undefined : await oidc.provider.Grant.find(known);
      if (found !== undefined) return found;
      return makeGrant(oidc.provider, oidc.client.clientId, oidc.session?.accountId);
    },
    extraTokenClaims(ctx, token) {
      const person = personOf(token);
      if (person === undefined) return undefined;
      const authTime = token.accountId === undefined ? undefined : authTimeOf(ctx);
      const { groups, email } = person;
      return { groups, email, ...(authTime === undefined ? {} : { auth_time: authTime }) };
    },
    formats: {
      customizers: {
        // The grant has no end user, so `sub` would be the client's id; the demo's people have a name of their own.
        jwt(_ctx, token, parts) {
          const person = personOf(token);
          if (person !== undefined) parts.payload.sub = person.subject;
          return parts;
        },
      },
    },
    async renderError(ctx, out) {
      show(ctx, errorPage(out));
    },
  };
}

/** Everything that there is to ask for. */
async function makeGrant(
  { Grant }: Pick<Provider, "Grant">,
  clientId: string,
  accountId: string | undefined,
): Promise<Grant> {
  const grant = new Grant({ clientId, accountId });
  grant.addOIDCScope(scopes);
  grant.addResourceScope(resource, scopes);
  await grant.save();
  return grant;
}

/** Whose token it is: a person's who logged in, or the client's own. */
function personOf(token: { clientId: string; accountId?: string }): Person | undefined {
  const { accountId, clientId } = token;
  return accountId === undefined
    ? people.find(({ client }) => client === clientId)
    : humans.find(({ subject }) => subject === accountId);
}

/** When the person logged in, as what the token is given for remembers it (RFC 9068 section 2.2.1). */
function authTimeOf({ oidc: { entities } }: Context): number | undefined {
  const source: Source | undefined =
    entities.AuthorizationCode ?? entities.DeviceCode ?? entities.RefreshToken;
  return source?.authTime;
}

function show(ctx: Context, html: string): void {
  ctx.type = "html";
  ctx.body = html;
}

/** GET asks who it is, POST takes the answer. The provider's own cookie says whose interaction it is. */
async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { uid, params, prompt, session } = await provider.interactionDetails(request, response);
    if (request.url !== `/interaction/${uid}`) throw new Error("another interaction");
    if (prompt.name === "consent") {
      // Asked of native apps each time (RFC 8252 section 8.6): the person has just picked who they are.
      const grant = await makeGrant(provider, String(params.client_id), session?.accountId);
      await provider.interactionFinished(request, response, { consent: { grantId: grant.jti } });
      return;
    }
    if (prompt.name !== "login") throw new Error(`nothing to do for the prompt ${prompt.name}`);
    if (request.method === "POST") {
      const subject = new URLSearchParams(await readForm(request)).get("subject");
      const person = humans.find((one) => one.subject === subject);
      if (person === undefined) throw new Error("nobody of this name");
      const result = { login: { accountId: person.subject, remember: true } };
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
      return;
    }
    const client = await provider.Client.find(String(params.client_id));
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.setHeader("cache-control", "no-store");
    response.end(personPage(humans, `/interaction/${uid}`, client?.clientName ?? String(params.client_id)));
  } catch {
    response.statusCode = 400;
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(
      errorPage({ error: "this login is over", error_description: "begin anew where you came from" }),
    );
  }
}

async function readForm(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 4096) throw new Error("too long for this form");
  }
  return text;
}

/** The provider's private ES256 key as a JWK, made at the first start. */
function signingKey(state: DemoState): Record<string, unknown> {
  const kept = state.read("secrets/idp-key.json");
  if (kept !== null) return JSON.parse(kept) as Record<string, unknown>;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = {
    ...privateKey.export({ format: "jwk" }),
    use: "sig",
    alg: "ES256",
    kid: `demo-${Date.now().toString(36)}`,
  };
  state.write("secrets/idp-key.json", JSON.stringify(key));
  return key;
}

/** Runs `make` without the provider's notes on its in-memory adapter and the like, which are right but belong to no demo. */
function quietly<T>(make: () => T): T {
  const { info, warn } = console;
  console.info = () => {};
  console.warn = () => {};
  try {
    return make();
  } finally {
    console.info = info;
    console.warn = warn;
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
}
