/** Open sessions, kept fresh by events. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api } from "../lib/api.ts";
import { useServerEvent } from "../lib/events.ts";
import type { Page, Session } from "../lib/types.ts";

export const sessionsKey = ["sessions"] as const;

/** Who started last stands first. */
export function useSessions() {
  const queries = useQueryClient();
  const sessions = useQuery({
    queryKey: sessionsKey,
    queryFn: ({ signal }) => api<Page<Session>>("/api/sessions?limit=500", { signal }),
    refetchInterval: 15_000,
  });
  const change = (edit: (items: readonly Session[]) => readonly Session[]) =>
    queries.setQueryData<Page<Session>>(sessionsKey, (old) =>
      old === undefined ? old : { ...old, items: edit(old.items) },
    );
  // States move with statements: asked for again soon after, but not for each of a burst.
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const soon = () => {
    if (timer.current !== 0) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      void queries.invalidateQueries({ queryKey: sessionsKey });
    }, 2_500);
  };
  useServerEvent("session", ({ type, session }) => {
    change((items) => {
      const others = items.filter((each) => each.id !== session.id);
      return type === "start" ? [session, ...others] : others;
    });
    // A list that was under way when it came does not have it.
    soon();
  });
  useServerEvent("statement", soon);
  useServerEvent("approval", soon);
  useServerEvent("resumed", soon);
  return sessions;
}
