/** GET /api/events, kept open: reconnects with growing pauses and asks for what was missed (Last-Event-ID). */
import { ApiError, refusal } from "./api.ts";
import { createSseParser, type SseMessage } from "./sse.ts";

export type StreamState = "connecting" | "open" | "waiting" | "refused";

export interface StreamListener {
  onMessage(message: SseMessage): void;
  onState(state: StreamState): void;
}

const firstPause = 1_000;
const longestPause = 30_000;
/** Heartbeats come every 15 s; after this long without a byte the connection is taken for dead. */
const silence = 45_000;

/** Runs until `signal` aborts or the gateway refuses (401, 403). Never rejects. */
export async function runStream(path: string, listener: StreamListener, signal: AbortSignal): Promise<void> {
  let lastId: string | null = null;
  let pause = firstPause;
  while (!signal.aborted) {
    listener.onState("connecting");
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    let quiet = setTimeout(stop, silence);
    const alive = () => {
      clearTimeout(quiet);
      quiet = setTimeout(stop, silence);
    };
    try {
      const response = await fetch(path, {
        headers: { accept: "text/event-stream", ...(lastId === null ? {} : { "last-event-id": lastId }) },
        credentials: "same-origin",
        redirect: "error",
        signal: attempt.signal,
      });
      if (!response.ok || response.body === null) throw await refusal(response);
      listener.onState("open");
      pause = firstPause;
      const parser = createSseParser(
        (message) => {
          if (message.id !== null) lastId = message.id;
          listener.onMessage(message);
        },
        (ms) => {
          pause = Math.min(Math.max(ms, firstPause), longestPause);
        },
      );
      const decoder = new TextDecoder();
      for await (const piece of chunks(response.body)) {
        alive();
        parser.feed(decoder.decode(piece, { stream: true }));
      }
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        listener.onState("refused");
        return;
      }
    } finally {
      clearTimeout(quiet);
      signal.removeEventListener("abort", stop);
    }
    if (signal.aborted) return;
    listener.onState("waiting");
    await rest(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, longestPause);
  }
}

/** ReadableStream is not async-iterable in every browser yet. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Waits; ends early when aborted or when the browser says that it is online again. */
function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      window.removeEventListener("online", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    window.addEventListener("online", end);
  });
}
