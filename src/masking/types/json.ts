/** Masks of json and jsonb: a string that holds a text's mask. jsonb has a version byte in front in binary format. */
import type { Mask } from "../../facts/effects.ts";
import { type CellContext, type CellMask, constant, memoised, toNull } from "../cell.ts";
import { redacted } from "./text.ts";
import { appendToken, tokenLength } from "./token.ts";

const jsonbVersion = 1;
const quote = 0x22;

export function jsonMask(mask: Mask, type: "json" | "jsonb", context: CellContext): CellMask {
  const versioned = type === "jsonb" && context.format === 1;
  const prefix = versioned ? String.fromCharCode(jsonbVersion) : "";
  switch (mask.kind) {
    case "null":
      return toNull;
    case "hash": {
      const { keys, domain } = context;
      const hmac = keys.hmac(domain, "json");
      const ahead = keys.ahead();
      const skip = versioned ? 1 : 0;
      const masked: CellMask = (b, at, end, out) => {
        if (versioned && b[at] !== jsonbVersion) return -1;
        out.ascii(`${prefix}"`);
        appendToken(hmac, ahead, b, at, end, at + skip, end, out);
        out.byte(quote);
        return prefix.length + tokenLength + 2;
      };
      return memoised(keys, JSON.stringify(["json", domain, versioned]), masked, (b, at, end, lanes) => {
        if (end - at >= skip) lanes.add(hmac, at, end, b, at + skip, end);
      });
    }
    case "redact":
    case "partial":
    case "keep":
    case "date":
      return constant(Buffer.from(`${prefix}"${redacted}"`));
    default:
      return mask satisfies never;
  }
}
