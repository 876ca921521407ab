/** Statements as they happen, the newest first: the latest few thousand, with their outcomes joined on. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useReducer } from "react";
import { api } from "../lib/api.ts";
import { useServerEvent } from "../lib/events.ts";
import type { AuditHit, OutcomeEvent, Page, StatementEvent } from "../lib/types.ts";

/** One statement and, when it is known, what became of it. */
export interface Said {
  readonly key: string;
  readonly statement: StatementEvent;
  readonly outcome: OutcomeEvent | null;
}

/** As many are kept; older ones are in the trail. */
export const kept = 3_000;

interface Feed {
  /** Newest first. */
  readonly shown: readonly Said[];
  /** Came while paused, newest first. */
  readonly waiting: readonly Said[];
  readonly paused: boolean;
}

type Change =
  | { readonly kind: "said"; readonly batch: readonly (StatementEvent | OutcomeEvent)[] }
  | { readonly kind: "history"; readonly hits: readonly AuditHit[] }
  | { readonly kind: "pause"; readonly paused: boolean };

function keyOf(event: { readonly request: string; readonly index: number }): string {
  return `${event.request}/${event.index}`;
}

function isOutcome(event: StatementEvent | OutcomeEvent): event is OutcomeEvent {
  return "status" in event;
}

/** The next state; pure. */
export function advance(feed: Feed, change: Change): Feed {
  switch (change.kind) {
    case "said": {
      const outcomes = new Map<string, OutcomeEvent>();
      const fresh: Said[] = [];
      for (const event of change.batch)
        if (isOutcome(event)) outcomes.set(keyOf(event), event);
        else fresh.unshift({ key: keyOf(event), statement: event, outcome: null });
      const join = (list: readonly Said[]): readonly Said[] =>
        outcomes.size === 0 || !list.some((said) => outcomes.has(said.key))
          ? list
          : list.map((said) => {
              const outcome = outcomes.get(said.key);
              return outcome === undefined ? said : { ...said, outcome };
            });
      const known = new Set([...feed.shown, ...feed.waiting].map((said) => said.key));
      const added = join(fresh.filter((said) => !known.has(said.key)));
      const shown = join(feed.shown);
      const waiting = join(feed.waiting);
      if (feed.paused) return { ...feed, shown, waiting: [...added, ...waiting].slice(0, kept) };
      return { ...feed, shown: added.length === 0 ? shown : [...added, ...shown].slice(0, kept) };
    }
    case "history": {
      const known = new Set([...feed.shown, ...feed.waiting].map((said) => said.key));
      const older = change.hits.map(fromHit).filter((said) => !known.has(said.key));
      const shown = [...feed.shown, ...older];
      shown.sort((one, other) => Date.parse(other.statement.time) - Date.parse(one.statement.time));
      return { ...feed, shown: shown.slice(0, kept) };
    }
    case "pause":
      if (change.paused) return { ...feed, paused: true };
      return { paused: false, waiting: [], shown: [...feed.waiting, ...feed.shown].slice(0, kept) };
    default:
      return change satisfies never;
  }
}

/** A record of the trail in the shape of the events. */
function fromHit(hit: AuditHit): Said {
  const { time, session, request, statementIndex: index } = hit;
  const statement: StatementEvent = { ...hit, index };
  const outcome: OutcomeEvent | null =
    hit.status === null
      ? null
      : {
          time,
          session,
          request,
          index,
          status: hit.status,
          sqlstate: hit.sqlstate,
          tag: hit.tag,
          rows: hit.rows,
          bytes: hit.bytes,
          rows_affected: hit.rowsAffected,
          duration_us: hit.durationUs,
        };
  return { key: `${request}/${index}`, statement, outcome };
}

const start: Feed = { shown: [], waiting: [], paused: false };

/** The feed. `history`: the last statements of the trail come first (needs the role auditor). */
export function useFeed(history: boolean) {
  const [feed, change] = useReducer(advance, start);
  const past = useQuery({
    queryKey: ["live", "history"],
    queryFn: ({ signal }) => api<Page<AuditHit>>("/api/audit?limit=100", { signal }),
    enabled: history,
    staleTime: 0,
    refetchOnWindowFocus: false,
  });
  useEffect(() => {
    if (past.data !== undefined) change({ kind: "history", hits: past.data.items });
  }, [past.data]);
  const enqueue = useBatch((batch: readonly (StatementEvent | OutcomeEvent)[]) =>
    change({ kind: "said", batch }),
  );
  useServerEvent("statement", enqueue);
  useServerEvent("outcome", enqueue);
  return {
    feed,
    loading: history && past.isPending,
    error: past.error,
    pause: (paused: boolean) => change({ kind: "pause", paused }),
  };
}

/** Events of a busy gateway are taken together, a few times a second. */
function useBatch<Item>(flush: (batch: readonly Item[]) => void): (item: Item) => void {
  const [state] = useReducer((same: { queue: Item[]; timer: number }) => same, { queue: [], timer: 0 });
  useEffect(() => () => window.clearTimeout(state.timer), [state]);
  return (item) => {
    state.queue.push(item);
    if (state.queue.length > 1) return;
    state.timer = window.setTimeout(() => {
      const batch = state.queue;
      state.queue = [];
      flush(batch);
    }, 120);
  };
}
