/** Where a token is shown: what it is bound to is compared with this. */
import type { Via } from "../../facts/session.ts";
import type { Audience } from "./record.ts";

export interface TokenContext {
  /** Address of the caller; null: not known. */
  readonly ip?: string | null;
  readonly via?: Via;
  readonly audience?: Audience;
  /** The database that is asked for; null or absent: none. */
  readonly database?: string | null;
  /** base64url SHA-256 of the client's certificate, verified in this connection (RFC 8705 section 3.1). */
  readonly certificate?: string | null;
}
