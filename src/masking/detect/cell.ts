/** What one cell holds. */

import { bits, gate } from "./gate.ts";
import { builtinKinds } from "./kinds.ts";
import { matchKinds } from "./patterns.ts";
import type { Matcher } from "./userpattern.ts";

/** Longer cells are looked at in their first and last half of this. */
const maxScanned = 8 * 1024;

/** A kind by name, with the bit it has in results. */
export interface Detector {
  readonly kinds: readonly string[];
  /** Gives the kinds that b[at, end) holds, as bits in the order of `kinds`. */
  detect(b: Buffer, at: number, end: number): number;
}

/** At most 31 kinds have a bit. */
export const maxKinds = 31;

/** @param kinds built-in kinds by name, and patterns of users. Throws RangeError for more than 31. */
export function createDetector(
  kinds: readonly { readonly name: string; readonly pattern: Matcher | null }[],
): Detector {
  if (kinds.length > maxKinds) throw new RangeError(`more than ${maxKinds} kinds to detect`);
  // From a built-in's own bit to the bit of its place among `kinds`.
  const places: { readonly builtin: number; readonly bit: number }[] = [];
  const patterns: { readonly matches: Matcher; readonly bit: number }[] = [];
  let wanted = 0;
  for (const [i, { name, pattern }] of kinds.entries()) {
    if (pattern !== null) {
      patterns.push({ matches: pattern, bit: 1 << i });
      continue;
    }
    const builtin = builtinKinds.find((kind) => kind === name);
    if (builtin === undefined) throw new RangeError("an unknown kind to detect");
    places.push({ builtin: bits[builtin], bit: 1 << i });
    wanted |= bits[builtin];
  }

  function part(b: Buffer, at: number, end: number): number {
    let found = 0;
    const candidates = gate(b, at, end) & wanted;
    if (candidates !== 0) {
      const kinds = matchKinds(b.toString("latin1", at, end), candidates);
      if (kinds !== 0) for (const { builtin, bit } of places) if ((kinds & builtin) !== 0) found |= bit;
    }
    for (const { matches, bit } of patterns) if (matches(b, at, end)) found |= bit;
    return found;
  }

  return {
    kinds: kinds.map(({ name }) => name),
    detect(b, at, end) {
      if (end - at <= maxScanned) return part(b, at, end);
      return part(b, at, at + maxScanned / 2) | part(b, end - maxScanned / 2, end);
    },
  };
}
