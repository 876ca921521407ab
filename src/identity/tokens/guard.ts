/** Postern tokens and the shared list of revocations, as the identity room asks them. */
import type { Principal } from "../../facts/principal.ts";
import type { CallContext } from "../context.ts";
import { IdentityError } from "../errors.ts";
import { idOfUser } from "./format.ts";
import type { PosternTokens } from "./index.ts";
import type { Revocations } from "./revoked.ts";
import type { ScramSecret } from "./scram.ts";

/** One login by SCRAM: what the exchange needs, and who it is once the proof was right. */
export interface ScramLogin {
  readonly secret: ScramSecret;
  /** Rejects with IdentityError. */
  principal(): Promise<Principal>;
}

export interface TokenGuard {
  /** Throws IdentityError. */
  lookup(token: string, context: CallContext): Promise<Principal>;
  /** Throws IdentityError TOKEN_REVOKED, or STORE_UNAVAILABLE when the list of revocations is too old to rely on. */
  refuseRevoked(principal: Principal, context: CallContext): void;
  /** For any user, so that nobody learns which tokens there are. Rejects with IdentityError STORE_UNAVAILABLE. */
  scram(user: string, context: CallContext): Promise<ScramLogin>;
}

/** `tokens` null: Postern tokens are unknown here; `revocations` null: there is no shared list. */
export function createGuard(
  tokens: PosternTokens | null,
  revocations: Revocations | null,
  /** Whether the principal's provider is one of those in force: without it its tokens are worth nothing, nor is what was made of them. */
  trusted: (principal: Principal) => boolean,
): TokenGuard {
  function refuseRevoked(principal: Principal, context: CallContext): void {
    if (revocations === null) return;
    if (!revocations.fresh)
      throw new IdentityError("STORE_UNAVAILABLE", "the list of revocations cannot be read");
    const found = revocations.find(principal, context.audience ?? null);
    if (found !== null) throw new IdentityError("TOKEN_REVOKED", `revoked (${found.kind}, ${found.id})`);
  }

  function refuseOrphan(principal: Principal): void {
    if (!trusted(principal))
      throw new IdentityError("TOKEN_ISSUER", "the provider it comes from is not configured any more");
  }

  function needTokens(): PosternTokens {
    if (tokens === null) throw new IdentityError("TOKEN_UNKNOWN", "Postern tokens are not issued here");
    return tokens;
  }

  return {
    refuseRevoked,
    async lookup(token, context) {
      const principal = await needTokens().lookup(token, context);
      refuseOrphan(principal);
      refuseRevoked(principal, context);
      return principal;
    },
    async scram(user, context) {
      const issued = needTokens();
      const id = idOfUser(user);
      // A user that names no token is answered like one that names a token nobody has.
      const secret = await issued.scram(id ?? `user ${user}`);
      return {
        secret,
        async principal() {
          if (id === null) throw new IdentityError("TOKEN_UNKNOWN", "the user names no Postern token");
          const principal = await issued.proved(id, context);
          refuseOrphan(principal);
          refuseRevoked(principal, context);
          return principal;
        },
      };
    },
  };
}
