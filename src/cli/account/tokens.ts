/** Tokens for the gateway, from the login that is kept: refreshed when they end, exchanged for what they are needed for. */
import { CliError } from "./error.ts";
import { askToken, type Issued, type Place } from "./gateway.ts";
import { type OidcPlace, refresh } from "./oidc.ts";
import { locked, openProfile, type Profile, readProfile, saveProfile } from "./profile.ts";
import { workloadToken } from "./workload.ts";

/** Left of a token's life when it is renewed, in seconds. */
const margin = 60;

export interface Account {
  readonly name: string;
  readonly place: Place;
  readonly profile: Profile;
  /** A token of the provider (or of Postern) that is good for a minute at least. Rejects with CliError. */
  access(): Promise<string>;
  /** A Postern token. Rejects with CliError. */
  issue(request?: TokenRequest): Promise<Issued>;
}

export interface TokenRequest {
  readonly audience?: string;
  readonly database?: string;
  readonly agent?: string;
  readonly seconds?: number;
}

/** The account of a profile; undefined: the current one. Throws CliError when nobody is logged in. */
export function openAccount(wanted: string | undefined): Account {
  const { name, profile } = openProfile(wanted);
  const place = { url: profile.url, ca: profile.ca };
  const access = () => freshAccess(name);
  return {
    name,
    place,
    profile,
    access,
    async issue(request = {}) {
      const token = await access();
      return askToken(place, {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: token,
        subject_token_type: subjectType(token),
        ...(request.audience === undefined ? {} : { scope: request.audience }),
        ...(request.database === undefined ? {} : { database: request.database }),
        // Without an agent a Postern token would be replaced: the one of the login must live on.
        ...agentOf(profile, request),
        ...(request.seconds === undefined ? {} : { expires_in: String(request.seconds) }),
      });
    },
  };
}

function agentOf(profile: Profile, { agent }: TokenRequest): Record<string, string> {
  if (agent !== undefined) return { agent };
  return profile.kind === "gateway" ? { keep: "true" } : {};
}

/** RFC 8693 section 3: a SAML assertion has no dots. */
export function subjectType(token: string): string {
  const saml = !token.includes(".") && !token.startsWith("pgt_");
  return `urn:ietf:params:oauth:token-type:${saml ? "saml2" : "access_token"}`;
}

async function freshAccess(name: string): Promise<string> {
  const good = (profile: Profile | null): string | null =>
    profile !== null && profile.kind !== "ci" && profile.accessExpires - margin > Date.now() / 1000
      ? profile.accessToken
      : null;
  const first = readProfile(name);
  if (first === null) throw new CliError(1, "you are not logged in", "postern login");
  if (first.kind === "ci") return (await workloadToken(first.audience)).token;
  return (
    good(first) ??
    (await locked(name, async () => {
      // Another process may have renewed it meanwhile.
      const profile = readProfile(name);
      if (profile === null || profile.kind === "ci")
        throw new CliError(1, "you are not logged in", "postern login");
      const fresh = good(profile);
      if (fresh !== null) return fresh;
      const renewed = await renew(profile);
      saveProfile(name, renewed);
      return renewed.accessToken;
    }))
  );
}

async function renew(profile: Exclude<Profile, { kind: "ci" }>): Promise<typeof profile> {
  const over = new CliError(1, "your login has ended", `Log in again: postern login ${profile.url}`);
  switch (profile.kind) {
    case "oidc": {
      if (profile.refreshToken === null) throw over;
      return { ...profile, ...(await refresh(oidcPlace(profile), profile.refreshToken)) };
    }
    case "gateway": {
      if (profile.accessExpires <= Date.now() / 1000) throw over;
      const next = await askToken(
        { url: profile.url, ca: profile.ca },
        {
          grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
          subject_token: profile.accessToken,
          subject_token_type: subjectType(profile.accessToken),
          expires_in: "3600",
        },
      );
      return { ...profile, accessToken: next.access_token, accessExpires: expiryOf(next) };
    }
  }
}

export function oidcPlace(profile: Extract<Profile, { kind: "oidc" }>): OidcPlace {
  const { issuer, clientId, scopes, resource } = profile;
  return { issuer, clientId, scopes, resource };
}

export function expiryOf(issued: Issued): number {
  return Math.floor(Date.now() / 1000) + issued.expires_in;
}
