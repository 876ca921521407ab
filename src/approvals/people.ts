/** Who is whom: the same person may come by several providers. In doubt two names are one person: then another approver is needed. Pure. */

import type { Requester } from "../facts/approval.ts";
import type { Actor, Principal } from "../facts/principal.ts";

interface Person {
  readonly subject: string;
  /** null: not said. */
  readonly issuer: string | null;
  readonly email: string | null;
}

/** The requester as an approval shows it. */
export function requesterOf(principal: Principal): Requester {
  const { subject, issuer, provider, email, kind, groups, actor } = principal;
  return { subject, issuer, provider, email, kind, groups: [...groups], actor: [...actor] };
}

/**
 * Whether two names may be one person: one subject (at whichever issuer: two directories rarely give one name to two people, and one
 * person often has it in both), or one e-mail address, whether it stands as such or is used as the subject.
 */
export function samePerson(a: Person, b: Person): boolean {
  if (fold(a.subject) === fold(b.subject)) return true;
  const addresses = addressesOf(a);
  return addressesOf(b).some((address) => addresses.includes(address));
}

function fold(text: string): string {
  return text.normalize("NFKC").trim().toLowerCase();
}

/** Mail to `name+anything@host` goes to `name@host`. */
function addressesOf({ email, subject }: Person): string[] {
  return [email, subject]
    .filter((text) => text !== null)
    .map(fold)
    .filter((text) => text.includes("@"))
    .map((text) => text.replace(/\+[^@]*(?=@[^@]*$)/, ""));
}

/**
 * - `self`: the approver asked, or acts in the request
 * - `delegator`: the person on whose behalf somebody else asks
 */
export type Relation = "self" | "delegator" | "none";

/** What an approver is to a request. */
export function relationOf(requester: Requester, approver: Principal): Relation {
  const acts = requester.actor.some((actor: Actor) =>
    samePerson({ subject: actor.subject, issuer: actor.issuer, email: null }, approver),
  );
  if (acts) return "self";
  if (!samePerson(requester, approver)) return "none";
  return requester.actor.length > 0 ? "delegator" : "self";
}

/** Whether somebody of these groups is in one of `wanted`, each "group" or "provider:group". */
export function inGroups(
  who: { readonly groups: readonly string[]; readonly provider: string },
  wanted: readonly string[],
): boolean {
  return wanted.some((group) =>
    who.groups.some((own) => own === group || `${who.provider}:${own}` === group),
  );
}
