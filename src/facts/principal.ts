/** Who is calling, as a validated token says. Nothing in here comes from what the client merely claims. */

export type PrincipalKind = "human" | "agent" | "service";

/** One link of an RFC 8693 `act` chain: who acts on the subject's behalf. */
export interface Actor {
  readonly subject: string;
  readonly issuer: string | null;
}

/** What identifies the token without revealing it. Times are seconds since the epoch. */
export interface TokenFacts {
  readonly jti: string | null;
  /** Lower-case hex SHA-256 of the token's text. */
  readonly sha256: string;
  /** Of what its signature covers: the same for every signature over these claims. Absent: it is not signed, or not a JWT. */
  readonly input?: string;
  /** Of the token with the other ECDSA signature that can be computed from this one. Absent: it has no ECDSA signature. */
  readonly twin?: string;
  readonly issued: number | null;
  readonly expires: number;
  /** Of a Postern token: the tokens it comes from. Whatever revokes one of them revokes it too. Absent: none. */
  readonly from?: readonly TokenSource[];
}

/** A token that another one was made of. */
export interface TokenSource {
  readonly jti: string | null;
  readonly sha256: string;
  readonly input?: string;
  readonly twin?: string;
  readonly issued: number | null;
}

export interface Principal {
  readonly subject: string;
  readonly issuer: string;
  readonly email: string | null;
  readonly kind: PrincipalKind;
  readonly groups: readonly string[];
  /** Nearest actor first; empty when the subject acts for itself. */
  readonly actor: readonly Actor[];
  /** The provider's name in postern.yaml. */
  readonly provider: string;
  /** The token's claims, for policy conditions. Never written to a log. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly token: TokenFacts;
}
