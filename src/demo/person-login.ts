/** A person of the demo logs in as in a browser: authorization code with PKCE (RFC 7636, RFC 8252), and picks who it is. */
import { createHash, randomBytes } from "node:crypto";
import { cliClient } from "./idp-clients.ts";
import type { Person } from "./people.ts";

const redirectUri = "http://127.0.0.1/callback";
const maxSteps = 10;

/**
 * Gives an access token that says when the person showed itself (`auth_time`), as approving needs it.
 * Rejects with an Error that says at which address it went wrong.
 */
export async function logIn(issuer: string, person: Person): Promise<string> {
  const verifier = randomBytes(32).toString("base64url");
  const state = randomBytes(16).toString("base64url");
  const authorize = new URL("/auth", issuer);
  authorize.search = new URLSearchParams({
    client_id: cliClient,
    response_type: "code",
    redirect_uri: redirectUri,
    scope: "openid profile email groups",
    state,
    prompt: "login",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  }).toString();
  const code = await codeOf(authorize, person, state);
  const response = await fetch(new URL("/token", issuer), {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: cliClient,
      redirect_uri: redirectUri,
      code,
      code_verifier: verifier,
    }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: unknown };
  if (typeof token !== "string") throw new Error(`the demo's OIDC provider gave ${person.subject} no token`);
  return token;
}

/** Follows the provider from page to page, with its cookies, until it sends the browser back. */
async function codeOf(start: URL, person: Person, state: string): Promise<string> {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | null = null;
  for (let step = 0; step < maxSteps; step++) {
    const response: Response = await fetch(url, {
      method: form === null ? "GET" : "POST",
      body: form,
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (location === null && form === null && response.ok && url.pathname.startsWith("/interaction/")) {
      form = new URLSearchParams({ subject: person.subject });
      continue;
    }
    if (location === null) throw new Error(`the demo's login of ${person.subject} ended at ${url.pathname}`);
    url = new URL(location, url);
    form = null;
    if (!url.href.startsWith(`${redirectUri}?`)) continue;
    const code = url.searchParams.get("code");
    if (code === null || url.searchParams.get("state") !== state)
      throw new Error(`the demo's login of ${person.subject} was refused`);
    return code;
  }
  throw new Error(`the demo's login of ${person.subject} goes in circles`);
}
