/** What can be done with Postern's own tokens, and what is known of one. */
import type { Actor, Principal } from "../../facts/principal.ts";
import type { CallContext } from "../context.ts";
import type { Audience } from "./record.ts";
import type { ScramSecret } from "./scram.ts";
import type { TokenSettings } from "./settings.ts";

export interface IssueRequest {
  /** null: any. */
  readonly audience?: readonly Audience[] | null;
  readonly database?: string | null;
  /** The agent it is made for: becomes the nearest actor, and the principal an agent. */
  readonly agent?: string | null;
  /** Who acts for the principal from here on, as verified by a token of its own (RFC 8693 section 2.1, actor_token). */
  readonly actor?: Principal | null;
  /** Wanted lifetime; cut to what is allowed. */
  readonly seconds?: number | null;
  /** base64url SHA-256 of a client certificate. */
  readonly certificate?: string | null;
  /** What the token of `principal` is itself bound to, when it is a Postern token: the new one is bound at least as tightly. */
  readonly within?: Pick<TokenFound, "audience" | "database" | "certificate"> | null;
}

export interface IssuedToken {
  readonly token: string;
  readonly id: string;
  /** The startup `user` with which SCRAM-SHA-256 is offered for it. */
  readonly user: string;
  /** Seconds since the epoch. */
  readonly issued: number;
  readonly expires: number;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly principal: Principal;
}

/** A token as its owner may see it. */
export interface TokenListing {
  readonly id: string;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly agent: string | null;
  readonly certificate: string | null;
  readonly issued: number;
  readonly expires: number;
  readonly actor: readonly Actor[];
}

export interface TokenFound {
  readonly id: string;
  /** The first of the tokens that took each other's place: revoking it revokes them all. */
  readonly head: string;
  readonly principal: Principal;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly agent: string | null;
  readonly certificate: string | null;
}

/** A token shall not be issued. `code` is an error code of RFC 6749 section 5.2 or RFC 8693 section 2.2.2. */
export class IssueError extends Error {
  override readonly name = "IssueError";
  readonly code: "invalid_request" | "invalid_grant" | "invalid_target" | "invalid_scope" | "slow_down";
  constructor(code: IssueError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface PosternTokens {
  /** A token for a principal that was just authenticated. Throws IssueError; IdentityError STORE_UNAVAILABLE. */
  issue(principal: Principal, request: IssueRequest): Promise<IssuedToken>;
  /**
   * A fresh token in the place of an old one, which ends with this; bound at least as tightly, and within the lifetime of
   * what the first one was exchanged for. Throws IssueError, IdentityError.
   */
  rotate(token: string, request: IssueRequest, context: CallContext): Promise<IssuedToken>;
  /** The principal of a token shown here. Throws IdentityError. */
  lookup(token: string, context: CallContext): Promise<Principal>;
  /** As lookup, with what the token is bound to; nothing of that is checked. */
  inspect(token: string): Promise<TokenFound>;
  /** What SCRAM needs for the token with this id, made up when there is none or it is no id at all. Throws IdentityError STORE_UNAVAILABLE. */
  scram(id: string): Promise<ScramSecret>;
  /** The principal of a token whose holder has proved it by SCRAM. Throws IdentityError. */
  proved(id: string, context: CallContext): Promise<Principal>;
  /** The living tokens of a principal, newest first. */
  list(principal: Pick<Principal, "issuer" | "subject">): Promise<readonly TokenListing[]>;
  /** The living token of this id; null: there is none (any more). */
  find(id: string): Promise<TokenFound | null>;
  /** Ends a token. Gives what it was, for the list of revocations; null: there is none (any more). */
  end(id: string): Promise<TokenFound | null>;
  readonly settings: TokenSettings;
}
