/** Login by OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core section 3.1, RFC 7636, RFC 9207, RFC 9700). */
import * as oauth from "oauth4webapi";
import type { Principal } from "../../facts/principal.ts";
import { type Identity, IdentityError, type JsonObject } from "../../identity/index.ts";
import type { OidcClientSettings, OidcProviderSettings } from "../../identity/settings.ts";
import { sha256 } from "../digest.ts";
import { providerFetch, providerTimeoutMs } from "./fetch.ts";

/** What must be known when the browser comes back. */
export interface OidcFlow {
  readonly provider: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
  /** The person was asked to log in anew. */
  readonly stepUp: boolean;
  /** Seconds since the epoch. */
  readonly started: number;
}

export interface LoggedIn {
  readonly principal: Principal;
  /** Seconds since the epoch; null: the provider did not say. */
  readonly authTime: number | null;
  readonly sid: string | null;
}

/** A login that did not come about. `cause` is for the auditor, and holds no token, code or secret. */
export class LoginError extends Error {
  override readonly name = "LoginError";
  readonly code: LoginErrorCode;
  override readonly cause: string;
  constructor(code: LoginErrorCode, cause: string) {
    super(`login failed: ${code}`);
    this.code = code;
    this.cause = cause;
  }
}
export type LoginErrorCode =
  | "LOGIN_STATE"
  | "LOGIN_REFUSED"
  | "LOGIN_PROVIDER"
  | "LOGIN_TOKEN"
  | "LOGIN_STALE"
  | "LOGIN_AGENT";

/** Clocks of provider and gateway may differ by so many seconds. */
const skew = 30;
/** A login at the provider older than this is asked for anew, where the provider minds `max_age`. */
const maxAgeSeconds = 8 * 3600;

interface Client {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly options: {
    readonly [oauth.customFetch]: typeof providerFetch;
    readonly [oauth.allowInsecureRequests]: boolean;
    readonly signal: () => AbortSignal;
  };
}

type WithClient = OidcProviderSettings & { readonly client: OidcClientSettings };

/** Discovers the provider, each time: a login is rare, and what was true an hour ago may not be. Throws LoginError LOGIN_PROVIDER. */
async function open(settings: WithClient): Promise<Client> {
  const options = {
    [oauth.customFetch]: providerFetch,
    // providerFetch lets plain http pass on loopback alone.
    [oauth.allowInsecureRequests]: settings.issuer.startsWith("http:"),
    signal: () => AbortSignal.timeout(providerTimeoutMs),
  };
  return told("LOGIN_PROVIDER", async () => {
    const issuer = new URL(settings.issuer);
    const answer = await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...options });
    const server = await oauth.processDiscoveryResponse(issuer, answer);
    const client = { client_id: settings.client.id, [oauth.clockTolerance]: skew };
    return { server, client, options };
  });
}

/** Where the browser is to be sent, and what to remember until it is back. Throws LoginError. */
export async function beginOidc(
  settings: WithClient,
  redirectUri: string,
  stepUp: boolean,
): Promise<{ readonly url: string; readonly state: string; readonly flow: OidcFlow }> {
  const { server, client } = await open(settings);
  if (server.authorization_endpoint === undefined)
    throw new LoginError("LOGIN_PROVIDER", "the provider has no authorization endpoint");
  const url = new URL(server.authorization_endpoint);
  if (settings.issuer.startsWith("https:") && url.protocol !== "https:")
    throw new LoginError("LOGIN_PROVIDER", "the provider's authorization endpoint is not https");
  const verifier = oauth.generateRandomCodeVerifier();
  const nonce = oauth.generateRandomNonce();
  const state = oauth.generateRandomState();
  const { resource = null, scopes = ["openid", "profile", "email"] } = settings.client;
  const parameters: Record<string, string> = {
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: "code",
    scope: scopes.join(" "),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    max_age: String(stepUp ? 0 : maxAgeSeconds),
    ...(stepUp ? { prompt: "login" } : {}),
    ...(resource === null ? {} : { resource }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const started = Math.floor(Date.now() / 1000);
  return {
    url: url.href,
    state,
    flow: { provider: settings.name, nonce, verifier, redirectUri, stepUp, started },
  };
}

/** The person behind an answer of the provider. Throws LoginError. */
export async function finishOidc(
  settings: WithClient,
  identity: Pick<Identity, "authenticate" | "login">,
  flow: OidcFlow,
  answer: { readonly parameters: URLSearchParams; readonly state: string },
): Promise<LoggedIn> {
  const { server, client, options } = await open(settings);
  const { resource = null } = settings.client;
  const callback = await told("LOGIN_REFUSED", () =>
    oauth.validateAuthResponse(server, client, answer.parameters, answer.state),
  );
  const tokens = await told("LOGIN_TOKEN", async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      await authentication(settings.client, server),
      callback,
      flow.redirectUri,
      flow.verifier,
      { ...options, ...(resource === null ? {} : { additionalParameters: { resource } }) },
    );
    const read = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: flow.nonce,
      requireIdToken: true,
    });
    await oauth.validateApplicationLevelSignature(server, response, options);
    return read;
  });
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  if (claims === undefined) throw new LoginError("LOGIN_TOKEN", "the provider gave no ID token");
  const authTime = typeof claims.auth_time === "number" ? claims.auth_time : null;
  if (flow.stepUp && (authTime === null || authTime < flow.started - skew))
    throw new LoginError(
      "LOGIN_STALE",
      authTime === null
        ? "the provider does not say when the person logged in (auth_time)"
        : "the provider did not ask the person to log in anew",
    );
  const principal = await personOf(settings, identity, { server, client, options }, tokens, claims);
  if (principal.kind !== "human")
    throw new LoginError("LOGIN_AGENT", `a principal of kind ${principal.kind} gets no console session`);
  const sid = typeof claims.sid === "string" && claims.sid.length <= 1024 ? claims.sid : null;
  // Back-channel logout names the provider's session, which access tokens need not hold (OpenID Connect Back-Channel Logout section 2.4).
  const known = sid === null ? principal : { ...principal, claims: { ...principal.claims, sid } };
  return { principal: known, authTime, sid };
}

/**
 * The access token says most, where it is one that Postern accepts (a JWT for this audience); else the ID token with what the userinfo
 * endpoint adds (OpenID Connect Core section 5.3). Both must be of the same subject.
 */
async function personOf(
  settings: WithClient,
  identity: Pick<Identity, "authenticate" | "login">,
  { server, client, options }: Client,
  tokens: oauth.TokenEndpointResponse,
  claims: oauth.IDToken,
): Promise<Principal> {
  const access = await identity.authenticate(tokens.access_token).catch((error: unknown) => {
    if (error instanceof IdentityError && error.code !== "TOKEN_REVOKED" && error.code !== "GROUPS_OVERAGE")
      return null;
    throw refused(error);
  });
  if (access !== null) {
    if (access.issuer !== settings.issuer || access.claims.sub !== claims.sub)
      throw new LoginError("LOGIN_TOKEN", "access token and ID token are of different people");
    return access;
  }
  const more = await told("LOGIN_TOKEN", async () => {
    if (server.userinfo_endpoint === undefined) return {};
    const response = await oauth.userInfoRequest(server, client, tokens.access_token, options);
    return oauth.processUserInfoResponse(server, client, claims.sub, response);
  });
  try {
    return identity.login(settings.name, { ...more, ...claims } as JsonObject, {
      jti: null,
      sha256: sha256(tokens.id_token ?? ""),
      issued: claims.iat,
      expires: claims.exp,
    });
  } catch (error) {
    throw refused(error);
  }
}

function refused(error: unknown): unknown {
  return error instanceof IdentityError
    ? new LoginError("LOGIN_TOKEN", `${error.code}: ${error.cause}`)
    : error;
}

/** RFC 6749 section 2.3.1; RFC 8414: where a provider says nothing, it takes HTTP Basic. */
async function authentication(
  client: OidcClientSettings,
  server: oauth.AuthorizationServer,
): Promise<oauth.ClientAuth> {
  if (client.secret === null) return oauth.None();
  const secret = await client.secret.read();
  const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  return methods.includes("client_secret_basic") || !methods.includes("client_secret_post")
    ? oauth.ClientSecretBasic(secret)
    : oauth.ClientSecretPost(secret);
}

/** Errors of the library say what is wrong by a code; the rest of what they hold may be the provider's or the user's. */
async function told<T>(code: LoginErrorCode, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LoginError) throw error;
    const {
      name = "Error",
      code: own,
      error: said,
    } = error as { name?: string; code?: unknown; error?: unknown };
    const word = [own, said].find((text) => typeof text === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(text));
    throw new LoginError(
      code,
      word === undefined
        ? name
        : String(said ?? "") === ""
          ? String(word)
          : `${own}: ${String(said).slice(0, 64)}`,
    );
  }
}
