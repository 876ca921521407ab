/** Where a token is shown: what it is bound to is compared with this. */
import type { Via } from "../facts/session.ts";
import type { Audience } from "./tokens/record.ts";

export interface CallContext {
  /** Address of the caller; null: not known. */
  readonly ip?: string | null;
  readonly via?: Via;
  /** The part of Postern that it is shown to. */
  readonly audience?: Audience;
  /** The database that is asked for; null or absent: none. */
  readonly database?: string | null;
  /** base64url SHA-256 of the client's certificate, verified in this connection (RFC 8705 section 3.1); null: none. */
  readonly certificate?: string | null;
  /** When that certificate ends, in seconds since the epoch. */
  readonly certificateExpires?: number | null;
}
