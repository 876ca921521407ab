/** Where a token is shown: what it is bound to is compared with this. */
export interface CallContext {
  /** base64url SHA-256 of the client's certificate, verified in this connection (RFC 8705 section 3.1); null: none. */
  readonly certificate?: string | null;
  /** When that certificate ends, in seconds since the epoch. */
  readonly certificateExpires?: number | null;
}
