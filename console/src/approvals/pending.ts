/** What waits for a decision: one list for the inbox, the navigation's badge, the tab's title and notifications. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { api } from "../lib/api.ts";
import { useServerEvent } from "../lib/events.ts";
import { notify } from "../lib/notify.ts";
import { at } from "../lib/time.ts";
import { useTitleBadge } from "../lib/title.ts";
import type { Approval, Page } from "../lib/types.ts";
import { whoText } from "../ui/who.tsx";

export const pendingKey = ["approvals", "pending"] as const;

/** Newest wishes last: who waits longest stands first. */
export function usePending() {
  return useQuery({
    queryKey: pendingKey,
    queryFn: ({ signal }) => api<Page<Approval>>("/api/approvals?state=pending&limit=200", { signal }),
    staleTime: 5_000,
    refetchInterval: 60_000,
  });
}

/** How many wait for this person's decision; keeps list, title and notifications up to date with events. Once, in the layout. */
export function usePendingCount(): number {
  const queries = useQueryClient();
  const pending = usePending();
  const told = useRef(new Set<string>());
  useServerEvent("approval", (approval) => {
    void queries.invalidateQueries({ queryKey: ["approvals"] });
    if (approval.state !== "pending" || told.current.has(approval.id)) return;
    told.current.add(approval.id);
    // An old one that comes with a reconnect is no news.
    if (!approval.can.approve || Date.now() - at(approval.created) > 120_000) return;
    const what = approval.kind === "access" ? "access for a while" : (approval.command ?? "a statement");
    notify(
      `${whoText(approval.requester)} waits for approval`,
      `${what} on ${approval.database}`,
      `/approvals/${encodeURIComponent(approval.id)}`,
      approval.id,
    );
  });
  useServerEvent("resumed", () => {
    void queries.invalidateQueries({ queryKey: ["approvals"] });
  });
  const count = pending.data?.items.filter((approval) => mayDecide(approval)).length ?? 0;
  useTitleBadge(count);
  return count;
}

/** Whether there are buttons. The person may, even if a fresh login must come first. */
export function mayDecide({ can }: Approval): boolean {
  return can.approve || can.deny;
}
