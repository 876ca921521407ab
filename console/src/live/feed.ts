/** Statements as they happen, the newest first: the latest few thousand, with their outcomes joined on. */
import { useEffect, useReducer } from "react";
import { pastEvents, useServerEvent } from "../lib/events.ts";
import type { OutcomeEvent, StatementEvent } from "../lib/types.ts";

/** One statement and, when it is known, what became of it. */
export interface Said {
  readonly key: string;
  /** The statement's index in the log, which outcomes name; null: not known. */
  readonly place: number | null;
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

type Heard =
  | { readonly type: "statement"; readonly event: StatementEvent; readonly place: number | null }
  | { readonly type: "outcome"; readonly event: OutcomeEvent };

type Change =
  | { readonly kind: "heard"; readonly batch: readonly Heard[] }
  | { readonly kind: "pause"; readonly paused: boolean };

/** The next state; pure. */
function advance(feed: Feed, change: Change): Feed {
  switch (change.kind) {
    case "heard": {
      const known = new Set([...feed.shown, ...feed.waiting].map((said) => said.key));
      const fresh: Said[] = [];
      const outcomes = new Map<string, OutcomeEvent>();
      for (const heard of change.batch) {
        if (heard.type === "outcome") {
          outcomes.set(nameOf(heard.event), heard.event);
          continue;
        }
        const key = `${heard.event.request}/${heard.event.index}`;
        if (known.has(key)) continue;
        known.add(key);
        fresh.unshift({ key, place: heard.place, statement: heard.event, outcome: null });
      }
      const shown = join(feed.shown, outcomes);
      const waiting = join(feed.waiting, outcomes);
      const added = join(fresh, outcomes);
      if (feed.paused) return { ...feed, shown, waiting: [...added, ...waiting].slice(0, kept) };
      return { ...feed, waiting, shown: added.length === 0 ? shown : [...added, ...shown].slice(0, kept) };
    }
    case "pause":
      if (change.paused) return { ...feed, paused: true };
      return { paused: false, waiting: [], shown: [...feed.waiting, ...feed.shown].slice(0, kept) };
    default:
      return change satisfies never;
  }
}

/** How an outcome names its statement: by its place in the log, else by its place in the message. */
function nameOf({ intent, request, index }: OutcomeEvent): string {
  return typeof intent === "number" ? `@${intent}` : `${request}/${index ?? 0}`;
}

function join(list: readonly Said[], outcomes: ReadonlyMap<string, OutcomeEvent>): readonly Said[] {
  if (outcomes.size === 0) return list;
  let changed = false;
  const next = list.map((said) => {
    const outcome =
      (said.place === null ? undefined : outcomes.get(`@${said.place}`)) ?? outcomes.get(said.key);
    if (outcome === undefined) return said;
    changed = true;
    return { ...said, outcome };
  });
  return changed ? next : list;
}

const start: Feed = { shown: [], waiting: [], paused: false };

/** The feed, from the last events that were heard of on. */
export function useFeed() {
  const [feed, change] = useReducer(advance, start, remembered);
  const enqueue = useBatch((batch: readonly Heard[]) => change({ kind: "heard", batch }));
  useServerEvent("statement", (event, place) => enqueue({ type: "statement", event, place }));
  useServerEvent("outcome", (event) => enqueue({ type: "outcome", event }));
  // What came between the first drawing and listening; statements that are there already are left alone.
  useEffect(() => change({ kind: "heard", batch: rememberedBatch() }), []);
  return { feed, pause: (paused: boolean) => change({ kind: "pause", paused }) };
}

/** What was heard of so far. */
function rememberedBatch(): readonly Heard[] {
  const batch: Heard[] = [];
  for (const { type, data, id } of pastEvents())
    if (type === "statement") batch.push({ type, event: data as StatementEvent, place: id });
    else if (type === "outcome") batch.push({ type, event: data as OutcomeEvent });
  return batch;
}

function remembered(empty: Feed): Feed {
  return advance(empty, { kind: "heard", batch: rememberedBatch() });
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
