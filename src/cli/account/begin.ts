/** A login begins: which provider, and by which way. */
import { createHash, randomBytes } from "node:crypto";
import { workloadAudience } from "./audience.ts";
import { listenOnce, openBrowser } from "./browser.ts";
import { CliError } from "./error.ts";
import { askToken, clean, type GatewayInfo, type Place, type ProviderInfo } from "./gateway.ts";
import { loginByBrowser, loginByDevice } from "./oidc.ts";
import type { Profile } from "./profile.ts";
import { expiryOf } from "./tokens.ts";
import { isGiven, workloadToken } from "./workload.ts";

export type How = "ci" | "device" | "browser";

export interface Beginning {
  readonly how: How;
  /** The person shows themselves anew, also where a login is still open. */
  readonly fresh: boolean;
  /** Whether it is to outlive its access token. */
  readonly keep: boolean;
  /** The gateway's address, as it says itself. */
  readonly issuer: string;
  /** For whom a workload's token is to be; undefined: the gateway says. */
  readonly audience?: string | undefined;
}

/** To the person at the terminal. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Throws CliError when none, or more than one, would do. */
export function choose(info: GatewayInfo, wanted: string | undefined, how: How): ProviderInfo {
  const able = info.providers.filter((one) => {
    if (how === "ci") return one.type === "oidc";
    return one.type === "saml"
      ? how === "browser"
      : one.client_id !== null || (how === "browser" && one.login !== null);
  });
  if (wanted !== undefined) {
    const found = able.find((one) => one.name === wanted);
    if (found !== undefined) return found;
    const there = info.providers.some((one) => one.name === wanted);
    throw new CliError(
      2,
      there ? `one cannot log in at ${wanted} like this` : `there is no provider ${JSON.stringify(wanted)}`,
      there
        ? "Its `client` in postern.yaml needs an id without secret (`cli`); SAML needs a browser."
        : `Providers: ${info.providers.map((one) => one.name).join(", ")}`,
    );
  }
  const github = able.find(
    (one) => one.type === "oidc" && one.issuer === "https://token.actions.githubusercontent.com",
  );
  if (how === "ci" && github !== undefined && process.env.GITHUB_ACTIONS === "true") return github;
  const [only] = able;
  if (only !== undefined && (able.length === 1 || how === "ci")) return only;
  throw new CliError(
    2,
    only === undefined ? "the gateway names no provider for this" : "the gateway has several providers",
    only === undefined
      ? "Its administrator gives one a `client` with `cli` in postern.yaml (docs/identity.md)."
      : `--provider ${able.map((one) => one.name).join(" | ")}`,
  );
}

/** Logs in at a provider in the way that it and the caller allow, and gives the profile to be kept. Rejects with CliError. */
export async function begin(
  provider: ProviderInfo,
  place: Place,
  base: { v: 1; url: string; ca: string | null; subject: string },
  { how, fresh, keep, issuer, audience: wanted }: Beginning,
): Promise<Profile> {
  if (how === "ci" && provider.type === "oidc") {
    const audience = isGiven()
      ? (wanted ?? provider.audience[0] ?? "postern")
      : workloadAudience(provider.audience, place.url, wanted);
    const { source } = await workloadToken(audience);
    return { ...base, provider: provider.name, kind: "ci", source, audience };
  }
  if (provider.type === "saml" || provider.client_id === null)
    return {
      ...base,
      provider: provider.name,
      ...(await throughGateway(place, provider, { fresh, issuer })),
    };
  const at = {
    issuer: provider.issuer,
    clientId: provider.client_id,
    scopes: keep
      ? [...new Set([...provider.scopes, "offline_access"])]
      : provider.scopes.filter((scope) => scope !== "offline_access"),
    resource: provider.resource,
  };
  say(`${place.url} takes tokens of ${clean(provider.issuer)}.`);
  const tokens =
    how === "device" ? await loginByDevice(at, say, { fresh }) : await loginByBrowser(at, say, { fresh });
  return { ...base, provider: provider.name, kind: "oidc", ...at, ...tokens };
}

/** A browser that is logged in to the gateway's console hands a code over (src/api/oauth/handover.ts). */
async function throughGateway(
  place: Place,
  provider: ProviderInfo,
  { fresh, issuer }: { readonly fresh: boolean; readonly issuer: string },
) {
  // The browser comes back there, with the console's cookie of there.
  if (issuer !== place.url)
    throw new CliError(
      1,
      `the gateway at ${place.url} says that its address is ${issuer}`,
      `Log in there, if you trust it: postern login ${issuer}`,
    );
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const state = randomBytes(24).toString("base64url");
  const loopback = await listenOnce(state);
  try {
    const onward = `/cli/login?port=${loopback.port}&challenge=${challenge}&state=${state}`;
    const url = new URL("/login", place.url);
    url.searchParams.set("provider", provider.name);
    if (fresh) url.searchParams.set("step_up", "1");
    url.searchParams.set("return", onward);
    const match = createHash("sha256").update(challenge).digest("hex").slice(0, 8).toUpperCase();
    say(`Log in in your browser; the page shows the code  ${match.slice(0, 4)}-${match.slice(4)}`);
    say("If it does not open, go to:");
    say(`  ${url.href}`);
    openBrowser(url.href);
    const answer = await loopback.callback;
    // RFC 9207: a code of another gateway is not shown to this one, which could use it there.
    if (answer.searchParams.get("iss") !== issuer)
      throw new CliError(
        1,
        "the login was completed at another gateway: nothing was sent",
        `It was begun at ${place.url}. Somebody may have tried to act as you; tell your administrator.`,
      );
    const issued = await askToken(place, {
      grant_type: "authorization_code",
      code: answer.searchParams.get("code") ?? "",
      code_verifier: verifier,
      expires_in: "3600",
    });
    return { kind: "gateway" as const, accessToken: issued.access_token, accessExpires: expiryOf(issued) };
  } finally {
    loopback.close();
  }
}

/** A workload's own token need not be one that the API takes as it is: it is exchanged, as it will be later. */
export async function posternToken(place: Place, audience: string): Promise<string> {
  const { token } = await workloadToken(audience);
  const issued = await askToken(place, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: token,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
  });
  return issued.access_token;
}
