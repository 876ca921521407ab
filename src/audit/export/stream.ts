/** One export: read, send, wait for the acknowledgement, keep the cursor. Runs in a worker (stream-worker.ts) or by itself. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LogPlace } from "../read/leaves.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { HttpSink } from "./http.ts";
import type { StreamSettings } from "./settings.ts";
import { type Sink, SinkError } from "./sink.ts";
import { CursorMismatch, type ExportCursor, ExportSource } from "./source.ts";
import { SyslogSink } from "./syslog.ts";

export interface StreamState {
  /** Records acknowledged: the index of the first that is not. */
  readonly next: number;
  /** Records sent in this run. */
  readonly sent: number;
  /** When all there was had last been acknowledged, milliseconds since the epoch; null: not yet. */
  readonly caughtUpMs: number | null;
  /** What is wrong now; null: nothing. */
  readonly problem: string | null;
  /** Records that retention took before they were exported, and those the receiver took and refused for good. */
  readonly lost: number;
  readonly rejected: number;
}

const defaults = {
  batch: { records: 500, bytes: 1024 * 1024 },
  pollMs: 500,
  retryMs: { first: 1000, most: 60_000 },
  timeoutMs: 30_000,
} as const;

function makeSink(settings: StreamSettings): Sink {
  const { target, timeoutMs = defaults.timeoutMs } = settings;
  const product = { version: settings.version };
  switch (target.kind) {
    case "webhook":
    case "otlp":
      return new HttpSink(target, product, timeoutMs);
    case "syslog":
      return new SyslogSink(target, product, timeoutMs);
  }
}

/** Streams until `signal` ends it. `tell` hears of every change of the state. Throws what the file system throws, and CursorUnreadable. */
export async function runStream(
  settings: StreamSettings,
  signal: AbortSignal,
  tell: (state: StreamState) => void,
): Promise<void> {
  const log: LogPlace = { name: "", dir: settings.dir };
  const { batch = defaults.batch, pollMs = defaults.pollMs, retryMs = defaults.retryMs, target } = settings;
  const sink = makeSink(settings);
  let cursor = readCursor(settings.dir, target.name);
  const fromNow = cursor === null && target.start === "now";
  if (fromNow) cursor = ExportSource.atEnd(log);
  let source = new ExportSource(log, cursor);
  let state: StreamState = {
    next: cursor?.next ?? 0,
    sent: 0,
    caughtUpMs: null,
    problem: null,
    lost: source.lost,
    rejected: 0,
  };
  const say = (change: Partial<StreamState>): void => {
    state = { ...state, ...change };
    tell(state);
  };
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  /** What was acknowledged is not sent again, however long it takes until that can be written down. */
  const keep = async (reached: ExportCursor): Promise<void> => {
    for (let wait = retryMs.first; !signal.aborted; wait = Math.min(wait * 2, retryMs.most)) {
      try {
        writeCursor(settings.dir, target.name, reached);
        return;
      } catch (error) {
        say({ problem: `how far it was taken cannot be written down (${codeOf(error)})` });
        await pause(wait);
      }
    }
  };
  let lost = source.lost;
  let most: number = batch.records;
  let delay: number = retryMs.first;
  say({});
  try {
    if (fromNow && cursor !== null) await keep(cursor);
    while (!signal.aborted) {
      let records: ReturnType<ExportSource["read"]>;
      try {
        records = source.read(most, batch.bytes);
      } catch (error) {
        if (!(error instanceof CursorMismatch)) throw error;
        say({ problem: `${error.message}; it is exported from its beginning` });
        source = new ExportSource(log, null);
        lost = source.lost;
        continue;
      }
      if (source.lost > lost) say({ lost: state.lost + source.lost - lost });
      lost = source.lost;
      if (records.length === 0) {
        say({ caughtUpMs: Date.now(), problem: null });
        await pause(pollMs);
        continue;
      }
      const done = await deliver(sink, records, signal, async (error) => {
        say({ problem: error.message });
        if (error.tooLarge) return true;
        // A little apart from others that failed at the same moment.
        // "At once" would be a storm when the receiver says it each time.
        const asked = error.retryAfterMs === null ? null : Math.max(error.retryAfterMs, retryMs.first);
        await pause(asked ?? delay * (0.75 + Math.random() / 2));
        delay = Math.min(delay * 2, retryMs.most);
        return false;
      });
      if (!done.all) {
        if (done.tooLarge) {
          most = Math.max(1, Math.floor(most / 2));
          source = new ExportSource(log, readCursor(settings.dir, target.name));
          lost = source.lost;
        }
        continue;
      }
      delay = retryMs.first;
      const reached: ExportCursor = source.cursor();
      await keep(reached);
      say({ next: reached.next, sent: state.sent + records.length, problem: null, rejected: sink.rejected });
      if (most < batch.records) most = Math.min(batch.records, most * 2);
    }
  } finally {
    sink.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "error";
}

/** Sends the same records until they are acknowledged, the receiver finds them too large, or the stream ends. */
async function deliver(
  sink: Sink,
  records: Parameters<Sink["send"]>[0],
  signal: AbortSignal,
  failed: (error: SinkError) => Promise<boolean>,
): Promise<{ readonly all: boolean; readonly tooLarge: boolean }> {
  while (!signal.aborted) {
    try {
      await sink.send(records);
      return { all: true, tooLarge: false };
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      if (await failed(error)) return { all: false, tooLarge: true };
    }
  }
  return { all: false, tooLarge: false };
}
