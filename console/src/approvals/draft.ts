/** What the person had filled in when a fresh login was asked for; kept for this tab only, and only until it is shown again. */
import { isRecord } from "../lib/api.ts";
import type { ApprovalScope } from "../lib/types.ts";

export interface Draft {
  readonly verdict: "approve" | "deny";
  readonly reason: string;
  readonly scope: ApprovalScope;
}

function keyOf(id: string): string {
  return `postern.draft.${id}`;
}

export function saveDraft(id: string, draft: Draft): void {
  try {
    sessionStorage.setItem(keyOf(id), JSON.stringify(draft));
  } catch {
    // Without storage it has to be written again.
  }
}

export function dropDraft(id: string): void {
  try {
    sessionStorage.removeItem(keyOf(id));
  } catch {
    // Nothing was kept.
  }
}

/** The draft of an approval, or null. */
export function readDraft(id: string): Draft | null {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(keyOf(id)) ?? "null");
    if (!isRecord(value) || typeof value.reason !== "string") return null;
    if (value.verdict !== "approve" && value.verdict !== "deny") return null;
    return { verdict: value.verdict, reason: value.reason, scope: readScope(value.scope) };
  } catch {
    return null;
  }
}

function readScope(value: unknown): ApprovalScope {
  if (
    isRecord(value) &&
    value.kind === "shape" &&
    typeof value.uses === "number" &&
    typeof value.seconds === "number"
  )
    return { kind: "shape", uses: value.uses, seconds: value.seconds };
  return { kind: "once" };
}
