/** Logging in at an OpenID Connect provider: authorization code with PKCE on loopback, device code, refreshing, logging out. */
import { setTimeout as sleep } from "node:timers/promises";
import * as oauth from "oauth4webapi";
import { providerFetch } from "../../api/login/fetch.ts";
import { urlFault } from "../../identity/fetch.ts";
import { listenOnce, openBrowser } from "./browser.ts";
import { CliError } from "./error.ts";
import { clean } from "./gateway.ts";

export interface OidcPlace {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly resource: string | null;
}

export interface OidcTokens {
  readonly accessToken: string;
  /** Seconds since the epoch. */
  readonly accessExpires: number;
  readonly refreshToken: string | null;
}

export interface LoginOptions {
  /** The person shows themselves anew (OpenID Connect Core section 3.1.2.1: prompt=login, max_age=0). */
  readonly fresh?: boolean;
  readonly open?: (url: string) => void;
  readonly signal?: AbortSignal;
}

/** Says things to the user while the login goes on. */
export type Tell = (line: string) => void;

interface Opened {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly options: {
    readonly [oauth.customFetch]: typeof providerFetch;
    readonly [oauth.allowInsecureRequests]: boolean;
    readonly signal: () => AbortSignal;
  };
}

const timeoutMs = 15_000;
/** Between the provider's clock and ours, in seconds. */
const clockSkew = 60;
/** When the provider does not say how long its token lives. */
const defaultLifetime = 300;

/** Reads the provider's metadata (OpenID Connect Discovery, RFC 8414). Throws CliError. */
export async function discover(place: OidcPlace): Promise<Opened> {
  const fault = urlFault(place.issuer);
  if (fault !== null)
    throw new CliError(1, `the gateway names an identity provider that cannot be used: ${fault}`);
  const issuer = new URL(place.issuer);
  const options = {
    // Plain http on loopback alone, no redirects, and no more than fits.
    [oauth.customFetch]: providerFetch,
    [oauth.allowInsecureRequests]: issuer.protocol === "http:",
    signal: () => AbortSignal.timeout(timeoutMs),
  };
  const server = await told("the identity provider", async () =>
    oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options)),
  );
  return { server, client: { client_id: place.clientId }, options };
}

/** RFC 8252, RFC 7636: the browser logs in and comes back to a port of ours. Throws CliError. */
export async function loginByBrowser(
  place: OidcPlace,
  tell: Tell,
  { fresh = false, open = openBrowser }: LoginOptions = {},
): Promise<OidcTokens> {
  const { server, client, options } = await discover(place);
  const endpoint = server.authorization_endpoint;
  if (endpoint === undefined) throw new CliError(3, "the identity provider has no authorization endpoint");
  checkPage(endpoint, "authorization endpoint");
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const loopback = await listenOnce(state);
  const started = Date.now();
  try {
    const redirect = `http://127.0.0.1:${loopback.port}/callback`;
    const url = new URL(endpoint);
    const parameters = {
      client_id: place.clientId,
      response_type: "code",
      redirect_uri: redirect,
      scope: place.scopes.join(" "),
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...asked(place, fresh),
      ...(place.resource === null ? {} : { resource: place.resource }),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    tell("Log in in your browser. If it does not open, go to:");
    tell(`  ${url.href}`);
    open(url.href);
    const answer = await loopback.callback;
    return await told("the login", async () => {
      const callback = oauth.validateAuthResponse(server, client, answer, state);
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        oauth.None(),
        callback,
        redirect,
        verifier,
        withResource(place, options),
      );
      const answered = await oauth.processAuthorizationCodeResponse(server, client, response, {
        expectedNonce: nonce,
      });
      if (fresh) checkFresh(answered, started);
      return tokensOf(answered);
    });
  } finally {
    loopback.close();
  }
}

/** RFC 8628: the user logs in on any other device. Throws CliError. */
export async function loginByDevice(
  place: OidcPlace,
  tell: Tell,
  { fresh = false, signal }: LoginOptions = {},
): Promise<OidcTokens> {
  const { server, client, options } = await discover(place);
  if (server.device_authorization_endpoint === undefined)
    throw new CliError(1, "the identity provider knows no device login", "Log in where there is a browser.");
  const device = await told("the device login", async () =>
    oauth.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth.deviceAuthorizationRequest(
        server,
        client,
        oauth.None(),
        {
          scope: place.scopes.join(" "),
          ...(fresh ? { prompt: "login", max_age: "0" } : {}),
          ...(place.resource === null ? {} : { resource: place.resource }),
        },
        options,
      ),
    ),
  );
  checkPage(device.verification_uri, "page for codes");
  if (device.verification_uri_complete !== undefined)
    checkPage(device.verification_uri_complete, "page for codes");
  const started = Date.now();
  tell("Open this address on any device:");
  tell(`  ${clean(device.verification_uri)}`);
  tell(`and enter the code  ${clean(device.user_code)}`);
  if (device.verification_uri_complete !== undefined)
    tell(`(or, with the code in it: ${clean(device.verification_uri_complete)})`);
  let interval = Math.min(Math.max(device.interval ?? 5, 1), 60);
  const deadline = Date.now() + Math.min(device.expires_in, 1800) * 1000;
  while (Date.now() < deadline) {
    await sleep(interval * 1000, undefined, signal === undefined ? {} : { signal });
    try {
      const response = await oauth.deviceCodeGrantRequest(
        server,
        client,
        oauth.None(),
        device.device_code,
        withResource(place, options),
      );
      const answered = await oauth.processDeviceCodeResponse(server, client, response);
      if (fresh) checkFresh(answered, started);
      return tokensOf(answered);
    } catch (error) {
      // Somebody is typing the code: the network may come back. Section 3.5: less often after a time-out.
      if (isPassing(error)) {
        interval = Math.min(interval * 2, 60);
        continue;
      }
      if (!(error instanceof oauth.ResponseBodyError)) throw asCliError("the device login", error);
      if (error.error === "slow_down") interval += 5;
      else if (error.error !== "authorization_pending") throw asCliError("the device login", error);
    }
  }
  throw new CliError(1, "nobody entered the code in time", "Run postern login --device again.");
}

/** A fresh access token (RFC 6749 section 6); the refresh token may be replaced with it. Throws CliError. */
export async function refresh(place: OidcPlace, refreshToken: string): Promise<OidcTokens> {
  const { server, client, options } = await discover(place);
  return told("your login could not be renewed", async () => {
    const response = await oauth.refreshTokenGrantRequest(
      server,
      client,
      oauth.None(),
      refreshToken,
      withResource(place, options),
    );
    const fresh = tokensOf(await oauth.processRefreshTokenResponse(server, client, response));
    return { ...fresh, refreshToken: fresh.refreshToken ?? refreshToken };
  });
}

/** Tells the provider that a refresh token is not needed any more (RFC 7009). false: it has no way to be told. Throws CliError. */
export async function revoke(place: OidcPlace, refreshToken: string): Promise<boolean> {
  const { server, client, options } = await discover(place);
  if (server.revocation_endpoint === undefined) return false;
  await told("the logout", async () =>
    oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, oauth.None(), refreshToken, options),
    ),
  );
  return true;
}

/** A browser opens whatever it is given: files of this machine, other programs. Throws CliError for anything but a web page. */
function checkPage(url: string, what: string): void {
  const fault = urlFault(url);
  if (fault !== null) throw new CliError(1, `the identity provider's ${what} cannot be used: ${fault}`);
}

function withResource(place: OidcPlace, options: Opened["options"]) {
  return place.resource === null
    ? options
    : { ...options, additionalParameters: { resource: place.resource } };
}

/** What the provider is to ask the person. */
function asked(place: OidcPlace, fresh: boolean): Record<string, string> {
  // Some providers give refresh tokens only after being asked for consent.
  const prompts = [
    ...(fresh ? ["login"] : []),
    ...(place.scopes.includes("offline_access") ? ["consent"] : []),
  ];
  return {
    ...(prompts.length > 0 ? { prompt: prompts.join(" ") } : {}),
    ...(fresh ? { max_age: "0" } : {}),
  };
}

/** A provider may ignore that it was to ask: where the ID token says when the person logged in, that is looked at. Throws CliError. */
function checkFresh(answer: oauth.TokenEndpointResponse, started: number): void {
  const time = oauth.getValidatedIdTokenClaims(answer)?.auth_time;
  if (time !== undefined && time < started / 1000 - clockSkew)
    throw new CliError(1, "the identity provider did not ask you to log in anew");
}

function tokensOf(answer: oauth.TokenEndpointResponse): OidcTokens {
  return {
    accessToken: answer.access_token,
    accessExpires: Math.floor(Date.now() / 1000) + (answer.expires_in ?? defaultLifetime),
    refreshToken: answer.refresh_token ?? null,
  };
}

/** Nobody answered, or not in time; what we refuse ourselves has no code of the system's behind it. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return error.name === "TimeoutError" || (error instanceof TypeError && typeof cause?.code === "string");
}

async function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asCliError(what, error);
  }
}

/** Errors of the provider in its own words; no token is in them. */
function asCliError(what: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
    const why = error.error_description ?? error.error;
    const again = error.error === "invalid_grant" ? "Log in again: postern login" : null;
    return new CliError(1, `${what}: ${clean(why)}`, again);
  }
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  const code = cause?.code ?? (error instanceof Error ? error.message : "failed");
  return new CliError(3, `${what}: ${clean(String(code))}`, "postern doctor says more.");
}
