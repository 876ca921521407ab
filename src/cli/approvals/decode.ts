/** Approvals as the gateway's answers hold them, checked as far as they are printed. */
import type { Approval, EffectPreview } from "../../facts/approval.ts";
import { isObject, Unreachable } from "../lib/rest.ts";

const lists = ["statements", "votes", "missing", "rules", "warnings"] as const;
const texts = ["id", "kind", "state", "created", "expires", "database", "login", "ip"] as const;

/** Throws Unreachable for what is no approval: then it is no gateway of this version. */
export function approvalOf(value: unknown): Approval {
  if (
    !isObject(value) ||
    !isObject(value.requester) ||
    !isObject(value.claimed) ||
    !isObject(value.limits) ||
    !Array.isArray(value.requester.actor) ||
    !texts.every((name) => typeof value[name] === "string") ||
    !lists.every((name) => Array.isArray(value[name]))
  )
    throw new Unreachable("the gateway's answer is not an approval");
  const nullable = [
    "access",
    "transaction",
    "estimate",
    "preview",
    "breakGlass",
    "why",
    "message",
    "url",
    "application",
  ];
  const missing = Object.fromEntries(
    nullable.filter((name) => value[name] === undefined).map((name) => [name, null]),
  );
  return { ...value, ...missing } as unknown as Approval;
}

/** Throws Unreachable. */
export function pageOf(value: unknown): { readonly items: readonly unknown[]; readonly next: string | null } {
  if (!isObject(value) || !Array.isArray(value.items))
    throw new Unreachable("the gateway's answer is not a list");
  return { items: value.items, next: typeof value.next === "string" ? value.next : null };
}

/** Throws Unreachable. */
export function previewOf(value: unknown): EffectPreview {
  if (!isObject(value) || !Array.isArray(value.notes))
    throw new Unreachable("the gateway's answer is not a preview");
  return value as unknown as EffectPreview;
}
