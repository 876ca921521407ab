/** The text form of a hash. */
import type { MaskOutput } from "../output.ts";

/** Characters of a token: 96 bits in base64url (RFC 4648, section 5). */
export const tokenLength = 16;

const alphabet = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

/** Appends the first 12 bytes of a digest. */
export function appendToken(digest: Uint8Array, out: MaskOutput): void {
  out.room(tokenLength);
  const { buffer } = out;
  let to = out.at;
  for (let i = 0; i < 12; i += 3) {
    const bits = ((digest[i] as number) << 16) | ((digest[i + 1] as number) << 8) | (digest[i + 2] as number);
    buffer[to++] = alphabet[bits >>> 18] as number;
    buffer[to++] = alphabet[(bits >>> 12) & 63] as number;
    buffer[to++] = alphabet[(bits >>> 6) & 63] as number;
    buffer[to++] = alphabet[bits & 63] as number;
  }
  out.at = to;
}
