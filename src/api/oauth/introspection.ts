/** What may be told of a token (RFC 7662 section 2.2). */
import type { Principal } from "../../facts/principal.ts";
import { IdentityError } from "../../identity/index.ts";
import { tokenPrefix, userOf } from "../../identity/tokens/format.ts";
import type { PosternTokens, TokenFound } from "../../identity/tokens/index.ts";
import type { Revocations } from "../../identity/tokens/revoked.ts";

export interface IntrospectionDeps {
  readonly identity: { authenticate(token: string): Promise<Principal> };
  readonly tokens: PosternTokens;
  readonly revocations: Revocations;
  readonly isAdmin: (principal: Principal) => boolean;
}

const inactive = { active: false };

/**
 * The answer for a token, `{"active": false}` for one that is not good or none of the caller's business: their own, what acts in their place,
 * or anybody's for an administrator. Throws IdentityError STORE_UNAVAILABLE.
 */
export async function describeToken(
  token: string,
  caller: Principal,
  deps: IntrospectionDeps,
): Promise<Record<string, unknown>> {
  let principal: Principal;
  let found: TokenFound | null = null;
  try {
    if (token.startsWith(tokenPrefix)) {
      found = await deps.tokens.inspect(token);
      principal = found.principal;
      if (!deps.revocations.fresh)
        throw new IdentityError("STORE_UNAVAILABLE", "the list of revocations cannot be read");
      if (deps.revocations.find(principal, found.audience?.[0] ?? null) !== null) return inactive;
    } else principal = await deps.identity.authenticate(token);
  } catch (error) {
    if (error instanceof IdentityError && error.code !== "STORE_UNAVAILABLE") return inactive;
    throw error;
  }
  const own = principal.issuer === caller.issuer && principal.subject === caller.subject;
  if (!own && !deps.isAdmin(caller)) return inactive;
  const { subject, issuer, kind, groups, actor, token: facts } = principal;
  return {
    active: true,
    sub: subject,
    iss: issuer,
    username: subject,
    token_type: "Bearer",
    ...(facts.jti === null ? {} : { jti: facts.jti }),
    ...(facts.issued === null ? {} : { iat: facts.issued }),
    exp: facts.expires,
    ...(actor.length === 0 ? {} : { act: chain(actor), client_id: actor[0]?.subject }),
    kind,
    groups,
    ...(found === null
      ? {}
      : {
          aud: found.audience ?? ["wire", "api", "mcp"],
          scope: [
            ...(found.audience ?? ["all"]),
            ...(found.database === null ? [] : [`database:${found.database}`]),
          ].join(" "),
          ...(found.database === null ? {} : { database: found.database }),
          ...(found.certificate === null ? {} : { cnf: { "x5t#S256": found.certificate } }),
          user: userOf(found.id),
        }),
  };
}

/** RFC 8693 section 4.1: the nearest actor outermost. */
function chain(actors: Principal["actor"]): Record<string, unknown> | undefined {
  return actors.reduceRight<Record<string, unknown> | undefined>(
    (inner, { subject, issuer }) => ({
      sub: subject,
      ...(issuer === null ? {} : { iss: issuer }),
      ...(inner === undefined ? {} : { act: inner }),
    }),
    undefined,
  );
}
