/** An approval as the store keeps it: sealed whole, so that who can read or write the store learns and forges nothing. */
import type { Approval, ApprovalKind, ApprovalState } from "../facts/approval.ts";
import type { Json, Sealer, StoredDocument, WriteOptions } from "../store/index.ts";
import { subjectKey } from "./binding.ts";
import { missingOf } from "./maydecide.ts";

export const collection = "approvals";

/** What is kept besides what is shown. */
export interface StoredApproval {
  readonly approval: Omit<Approval, "url" | "missing">;
  /** The run of the node that holds the client. */
  readonly boot: string;
  /** Who asked, with everybody who acts for it (`requesterKey`). */
  readonly who: string;
  /** For each vote the places of the demands that it counts for. */
  readonly counts: readonly (readonly number[])[];
}

export interface Kept extends StoredApproval {
  readonly version: number;
}

const states: readonly ApprovalState[] = [
  "pending",
  "approved",
  "used",
  "denied",
  "expired",
  "gone",
  "revoked",
];
const kinds: readonly ApprovalKind[] = ["statement", "access", "review"];

/** The document's value. */
export function encode(sealer: Sealer | null, stored: StoredApproval): Json {
  const plain = JSON.parse(JSON.stringify(stored)) as Json;
  if (sealer === null) return { v: 1, plain };
  return { v: 1, sealed: sealer.seal(collection, stored.approval.id, plain) };
}

/** null: not a document of ours, or not sealed with our key. What is not sealed is believed only where nothing is. */
export function decode(sealer: Sealer | null, document: StoredDocument): Kept | null {
  const value = document.value;
  if (!isObject(value) || value.v !== 1) return null;
  const sealed = value.sealed;
  const plain =
    sealer === null
      ? value.plain
      : typeof sealed === "string"
        ? sealer.open(collection, document.key, sealed)
        : null;
  if (!isObject(plain)) return null;
  const { approval, boot, who, counts } = plain;
  if (!isObject(approval) || typeof boot !== "string" || typeof who !== "string" || !Array.isArray(counts))
    return null;
  const whole =
    approval.id === document.key &&
    states.some((state) => state === approval.state) &&
    kinds.some((kind) => kind === approval.kind) &&
    isTime(approval.created) &&
    isTime(approval.expires) &&
    typeof approval.binding === "string" &&
    typeof approval.usesLeft === "number" &&
    isObject(approval.requester) &&
    [approval.demands, approval.votes, approval.statements].every(Array.isArray);
  if (!whole) return null;
  // Sealed by this room, or by nobody's key at all: its shape is this version's.
  const stored = plain as unknown as StoredApproval;
  return { ...stored, version: document.version };
}

function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): boolean {
  return typeof value === "string" && Number.isFinite(Date.parse(value));
}

/** Tags to find it by, and how long it is kept. `keepMs`: of those that are over. */
export function writeOptions({ approval }: StoredApproval, keepMs: number, nowMs: number): WriteOptions {
  const live = isLive(approval.state);
  const tags = [
    approval.state === "pending" ? "pending" : "decided",
    `kind:${approval.kind}`,
    `who:${subjectKey(approval.requester)}`,
  ];
  if (live) tags.push("live");
  if (approval.state === "approved") tags.push(`binding:${approval.binding}`);
  if (approval.shape !== null) tags.push(`shape:${approval.shape}`);
  return { tags, expires: live ? null : nowMs + keepMs };
}

/** Something may still come of it. */
export function isLive(state: ApprovalState): boolean {
  return state === "pending" || state === "approved";
}

/** As people and programs see it. */
export function show({ approval, counts }: StoredApproval, publicUrl: string | null): Approval {
  return {
    ...approval,
    missing: approval.state === "pending" ? missingOf(approval.demands, approval.votes, counts) : [],
    url: publicUrl === null ? null : `${publicUrl.replace(/\/+$/, "")}/approvals/${approval.id}`,
  };
}
