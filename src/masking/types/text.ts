/** Masks of the text family: text, varchar(n), char(n), name. Their text and binary formats are the same bytes. */
import type { Mask } from "../../facts/effects.ts";
import { type CellContext, type CellMask, constant, memoised, toNull } from "../cell.ts";
import type { MaskOutput } from "../output.ts";
import { codePoints } from "./characters.ts";
import { keepText, partialText } from "./partial.ts";
import { truncateIso } from "./times.ts";
import { appendToken, tokenLength } from "./token.ts";

export type TextType = "text" | "varchar" | "bpchar" | "name";

/** What a redacted text says. */
export const redacted = "[redacted]";
const space = 0x20;
/** MaxAttrSize, the greatest n of varchar(n). */
const maxLimit = 10 * 1024 * 1024;

export function textMask(mask: Mask, type: TextType, context: CellContext): CellMask {
  const limit = limitOf(type, context.typmod);
  // No type modifier of PostgreSQL: nothing is known of what fits.
  if (Number.isFinite(limit) && limit > maxLimit) return toNull;
  const padded = type === "bpchar" && Number.isFinite(limit);
  switch (mask.kind) {
    case "null":
      return toNull;
    case "redact":
      return redactText(limit, padded);
    case "hash":
      return hashText(limit, type, context);
    case "partial":
      return fitting(partialText, limit, type);
    case "keep":
      return fitting(keepText(mask.first, mask.last), limit, type);
    case "date":
      return fitting(dateText(mask.unit), limit, type);
    default:
      return mask satisfies never;
  }
}

/** Most characters the column takes: n of varchar(n) and char(n) (their typmod is n + 4), 63 of name. */
function limitOf(type: TextType, typmod: number): number {
  if (type === "name") return 63;
  return (type === "varchar" || type === "bpchar") && typmod >= 4 ? typmod - 4 : Number.POSITIVE_INFINITY;
}

function redactText(limit: number, padded: boolean): CellMask {
  if (redacted.length > limit) return toNull;
  return constant(Buffer.from(padded ? redacted.padEnd(limit) : redacted));
}

function hashText(limit: number, type: TextType, { keys, domain }: CellContext): CellMask {
  if (tokenLength > limit) return toNull;
  const hmac = keys.hmac(domain, "text");
  const ahead = keys.ahead();
  const blank = type === "bpchar";
  const pad = blank && Number.isFinite(limit) ? limit - tokenLength : 0;
  const mask: CellMask = (b, at, end, out) => {
    // Blanks at the end mean nothing in char(n): without them it joins with the other types.
    appendToken(hmac, ahead, b, at, end, at, blank ? trimmed(b, at, end) : end, out);
    if (pad > 0) {
      out.room(pad);
      out.buffer.fill(space, out.at, out.at + pad);
      out.at += pad;
    }
    return tokenLength + pad;
  };
  return memoised(keys, JSON.stringify(["text", domain, blank, pad]), mask, (b, at, end, lanes) =>
    lanes.add(hmac, at, end, b, at, blank ? trimmed(b, at, end) : end),
  );
}

function trimmed(b: Buffer, at: number, end: number): number {
  let to = end;
  while (to > at && b[to - 1] === space) to--;
  return to;
}

/** A date or timestamp written as text in ISO form loses its lesser parts; anything else says nothing. */
function dateText(unit: "year" | "month" | "day"): CellMask {
  return (b, at, end, out) => {
    const text = end - at <= 40 ? truncateIso(b.toString("latin1", at, end), unit) : null;
    const shown = text ?? redacted;
    out.ascii(shown);
    return shown.length;
  };
}

/** Turns what does not fit into NULL, and pads char(n) as the server does. */
function fitting(inner: CellMask, limit: number, type: TextType): CellMask {
  if (type !== "bpchar" && !Number.isFinite(limit)) return inner;
  if (type !== "bpchar") return (b, at, end, out) => settle(inner(b, at, end, out), limit, false, out);
  return (b, at, end, out) =>
    settle(inner(b, at, trimmed(b, at, end), out), limit, Number.isFinite(limit), out);
}

function settle(size: number, limit: number, padded: boolean, out: MaskOutput): number {
  if (size < 0 || !Number.isFinite(limit)) return size;
  const count = codePoints(out.buffer, out.at - size, out.at);
  if (count > limit) {
    out.truncate(out.length - size);
    return -1;
  }
  if (!padded) return size;
  out.room(limit - count);
  out.buffer.fill(space, out.at, out.at + limit - count);
  out.at += limit - count;
  return size + limit - count;
}
