/** The indexer of a running gateway: a worker thread of low priority, so that the data path never waits for it. */
import { startBackground } from "../background.ts";

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

/** Starts indexing the log in `settings.dir`; what goes wrong shows in `state` and is tried again, it never reaches the caller. */
export function startIndexer(
  settings: IndexerSettings,
  onProblem: (text: string) => void = () => {},
): Indexer {
  let state = { records: 0, caughtUpMs: null as number | null, problem: null as string | null };
  let asked = 0;
  let waiting: { readonly ask: number; resolve(): void; reject(error: Error): void }[] = [];
  let closed = false;

  const problem = (text: string): void => {
    if (state.problem !== text) onProblem(text);
    state = { ...state, problem: text };
  };
  const take = (message: IndexerMessage): void => {
    if (message.kind === "problem") {
      problem(message.text);
      return;
    }
    state = { ...state, records: message.records, problem: null };
    if (message.kind !== "idle") return;
    state = { ...state, caughtUpMs: Date.now() };
    const ready = waiting.filter((w) => w.ask <= message.ask);
    waiting = waiting.filter((w) => w.ask > message.ask);
    for (const { resolve } of ready) resolve();
  };
  const background = startBackground<IndexerMessage>({
    file: "./worker",
    base: import.meta.url,
    name: "audit-indexer",
    data: settings,
    onMessage: take,
    onProblem: problem,
    onStart: (post) => {
      if (waiting.length > 0) post({ kind: "ask", ask: asked } satisfies IndexerRequest);
    },
  });
  return {
    get state() {
      return { ...state, restarts: background.restarts };
    },
    caughtUp: () =>
      new Promise((resolve, reject) => {
        if (closed) {
          reject(new Error("the indexer is closed"));
          return;
        }
        const ask = ++asked;
        waiting.push({ ask, resolve, reject });
        background.post({ kind: "ask", ask } satisfies IndexerRequest);
      }),
    async close() {
      closed = true;
      for (const { reject } of waiting.splice(0)) reject(new Error("the indexer is closed"));
      await background.close({ kind: "end" } satisfies IndexerRequest);
    },
  };
}
