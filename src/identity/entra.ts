/** Microsoft Entra Agent ID: who acts in a token (learn.microsoft.com/entra/agent-id/agent-token-claims). */
import { IdentityError } from "./errors.ts";
import type { JsonObject } from "./json.ts";

/** Facets of an identity: 11 an agent identity, 13 an agent's user account. */
const agentFacets: ReadonlySet<string> = new Set(["11", "13"]);

/**
 * Whether an agent acts in the token, by itself (`xms_sub_fct`) or for a user (`xms_act_fct`), whatever `idtyp` says. The facets are a text of
 * numbers with spaces; what is not such a text says that it is one, so that no odd form makes a person of an agent.
 */
export function entraAgent(claims: JsonObject): boolean {
  const facets = [claims.xms_act_fct, claims.xms_sub_fct].filter((one) => one !== undefined);
  const odd = facets.some((one) => typeof one !== "string");
  return (
    odd ||
    Object.hasOwn(claims, "xms_par_app_azp") ||
    facets.some((one) =>
      String(one)
        .split(" ")
        .some((facet) => agentFacets.has(facet)),
    )
  );
}

/**
 * An access token names the application that it was issued to: `azp` in version 2, `appid` in version 1
 * (learn.microsoft.com/entra/identity-platform/access-token-claims-reference). An ID token, which Entra signs with the same keys for the same
 * audience and need not give a nonce, names none. Throws IdentityError TOKEN_TYPE.
 */
export function refuseEntraIdToken({ azp, appid }: JsonObject): void {
  const named = [azp, appid].some((one) => typeof one === "string" && one !== "");
  if (!named)
    throw new IdentityError(
      "TOKEN_TYPE",
      "an ID token is no login (it names no application in azp or appid)",
    );
}
