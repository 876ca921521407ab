/** Places where a column may stand in a statement. */
import type { Position } from "../../facts/effects.ts";

/** Fewer than eight. */
export const positions: Readonly<Record<Position, number>> = {
  output: 0,
  equality: 1,
  derived: 2,
  assigned: 3,
  owner: 4,
  predicate: 5,
  arbiter: 6,
};

/** The place of what is not a column as it stands, but made of it, or a part of it. */
export function demoted(position: Position): Position {
  switch (position) {
    case "output":
      return "derived";
    case "equality":
    case "assigned":
    case "arbiter":
      return "predicate";
    case "derived":
    case "owner":
    case "predicate":
      return position;
  }
}
