/** Parameter values for the record: what PostgreSQL would print for them. */
import { utf8OrNull } from "./bytes.ts";
import { binaryText } from "./values/binary.ts";

/**
 * Gives a parameter as text.
 * @param oid its type; 0 where the client left it open.
 * @param format 0 text, 1 binary.
 * @param bytes the value as sent.
 * @returns PostgreSQL's text form, or the bytes in base64: binary values of unknown types or malformed ones, and text
 *   that is not valid UTF-8. Never throws.
 */
export function decodeParameter(
  oid: number,
  format: 0 | 1,
  bytes: Buffer,
): string | { readonly base64: string } {
  const text = format === 0 ? utf8OrNull(bytes) : binaryText(oid, bytes);
  return text ?? { base64: bytes.toString("base64") };
}
