/** What `postern mcp` makes of the login that is kept: a Postern token for MCP alone, exchanged anew before it ends. */
import { CliError } from "../account/error.ts";
import { listProfiles, openProfile, readProfile } from "../account/profile.ts";
import { type Account, openAccount } from "../account/tokens.ts";
import type { Access } from "./bridge.ts";

export interface LoginOptions {
  /** The gateway that is asked for; null: that of the login. */
  readonly endpoint: URL | null;
  readonly agent: string | undefined;
  readonly profile: string | undefined;
  readonly ca: string | null;
  /** Throws UsageError. */
  endpointOf(address: string): URL;
}

export interface LoginAccess {
  /** Rejects with CliError when nobody is logged in, or the login has ended. The login may come while the bridge runs. */
  access(again: boolean): Promise<Access>;
  /** What to do before this can work; null: there is a login. */
  fault(): string | null;
  /** The gateway of the login; null: there is none. */
  place(): Pick<Access, "endpoint" | "ca"> | null;
}

const lifeSeconds = 3600;
/** Left of a token's life when it is exchanged anew. */
const marginMs = 60_000;

/** Gives access by the login of the named profile, or of the gateway that is asked for. Reads nothing until it is asked. */
export function loginAccess({ endpoint, agent, profile, ca, endpointOf }: LoginOptions): LoginAccess {
  let kept: { readonly of: string; readonly token: string; readonly until: number } | null = null;
  let asking: Promise<string> | null = null;

  /** Throws CliError. */
  function account(): Account {
    const found = openAccount(nameOf(endpoint, profile));
    if (endpoint !== null && new URL(found.place.url).origin !== endpoint.origin)
      throw new CliError(
        1,
        `the login ${found.name} is one of another gateway`,
        `Log in: postern login ${endpoint.origin}`,
      );
    return found;
  }

  async function exchange(found: Account): Promise<string> {
    const started = Date.now();
    const issued = await found.issue({
      audience: "mcp",
      seconds: lifeSeconds,
      ...(agent === undefined ? {} : { agent }),
    });
    kept = {
      of: keyOf(found),
      token: issued.access_token,
      until: started + issued.expires_in * 1000 - marginMs,
    };
    return issued.access_token;
  }

  return {
    async access(again) {
      const found = account();
      if (again) kept = null;
      const good = kept !== null && kept.of === keyOf(found) && kept.until > Date.now() ? kept.token : null;
      // Many requests may need a new one at a time.
      if (good === null)
        asking ??= exchange(found).finally(() => {
          asking = null;
        });
      const token = good ?? (await asking) ?? "";
      return { endpoint: endpoint ?? endpointOf(found.place.url), ca: ca ?? found.place.ca, token };
    },
    fault() {
      try {
        account();
        return null;
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        return error.hint === null ? error.message : `${error.message} (${error.hint})`;
      }
    },
    place() {
      if (listProfiles().length === 0) return null;
      const found = openProfile(profile).profile;
      return { endpoint: endpointOf(found.url), ca: found.ca };
    },
  };
}

/** Somebody else may have logged in meanwhile. */
function keyOf({ name, profile }: Account): string {
  return JSON.stringify([name, profile.url, profile.provider, profile.subject]);
}

/** The profile for a gateway; undefined: the current one. Throws CliError when nobody has logged in there. */
function nameOf(endpoint: URL | null, wanted: string | undefined): string | undefined {
  if (wanted !== undefined || endpoint === null) return wanted;
  const at = (name: string | undefined) =>
    name !== undefined && readProfile(name)?.url === endpoint.origin ? name : undefined;
  const current = listProfiles().length === 0 ? undefined : openCurrent();
  const found = at(current) ?? listProfiles().find((name) => at(name) !== undefined);
  if (found === undefined)
    throw new CliError(
      1,
      `you are not logged in at ${endpoint.origin}`,
      `Log in: postern login ${endpoint.origin}`,
    );
  return found;
}

function openCurrent(): string | undefined {
  try {
    return openProfile(undefined).name;
  } catch {
    return undefined;
  }
}
