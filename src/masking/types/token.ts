/** The text form of a hash. */
import type { HashAhead } from "../lanes/ahead.ts";
import type { MaskOutput } from "../output.ts";
import type { Hmac } from "../sha256.ts";

/** Characters of a token: 96 bits in base64url (RFC 4648, section 5). */
export const tokenLength = 16;

const alphabet = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

/** Appends the first 12 bytes of the HMAC of b[from, to), which was perhaps hashed ahead for the value b[place, end). */
export function appendToken(
  hmac: Hmac,
  ahead: HashAhead | null,
  b: Buffer,
  place: number,
  end: number,
  from: number,
  to: number,
  out: MaskOutput,
): void {
  out.room(tokenLength);
  const found = ahead === null ? -1 : ahead.find(hmac, b, place, end);
  if (ahead !== null && found >= 0) ahead.token(found, out.buffer, out.at);
  else writeToken(hmac.digest(b, from, to), out.buffer, out.at);
  out.at += tokenLength;
}

function writeToken(digest: Uint8Array, buffer: Buffer, at: number): void {
  let to = at;
  for (let i = 0; i < 12; i += 3) {
    const bits = ((digest[i] as number) << 16) | ((digest[i + 1] as number) << 8) | (digest[i + 2] as number);
    buffer[to++] = alphabet[bits >>> 18] as number;
    buffer[to++] = alphabet[(bits >>> 12) & 63] as number;
    buffer[to++] = alphabet[(bits >>> 6) & 63] as number;
    buffer[to++] = alphabet[bits & 63] as number;
  }
}
