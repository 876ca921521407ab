/** How sure it is that a column is of a kind. */
import { builtinKinds, contextBonus, kindFacts, namesKind } from "./kinds.ts";

/** Certainty of a pattern of a user: they said so. */
const patternCertainty = 0.9;
/** Below this share of hits a column merely mentions the kind. */
const mention = 0.05;

/**
 * @param kind built in, or the name of a pattern.
 * @param name the column's.
 * @param hits cells of `seen` that hold the kind.
 * @returns 0 to 1, two digits behind the point.
 */
export function confidenceOf(kind: string, name: string, hits: number, seen: number): number {
  if (hits === 0 || seen === 0) return 0;
  const builtin = builtinKinds.find((known) => known === kind);
  const certainty = builtin === undefined ? patternCertainty : kindFacts[builtin].certainty;
  const share = hits / seen;
  const bonus = builtin !== undefined && namesKind(name, builtin) ? contextBonus : 0;
  const weight = share < mention ? share / mention / 2 : 0.5 + share / 2;
  return Math.round(Math.min(1, certainty * weight + bonus) * 100) / 100;
}
