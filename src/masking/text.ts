/** Masking of a single value in text form, for results that are no DataRows (JSON of the MCP and REST doors). */
import type { Mask } from "../facts/effects.ts";
import type { MaskKeys } from "./keys.ts";
import { MaskOutput } from "./output.ts";
import { cellMask } from "./types/index.ts";

/**
 * Gives the masked value of a type's text form, the same that a row in text format would hold; null for NULL.
 * @param oid type oid; types without a mask give null.
 * @param domain values of equal domain hash alike.
 */
export function maskText(
  mask: Mask,
  oid: number,
  text: string,
  keys: MaskKeys,
  domain: string,
): string | null {
  const b = Buffer.from(text);
  const out = new MaskOutput();
  const size = cellMask(mask, oid, { format: 0, typmod: -1, keys, domain })(b, 0, b.length, out);
  return size < 0 ? null : out.take().toString("utf8");
}
