/** `postern login`, `logout` and `whoami`. */
import { createHash, randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import { hasBrowser, listenOnce, openBrowser } from "./account/browser.ts";
import { CliError } from "./account/error.ts";
import {
  ask,
  askToken,
  clean,
  describeGateway,
  expectOk,
  type GatewayInfo,
  gatewayUrl,
  type Place,
  type ProviderInfo,
} from "./account/gateway.ts";
import { loginByBrowser, loginByDevice, revoke } from "./account/oidc.ts";
import { removeFiles } from "./account/pgfiles.ts";
import {
  listProfiles,
  openProfile,
  type Profile,
  profileName,
  removeProfile,
  saveProfile,
  selectProfile,
} from "./account/profile.ts";
import { expiryOf, oidcPlace, openAccount } from "./account/tokens.ts";
import { workloadToken } from "./account/workload.ts";
import { readArgs, UsageError } from "./lib/args.ts";

const loginUsage = `Usage: postern login [URL] [--provider NAME] [--device | --ci] [--ca FILE] [--profile NAME]

Logs you in at the gateway with this address (that of its http listener; default: the one used before, or POSTERN_URL).

      --provider NAME  the identity provider, when there are several
      --device         show a code to be entered on another device; the default where there is no browser
      --ci             use the token of this CI job or workload: POSTERN_TOKEN_FILE, POSTERN_TOKEN, GitHub Actions, Kubernetes
      --ca FILE        PEM file with the authority of the gateway's certificate
      --profile NAME   name of this login, to keep several (default: the gateway's host)
      --json           print what "postern whoami --json" prints

The login is kept in POSTERN_HOME (default ~/.config/postern), readable by you alone, and renewed by itself.
`;

const say = (line: string) => void process.stderr.write(`${line}\n`);

/** Throws UsageError, CliError. */
export async function login(args: string[]): Promise<number> {
  const parsed = readArgs(
    args,
    loginUsage,
    {
      provider: { type: "string" },
      device: { type: "boolean" },
      ci: { type: "boolean" },
      ca: { type: "string" },
      profile: { type: "string" },
      json: { type: "boolean" },
    },
    { least: 0, most: 1 },
  );
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  if (values.ci === true && values.device === true)
    throw new UsageError("--ci and --device exclude each other", loginUsage);
  const place = placeOf(positionals[0], values.profile, values.ca);
  const name = values.profile ?? profileName(place.url);
  const info = await describeGateway(place);
  const base = { v: 1 as const, url: place.url, ca: place.ca, subject: "" };
  const how = values.ci === true ? "ci" : values.device === true || !hasBrowser() ? "device" : "browser";
  const provider = choose(info, values.provider, how);
  const profile = await begin(provider, place, base, how);
  // Whether the gateway takes it is found out before it is kept.
  const me = await whoIs(
    place,
    profile.kind === "ci" ? await posternToken(place, profile.audience) : profile.accessToken,
  );
  saveProfile(name, { ...profile, subject: me.subject });
  selectProfile(name);
  if (values.json === true) process.stdout.write(`${JSON.stringify({ profile: name, ...me })}\n`);
  else say(`Logged in at ${place.url} as ${clean(me.subject)} (${me.kind}).`);
  return 0;
}

function placeOf(url: string | undefined, profile: string | undefined, ca: string | undefined): Place {
  const given = url ?? process.env.POSTERN_URL;
  if (given !== undefined && given !== "")
    return { url: gatewayUrl(given), ca: ca === undefined ? null : resolve(ca) };
  if (listProfiles().length === 0) throw new UsageError("the gateway's address is missing", loginUsage);
  const known = openProfile(profile).profile;
  return { url: known.url, ca: ca === undefined ? known.ca : resolve(ca) };
}

/** Throws CliError when none, or more than one, would do. */
function choose(
  info: GatewayInfo,
  wanted: string | undefined,
  how: "ci" | "device" | "browser",
): ProviderInfo {
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

async function begin(
  provider: ProviderInfo,
  place: Place,
  base: { v: 1; url: string; ca: string | null; subject: string },
  how: "ci" | "device" | "browser",
): Promise<Profile> {
  if (how === "ci" && provider.type === "oidc") {
    const audience = provider.audience[0] ?? "postern";
    const { source } = await workloadToken(audience);
    return { ...base, provider: provider.name, kind: "ci", source, audience };
  }
  if (provider.type === "saml" || provider.client_id === null)
    return { ...base, provider: provider.name, ...(await throughGateway(place, provider)) };
  const at = {
    issuer: provider.issuer,
    clientId: provider.client_id,
    scopes: [...new Set([...provider.scopes, "offline_access"])],
    resource: provider.resource,
  };
  const tokens = how === "device" ? await loginByDevice(at, say) : await loginByBrowser(at, say);
  return { ...base, provider: provider.name, kind: "oidc", ...at, ...tokens };
}

/** A browser that is logged in to the gateway's console hands a code over (src/api/oauth/handover.ts). */
async function throughGateway(place: Place, provider: ProviderInfo) {
  const verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  const state = randomBytes(24).toString("base64url");
  const loopback = await listenOnce(state);
  try {
    const onward = `/cli/login?port=${loopback.port}&challenge=${challenge}&state=${state}`;
    const url = new URL("/login", place.url);
    url.searchParams.set("provider", provider.name);
    url.searchParams.set("return", onward);
    const match = createHash("sha256").update(challenge).digest("hex").slice(0, 8).toUpperCase();
    say(`Log in in your browser; the page shows the code  ${match.slice(0, 4)}-${match.slice(4)}`);
    say("If it does not open, go to:");
    say(`  ${url.href}`);
    openBrowser(url.href);
    const answer = await loopback.callback;
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
async function posternToken(place: Place, audience: string): Promise<string> {
  const { token } = await workloadToken(audience);
  const issued = await askToken(place, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: token,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
  });
  return issued.access_token;
}

const me = z.object({
  subject: z.string(),
  issuer: z.string(),
  provider: z.string(),
  email: z.string().nullable(),
  kind: z.string(),
  groups: z.array(z.string()),
  actor: z.array(z.object({ subject: z.string(), issuer: z.string().nullable() })),
  roles: z.array(z.string()),
  databases: z.array(z.object({ name: z.string() })),
  expires: z.string(),
});
export type Me = z.output<typeof me>;

/** Who a token is at the gateway. Throws CliError. */
export async function whoIs(place: Place, token: string): Promise<Me> {
  const parsed = me.safeParse(
    expectOk(await ask(place, "/api/me", { token }), "the gateway does not take the login"),
  );
  if (!parsed.success) throw new CliError(3, "the gateway's answer cannot be read");
  return parsed.data;
}

const logoutUsage = `Usage: postern logout [--profile NAME] [--all]

Ends the login: the refresh token is revoked at the identity provider, and what was kept here is removed.

      --all  every login
`;

/** Throws UsageError, CliError. */
export async function logout(args: string[]): Promise<number> {
  const parsed = readArgs(args, logoutUsage, { profile: { type: "string" }, all: { type: "boolean" } });
  if (parsed === null) return 0;
  const names = parsed.values.all === true ? listProfiles() : [openProfile(parsed.values.profile).name];
  let code = 0;
  for (const name of names) {
    try {
      await endLogin(openProfile(name).profile);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      // What is kept here goes in any case; what could not be told is told to the user.
      say(`${name}: ${error.message}; removed here all the same`);
      code = error.exitCode;
    }
    removeProfile(name);
    removeFiles(name);
    say(`Logged out of ${name}.`);
  }
  return code;
}

async function endLogin(profile: Profile): Promise<void> {
  switch (profile.kind) {
    case "oidc":
      if (profile.refreshToken !== null) await revoke(oidcPlace(profile), profile.refreshToken);
      // Its access token may live for an hour yet: the gateway takes it no more.
      await endToken(profile);
      return;
    case "gateway":
      return endToken(profile);
    case "ci":
      return;
  }
}

async function endToken(profile: Exclude<Profile, { kind: "ci" }>): Promise<void> {
  if (profile.accessExpires <= Date.now() / 1000) return;
  const form = new URLSearchParams({ token: profile.accessToken });
  expectOk(await ask({ url: profile.url, ca: profile.ca }, "/oauth/revoke", { form }), "the logout");
}

const whoamiUsage = `Usage: postern whoami [--profile NAME] [--json]

Says who the gateway takes you for.
`;

/** Throws UsageError, CliError. */
export async function whoami(args: string[]): Promise<number> {
  const parsed = readArgs(args, whoamiUsage, { profile: { type: "string" }, json: { type: "boolean" } });
  if (parsed === null) return 0;
  const account = openAccount(parsed.values.profile);
  const { kind } = account.profile;
  const who = await whoIs(
    account.place,
    kind === "ci" ? (await account.issue()).access_token : await account.access(),
  );
  if (parsed.values.json === true) {
    process.stdout.write(
      `${JSON.stringify({ profile: account.name, gateway: account.place.url, ...who })}\n`,
    );
    return 0;
  }
  const rows: [string, string][] = [
    ["subject", who.subject],
    ["kind", who.kind],
    ["email", who.email ?? "-"],
    ["provider", `${who.provider} (${who.issuer})`],
    ["groups", who.groups.join(", ") || "-"],
    ["acting", who.actor.map((one) => one.subject).join(" for ") || "-"],
    ["roles", who.roles.join(", ") || "-"],
    ["databases", who.databases.map((one) => one.name).join(", ") || "-"],
    ["gateway", account.place.url],
    ["until", who.expires],
  ];
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(10)} ${clean(value)}\n`);
  return 0;
}
