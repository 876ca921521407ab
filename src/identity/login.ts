/** From what an interactive login proved (OpenID Connect Core section 3.1.3.7) to a principal: the same mapping as for access tokens. */
import type { Principal, TokenFacts } from "../facts/principal.ts";
import { readActors, readEmail, readGroups, readSubject } from "./claims.ts";
import { deepFreeze, type JsonObject } from "./json.ts";
import type { Provider } from "./provider.ts";
import type { VerifyRules } from "./verify.ts";

/**
 * `claims`: of an ID token whose signature, issuer, audience, nonce and times were checked, laid over those of the userinfo answer for the
 * same subject. Throws IdentityError TOKEN_CLAIMS and GROUPS_OVERAGE.
 */
export function principalOfLogin(
  provider: Provider,
  claims: JsonObject,
  token: TokenFacts,
  { maxDelegationDepth }: Pick<VerifyRules, "maxDelegationDepth">,
): Principal {
  const { settings, derivation } = provider;
  readSubject(claims, "sub");
  const subject = readSubject(claims, settings.claims.subject);
  const groups = derivation.groups(claims, readGroups(claims, settings.claims.groups));
  derivation.admit(claims, groups);
  const kind = provider.kindOf(claims, groups);
  return deepFreeze<Principal>({
    subject,
    issuer: settings.issuer,
    email: readEmail(claims, settings.claims.email),
    kind,
    groups,
    actor: readActors(claims, {
      paths: settings.claims,
      subject,
      agent: kind === "agent",
      maxDepth: maxDelegationDepth,
    }),
    provider: settings.name,
    claims,
    token,
  });
}
