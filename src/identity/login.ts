/** From what an interactive login proved (OpenID Connect Core section 3.1.3.7) to a principal: the same mapping as for access tokens. */
import type { Principal, TokenFacts } from "../facts/principal.ts";
import { readActors, readEmail, readGroups, readSubject } from "./claims.ts";
import { deepFreeze, type JsonObject } from "./json.ts";
import type { Provider } from "./provider.ts";

/**
 * `claims`: of an ID token whose signature, issuer, audience, nonce and times were checked, laid over those of the userinfo answer for the
 * same subject. Throws IdentityError TOKEN_CLAIMS and GROUPS_OVERAGE.
 */
export function principalOfLogin(provider: Provider, claims: JsonObject, token: TokenFacts): Principal {
  const { settings } = provider;
  readSubject(claims, "sub");
  const subject = readSubject(claims, settings.claims.subject);
  const groups = readGroups(claims, settings.claims.groups);
  const kind = provider.kindOf(claims, groups);
  return deepFreeze<Principal>({
    subject,
    issuer: settings.issuer,
    email: readEmail(claims, settings.claims.email),
    kind,
    groups,
    actor: readActors(claims, { paths: settings.claims, subject, agent: kind === "agent" }),
    provider: settings.name,
    claims,
    token,
  });
}
