/** What happens in the gateway, for all pages: one connection a browser, shared by its tabs. */
import { useEffect, useEffectEvent, useSyncExternalStore } from "react";
import type { SseMessage } from "./sse.ts";
import { runStream, type StreamState } from "./stream.ts";
import type { ApprovalEvent, OutcomeEvent, Session, StatementEvent } from "./types.ts";

export interface EventTypes {
  readonly session: { readonly type: "start" | "end"; readonly session: Session };
  readonly statement: StatementEvent;
  readonly outcome: OutcomeEvent;
  readonly approval: ApprovalEvent;
  readonly log: Readonly<Record<string, unknown>>;
  /** Not the server's: the connection is open again, or the server left something out. */
  readonly resumed: null;
}

type Type = keyof EventTypes;
/** `id`: the log index of what is told, where it is on the log. */
type Handler = (type: Type, data: unknown, id: number | null) => void;
interface Told {
  readonly type: Type;
  readonly data: unknown;
  readonly id: number | null;
}
interface Shared {
  readonly event?: Told;
  readonly state?: StreamState;
  readonly ask?: true;
  readonly past?: readonly Told[];
}

/** The last statements and outcomes, for pages that open later. */
const mostKept = 600;
let past: Told[] = [];

const handlers = new Set<Handler>();
const stateListeners = new Set<() => void>();
let state: StreamState = "connecting";

function setState(next: StreamState): void {
  if (next === state) return;
  const reopened = next === "open";
  state = next;
  for (const listener of stateListeners) listener();
  if (reopened) deliver("resumed", null);
}

function deliver(type: Type, data: unknown, id: number | null = null): void {
  if (type === "statement" || type === "outcome") {
    past.push({ type, data, id });
    if (past.length > 2 * mostKept) past = past.slice(-mostKept);
  }
  for (const handler of handlers) handler(type, data, id);
}

const known: ReadonlySet<string> = new Set(["session", "statement", "outcome", "approval", "log"]);
function isKnown(type: string): type is Type {
  return known.has(type);
}

/**
 * Starts listening; the function given back stops it. Browsers open few connections to one host (six over HTTP/1.1):
 * where the Web Locks API is there (secure contexts), one tab listens and tells the others.
 */
export function startEvents(): () => void {
  const stop = new AbortController();
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("postern-events");
  let leading = false;
  const lead = () => {
    leading = true;
    return runStream(
      "/api/events?recent=100",
      {
        onState(next) {
          setState(next);
          channel?.postMessage({ state: next } satisfies Shared);
        },
        onMessage(message) {
          const told = read(message);
          if (told === null) return;
          deliver(told.type, told.data, told.id);
          channel?.postMessage({ event: told } satisfies Shared);
        },
      },
      stop.signal,
    );
  };
  if (channel !== null)
    channel.onmessage = ({ data }: MessageEvent<Shared>) => {
      if (leading) {
        if (data.ask === true) channel.postMessage({ state, past: past.slice(-mostKept) } satisfies Shared);
        return;
      }
      if (data.past !== undefined && past.length === 0)
        for (const { type, data: told, id } of data.past) deliver(type, told, id);
      if (data.state !== undefined) setState(data.state);
      if (data.event !== undefined) deliver(data.event.type, data.event.data, data.event.id);
    };
  if (channel === null || navigator.locks === undefined) void lead();
  else {
    channel.postMessage({ ask: true } satisfies Shared);
    navigator.locks.request("postern-events", { signal: stop.signal }, lead).catch(() => {});
  }
  return () => {
    stop.abort();
    channel?.close();
    past = [];
  };
}

/** An event of the stream; null: of no use here. A gap (something was left out) means: ask again. */
function read(message: SseMessage): Told | null {
  if (message.event === "gap") return { type: "resumed", data: null, id: null };
  if (!isKnown(message.event)) return null;
  const id = Number(message.id ?? "");
  try {
    return {
      type: message.event,
      data: JSON.parse(message.data),
      id: message.id !== null && Number.isSafeInteger(id) ? id : null,
    };
  } catch {
    return null;
  }
}

/** The last statements and outcomes that were heard of, oldest first. */
export function pastEvents(): readonly Told[] {
  return past;
}

/** The statements among them. */
export function pastStatements(): readonly StatementEvent[] {
  return past.flatMap(({ type, data }) => (type === "statement" ? [data as StatementEvent] : []));
}

/** Calls `handler` for each event of `type` while the component is shown. */
export function useServerEvent<Wanted extends Type>(
  type: Wanted,
  handler: (data: EventTypes[Wanted], id: number | null) => void,
): void {
  const latest = useEffectEvent(handler);
  useEffect(() => {
    const listen: Handler = (seen, data, id) => {
      if (seen === type) latest(data as EventTypes[Wanted], id);
    };
    handlers.add(listen);
    return () => {
      handlers.delete(listen);
    };
  }, [type]);
}

/** Whether events arrive. */
export function useStreamState(): StreamState {
  return useSyncExternalStore(
    (listener) => {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    () => state,
  );
}
