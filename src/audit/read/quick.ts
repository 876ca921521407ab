/**
 * Passing over records without parsing them: what a search reads one by one is mostly not what it looks for, and finding some bytes in a
 * leaf costs a tenth of parsing it. A leaf that is passed over cannot fit; whether one that is not does fit shows when it is parsed.
 */
import type { SearchFilters } from "./filters.ts";

/** A text that JSON writes as it is, in the one form that a log's writer uses. */
const plain = /^[ !#-[\]-~]*$/;
/** Other spellings of characters, and values that lie in a blob: such leaves are parsed. */
const escape_ = Buffer.from("\\u", "latin1");
const blob = Buffer.from('{"blob":', "latin1");
const outcome = /^\{"v":1,"id":"[^"\\]*","type":"statement\.outcome",/;
/** No string of JSON holds a quote without a backslash before it, so that this is a member and not part of a text. */
const ofIntent = /[^\\]"intent":\{"log":"(?:[^"\\]|\\.)*","index":([0-9]{1,15})\}/;
/** An outcome's type and intent stand in its first bytes. */
const outcomeHead = 512;

/** Looks at the bytes of leaves for what a search needs. */
export class QuickFilter {
  private readonly needles: readonly Buffer[];

  constructor(filters: SearchFilters) {
    const { subject, issuer, agent, group, token, session, request, database } = filters;
    const { label, fingerprint, rule, type, verdict } = filters;
    const whole = [subject, issuer, agent, group, token, session, request, database]
      .concat([label, fingerprint, rule, type, verdict])
      .filter((value) => value !== undefined && plain.test(value))
      .map((value) => `"${value}"`);
    // A part of these names, or of this text, is enough.
    const parts = [filters.run, filters.column, filters.function].filter(
      (value) => value !== undefined && plain.test(value),
    );
    this.needles = [...whole, ...parts].map((text) => Buffer.from(text ?? "", "latin1"));
  }

  /** false: the record at [start, end) of `buf` does not fit, whatever else it says. */
  mayFit(buf: Buffer, start: number, end: number): boolean {
    if (this.needles.length === 0) return true;
    const leaf = buf.subarray(start, end);
    return (
      this.needles.every((needle) => leaf.includes(needle)) || leaf.includes(escape_) || leaf.includes(blob)
    );
  }
}

/** The index of its intent, where the leaf at [start, end) of `buf` is plainly an outcome as a log's writer writes it; else null. */
export function quickOutcome(buf: Buffer, start: number, end: number): number | null {
  // The first letter of "outcome", with an id of 36 characters before it: of intents, the other half of a log, nothing more is read.
  if (buf[start + 69] !== 0x6f) return null;
  const text = buf.toString("latin1", start, Math.min(end, start + outcomeHead));
  if (!outcome.test(text)) return null;
  const index = ofIntent.exec(text)?.[1];
  return index === undefined ? null : Number(index);
}
