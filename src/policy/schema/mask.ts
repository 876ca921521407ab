/** `mask:` of a label. */
import type { Mask } from "../../facts/effects.ts";
import { describe, type Reader, type Spot } from "../yaml/reader.ts";

const expected =
  "null, redact, partial, hash, { keep: { first: 1, last: 4 } } or { date: year | month | day }";

/** Reads a mask; null and a noted mistake when it is none. */
export function readMask(reader: Reader, spot: Spot): Mask | null {
  const { node } = spot;
  if (node.kind === "scalar") {
    if (node.value === null || node.value === "null") return { kind: "null" };
    const { value } = node;
    if (value === "redact" || value === "partial" || value === "hash") return { kind: value };
    return reader.fail(spot, describe(node), expected);
  }
  if (node.kind !== "map") return reader.fail(spot, describe(node), expected);
  const fields = reader.map(spot, ["keep", "date"], expected);
  if (fields === null) return null;
  if (fields.keep !== undefined && fields.date !== undefined)
    return reader.fail(spot, "has both keep and date", "one of them");
  if (fields.date !== undefined) {
    const unit = reader.choice(fields.date, ["year", "month", "day"]);
    return unit === null ? null : { kind: "date", unit };
  }
  if (fields.keep === undefined)
    return node.pairs.length === 0 ? reader.fail(spot, "is empty", expected) : null;
  const keep = reader.map(fields.keep, ["first", "last"], "{ first: 1, last: 4 }");
  if (keep === null) return null;
  if (keep.first === undefined && keep.last === undefined)
    return reader.fail(fields.keep, "keeps nothing", "first, last or both (or mask: redact)");
  const first = keep.first === undefined ? 0 : reader.whole(keep.first, 0, 64);
  const last = keep.last === undefined ? 0 : reader.whole(keep.last, 0, 64);
  return first === null || last === null ? null : { kind: "keep", first, last };
}
