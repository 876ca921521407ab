/** What happens in the gateway, for all pages: one connection a browser, shared by its tabs. */
import { useEffect, useEffectEvent, useSyncExternalStore } from "react";
import { runStream, type StreamState } from "./stream.ts";
import type { Approval, OutcomeEvent, Session, StatementEvent } from "./types.ts";

export interface EventTypes {
  readonly session: { readonly type: "start" | "end"; readonly session: Session };
  readonly statement: StatementEvent;
  readonly outcome: OutcomeEvent;
  readonly approval: Approval;
  readonly log: Readonly<Record<string, unknown>>;
  /** Not the server's: the connection is open again, something may have been missed. */
  readonly resumed: null;
}

type Handler = (type: keyof EventTypes, data: unknown) => void;
interface Shared {
  readonly event?: { readonly type: keyof EventTypes; readonly data: unknown };
  readonly state?: StreamState;
  readonly ask?: true;
}

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

function deliver(type: keyof EventTypes, data: unknown): void {
  for (const handler of handlers) handler(type, data);
}

const known: ReadonlySet<string> = new Set(["session", "statement", "outcome", "approval", "log"]);
function isKnown(type: string): type is keyof EventTypes {
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
      "/api/events",
      {
        onState(next) {
          setState(next);
          channel?.postMessage({ state: next } satisfies Shared);
        },
        onMessage(message) {
          if (!isKnown(message.event)) return;
          let data: unknown;
          try {
            data = JSON.parse(message.data);
          } catch {
            return;
          }
          deliver(message.event, data);
          channel?.postMessage({ event: { type: message.event, data } } satisfies Shared);
        },
      },
      stop.signal,
    );
  };
  if (channel !== null)
    channel.onmessage = ({ data }: MessageEvent<Shared>) => {
      if (leading) {
        if (data.ask === true) channel.postMessage({ state } satisfies Shared);
        return;
      }
      if (data.state !== undefined) setState(data.state);
      if (data.event !== undefined) deliver(data.event.type, data.event.data);
    };
  if (channel === null || navigator.locks === undefined) void lead();
  else {
    channel.postMessage({ ask: true } satisfies Shared);
    navigator.locks.request("postern-events", { signal: stop.signal }, lead).catch(() => {});
  }
  return () => {
    stop.abort();
    channel?.close();
  };
}

/** Calls `handler` for each event of `type` while the component is shown. */
export function useServerEvent<Type extends keyof EventTypes>(
  type: Type,
  handler: (data: EventTypes[Type]) => void,
): void {
  const latest = useEffectEvent(handler);
  useEffect(() => {
    const listen: Handler = (seen, data) => {
      if (seen === type) latest(data as EventTypes[Type]);
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
