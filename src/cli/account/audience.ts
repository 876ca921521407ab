/**
 * For whom a token may be that a gateway gets. A gateway says itself for whom; one that lies could ask for tokens that are good elsewhere, at
 * another gateway or at a cloud (RFC 9700 section 4.8.1).
 */
import { CliError } from "./error.ts";
import { clean } from "./gateway.ts";
import { openProfile, type Profile } from "./profile.ts";

/**
 * The audience for which a workload's platform is asked for a token: the gateway's own address, or the word "postern"; any other only when the
 * caller names it. Throws CliError.
 *
 * @param offered what the gateway says, best first.
 * @param gateway its origin.
 * @param wanted `--audience`.
 */
export function workloadAudience(
  offered: readonly string[],
  gateway: string,
  wanted: string | undefined,
): string {
  if (wanted !== undefined) {
    if (offered.includes(wanted)) return wanted;
    throw new CliError(
      2,
      `the gateway takes no token for ${JSON.stringify(wanted)}`,
      `It takes: ${offered.join(", ")}`,
    );
  }
  const own = offered.find((one) => URL.canParse(one) && new URL(one).origin === gateway);
  const fits = own ?? offered.find((one) => one === "postern");
  if (fits !== undefined) return fits;
  throw new CliError(
    1,
    `${gateway} asks for a token for ${offered.map((one) => JSON.stringify(one)).join(" or ")}, which is not its own name`,
    "If you know that this gateway is meant by it, say so: --audience NAME.",
  );
}

/** The audiences that a JWT names, unverified; null: it is none that can be read. */
export function audiencesOf(token: string): readonly string[] | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null) return null;
    const aud: unknown = Reflect.get(claims, "aud");
    const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
    return list.every((one) => typeof one === "string") ? list : null;
  } catch {
    return null;
  }
}

/**
 * Before a token of an identity provider goes to a gateway for the first time: one that would be good at another gateway, where its owner is
 * logged in, is not sent. The provider cannot tell the two apart, and whoever gets such a token is its owner there. Throws CliError.
 *
 * @param names of the logins that are kept.
 */
export function refuseShared(fresh: Profile, names: readonly string[]): void {
  if (fresh.kind !== "oidc") return;
  const { url, issuer } = fresh;
  const audiences = audiencesOf(fresh.accessToken);
  const kept = names.map(keptProfile).filter((one) => one?.kind === "oidc" && one.issuer === issuer);
  // It has had such tokens before.
  if (
    kept.some(
      (one) => one?.kind === "oidc" && one.url === url && covers(audiencesOf(one.accessToken), audiences),
    )
  )
    return;
  for (const one of kept) {
    if (one?.kind !== "oidc" || one.url === url) continue;
    const others = audiencesOf(one.accessToken);
    // What cannot be read may be the same.
    const apart = audiences !== null && others !== null && !audiences.some((name) => others.includes(name));
    if (!apart)
      throw new CliError(
        1,
        `the token for ${url} would be good at ${one.url}, too: it was not sent`,
        `If you trust both, log in with --shared; better give each an audience of its own (both take tokens of ${clean(issuer)}).`,
      );
  }
}

function covers(known: readonly string[] | null, wanted: readonly string[] | null): boolean {
  return known !== null && wanted?.every((one) => known.includes(one)) === true;
}

/** null: it cannot be read, and so is good nowhere. */
function keptProfile(name: string): Profile | null {
  try {
    return openProfile(name).profile;
  } catch (error) {
    if (error instanceof CliError) return null;
    throw error;
  }
}
