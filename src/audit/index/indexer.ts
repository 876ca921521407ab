/** The indexer of a running gateway: a worker thread of low priority, so that the data path never waits for it. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

export interface IndexerSettings {
  /** The log's own folder, `<audit.dir>/<node>/<worker>`. */
  readonly dir: string;
  /** Folder of the keys: known values are indexed (keyed). null: they are not. */
  readonly keys: string | null;
  /** Milliseconds between two looks at the log. */
  readonly pollMs?: number;
  /** Records of one transaction. */
  readonly batch?: number;
}

export interface IndexerState {
  /** Records in the index. */
  readonly records: number;
  /** When it last had taken all there was, milliseconds since the epoch; null: not yet. */
  readonly caughtUpMs: number | null;
  /** What went wrong last; null: nothing, or it has passed. */
  readonly problem: string | null;
  /** Times the worker had to be started anew. */
  readonly restarts: number;
}

export interface Indexer {
  readonly state: IndexerState;
  /** Resolves when everything that is in the segments now is in the index. Rejects when the indexer is closed before. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export type IndexerMessage =
  | { readonly kind: "progress"; readonly records: number }
  | { readonly kind: "idle"; readonly records: number; readonly ask: number }
  | { readonly kind: "problem"; readonly text: string };
export type IndexerRequest = { readonly kind: "ask"; readonly ask: number } | { readonly kind: "end" };

const firstRestartMs = 1000;
const lastRestartMs = 60_000;

/** Starts indexing the log in `settings.dir`; what goes wrong shows in `state` and is tried again, it never reaches the caller. */
export function startIndexer(
  settings: IndexerSettings,
  onProblem: (text: string) => void = () => {},
): Indexer {
  let worker: Worker | null = null;
  let state: IndexerState = { records: 0, caughtUpMs: null, problem: null, restarts: 0 };
  let asked = 0;
  let waiting: { readonly ask: number; resolve(): void; reject(error: Error): void }[] = [];
  let closed = false;
  let delay = firstRestartMs;
  let timer: NodeJS.Timeout | null = null;

  const problem = (text: string): void => {
    if (state.problem !== text) onProblem(text);
    state = { ...state, problem: text };
  };
  const take = (message: IndexerMessage): void => {
    if (message.kind === "problem") {
      problem(message.text);
      return;
    }
    delay = firstRestartMs;
    state = { ...state, records: message.records, problem: null };
    if (message.kind !== "idle") return;
    state = { ...state, caughtUpMs: Date.now() };
    const ready = waiting.filter((w) => w.ask <= message.ask);
    waiting = waiting.filter((w) => w.ask > message.ask);
    for (const { resolve } of ready) resolve();
  };
  const spawn = (): void => {
    timer = null;
    // ".ts" from source, ".js" when built.
    const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const started = new Worker(file, { workerData: settings, execArgv: [], name: "audit-indexer" });
    worker = started;
    // The indexer alone keeps no process alive.
    started.unref();
    started.on("message", take);
    started.on("error", (error) => problem(error.message));
    started.on("exit", () => {
      if (closed || worker !== started) return;
      worker = null;
      state = { ...state, restarts: state.restarts + 1 };
      timer = setTimeout(spawn, delay).unref();
      delay = Math.min(delay * 2, lastRestartMs);
    });
    if (waiting.length > 0) started.postMessage({ kind: "ask", ask: asked } satisfies IndexerRequest);
  };
  spawn();

  return {
    get state() {
      return state;
    },
    caughtUp: () =>
      new Promise((resolve, reject) => {
        if (closed) {
          reject(new Error("the indexer is closed"));
          return;
        }
        const ask = ++asked;
        waiting.push({ ask, resolve, reject });
        worker?.postMessage({ kind: "ask", ask } satisfies IndexerRequest);
      }),
    async close() {
      if (closed) return;
      closed = true;
      if (timer !== null) clearTimeout(timer);
      for (const { reject } of waiting.splice(0)) reject(new Error("the indexer is closed"));
      const last = worker;
      if (last === null) return;
      // Asked to end, it ends between two transactions; a step takes well under a second.
      const ended = new Promise<void>((resolve) => last.once("exit", () => resolve()));
      last.postMessage({ kind: "end" } satisfies IndexerRequest);
      const patience = setTimeout(() => void last.terminate(), 5000);
      await ended;
      clearTimeout(patience);
    },
  };
}
