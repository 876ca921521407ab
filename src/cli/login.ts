/** `postern login`, `logout` and `whoami`. */
import { resolve } from "node:path";
import { refuseShared } from "./account/audience.ts";
import { begin, choose, posternToken, say } from "./account/begin.ts";
import { hasBrowser } from "./account/browser.ts";
import { CliError } from "./account/error.ts";
import {
  ask,
  checkIssuer,
  clean,
  describeGateway,
  expectOk,
  gatewayUrl,
  type Place,
} from "./account/gateway.ts";
import { revoke } from "./account/oidc.ts";
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
import { oidcPlace, openAccount } from "./account/tokens.ts";
import { whoIs } from "./account/who.ts";
import { readArgs, UsageError } from "./lib/args.ts";

const loginUsage = `Usage: postern login [URL] [--provider NAME] [--device | --ci] [--fresh] [--ca FILE] [--profile NAME]
                     [--audience NAME] [--shared]

Logs you in at the gateway with this address (that of its http listener; default: the one used before, or POSTERN_URL).

      --provider NAME  the identity provider, when there are several
      --device         show a code to be entered on another device; the default where there is no browser
      --ci             use the token of this CI job or workload: POSTERN_TOKEN_FILE, POSTERN_TOKEN, GitHub Actions, Kubernetes
      --fresh          show yourself anew, also where a login is still open: what deciding on approvals needs
      --ca FILE        PEM file with the authority of the gateway's certificate
      --audience NAME  for whom the token of a job or workload is to be, where the gateway's own name is another
      --shared         send the token although it would be good at another gateway where you are logged in, too
      --profile NAME   name of this login, to keep several (default: the gateway's host)
      --json           print what "postern whoami --json" prints

The login is kept in POSTERN_HOME (default ~/.config/postern), readable by you alone, and renewed by itself.
`;

/** Throws UsageError, CliError. */
export async function login(args: string[]): Promise<number> {
  const parsed = readArgs(
    args,
    loginUsage,
    {
      provider: { type: "string" },
      device: { type: "boolean" },
      ci: { type: "boolean" },
      fresh: { type: "boolean" },
      ca: { type: "string" },
      profile: { type: "string" },
      audience: { type: "string" },
      shared: { type: "boolean" },
      json: { type: "boolean" },
    },
    { least: 0, most: 1 },
  );
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  if (values.ci === true && values.device === true)
    throw new UsageError("--ci and --device exclude each other", loginUsage);
  if (values.ci !== true && values.audience !== undefined)
    throw new UsageError("--audience is for --ci", loginUsage);
  if (values.ci === true && values.fresh === true)
    throw new UsageError("--ci and --fresh exclude each other: no person shows themselves", loginUsage);
  const place = placeOf(positionals[0], values.profile, values.ca);
  const name = values.profile ?? profileName(place.url);
  const info = await describeGateway(place);
  checkIssuer(place, info);
  const base = { v: 1 as const, url: place.url, ca: place.ca, subject: "" };
  const how = values.ci === true ? "ci" : values.device === true || !hasBrowser() ? "device" : "browser";
  const provider = choose(info, values.provider, how);
  const profile = await begin(provider, place, base, {
    how,
    fresh: values.fresh === true,
    keep: true,
    issuer: info.issuer,
    audience: values.audience,
  });
  if (values.shared !== true) refuseShared(profile, listProfiles());
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
