/** A principal as it comes back from the store: written by us, read as if by a stranger. */
import type { Principal } from "../facts/principal.ts";

const kinds: ReadonlySet<unknown> = new Set(["human", "agent", "service"]);

export function isPrincipal(value: unknown): value is Principal {
  if (!isRecord(value) || !isRecord(value.token) || !isRecord(value.claims)) return false;
  const { subject, issuer, email, kind, groups, actor, provider, token } = value;
  return (
    [subject, issuer, provider].every((text) => typeof text === "string") &&
    (email === null || typeof email === "string") &&
    kinds.has(kind) &&
    Array.isArray(groups) &&
    groups.every((group) => typeof group === "string") &&
    Array.isArray(actor) &&
    actor.every((one) => isRecord(one) && typeof one.subject === "string") &&
    typeof token.sha256 === "string" &&
    typeof token.expires === "number"
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
