/** What happened to the log itself, and what the gateway did without being asked, as a sentence. */
import { at, type Json, number, text } from "./leaves.ts";

function count(value: number | null, what: string): string {
  return `${value ?? "?"} ${what}${value === 1 ? "" : "s"}`;
}

/** A verifier key's own name for itself: the four bytes before its base64 (C2SP signed-note). */
function keyName(leaf: Json, member: string): string {
  return text(leaf, member)?.split("+")[1] ?? "?";
}

/** `who`: the principal of the record. null: it is none of these. */
export function logSentence(leaf: Json, who: string): string | null {
  const reason = text(leaf, "reason");
  const why = reason === null ? "" : `: ${reason}`;
  switch (leaf.type) {
    case "key.rotated":
      return `the log's signing key changed from ${keyName(leaf, "previous")} to ${keyName(leaf, "next")}`;
    case "log.forked": {
      const lost = at(leaf, "given_up");
      const notes = Array.isArray(lost) ? lost.length : null;
      return `the log goes on from ${count(number(leaf, "at.size"), "record")}, against ${count(notes, "kept checkpoint")}${why}`;
    }
    case "log.pruned":
      return `the oldest ${count(number(leaf, "size"), "record")} of the log were removed, and what proves them kept${why}`;
    case "payload.erase":
      return `what was sealed on ${text(leaf, "day") ?? "?"} was erased by destroying its key${why}`;
    case "masking.detected": {
      const found = at(leaf, "findings");
      const columns = Array.isArray(found)
        ? found.map(
            (one) =>
              `${text(one, "kind") ?? "?"} in ${text(one, "column") ?? "?"} (${text(one, "action") ?? "?"})`,
          )
        : [];
      return `personal data was found in a result: ${columns.join(", ")}`;
    }
    case "circuit.opened":
      return `${who} was refused the same too often (${text(leaf, "code") ?? "?"}) and has to pause for ${count(number(leaf, "seconds"), "second")}`;
    default:
      return null;
  }
}
