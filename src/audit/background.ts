/** A worker thread that is started anew when it ends by itself, with growing pauses. For work that must never hold up the data path. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

const firstRestartMs = 1000;
const lastRestartMs = 60_000;
const patienceMs = 5000;

export interface BackgroundOptions<Message> {
  /** The worker's file, without its ending, beside which `base` (import.meta.url of the caller) lies. */
  readonly file: string;
  readonly base: string;
  readonly name: string;
  readonly data: unknown;
  readonly onMessage: (message: Message) => void;
  readonly onProblem: (text: string) => void;
  /** Called for each new worker. */
  readonly onStart?: (post: (message: unknown) => void) => void;
  /**
   * Only from the first message on, and not beyond `rest`: for work that is rare. A thread takes 10 MiB and more. Left out: at once, and always.
   */
  readonly onDemand?: boolean;
}

export interface Background {
  readonly restarts: number;
  post(message: unknown): void;
  /** Asks the worker to end with `message`; the next one that is posted starts another. Only with `onDemand`. */
  rest(message: unknown): void;
  /** Asks the worker to end with `message` and waits for it, 5 seconds at most. Safe to call twice. */
  close(message: unknown): Promise<void>;
}

export function startBackground<Message>(options: BackgroundOptions<Message>): Background {
  let worker: Worker | null = null;
  let restarts = 0;
  let closed = false;
  let delay = firstRestartMs;
  let timer: NodeJS.Timeout | null = null;
  const spawn = (): void => {
    timer = null;
    // ".ts" from source, ".js" when built.
    const file = new URL(`${options.file}${extname(options.base)}`, options.base);
    const started = new Worker(file, { workerData: options.data, execArgv: [], name: options.name });
    worker = started;
    // It alone keeps no process alive.
    started.unref();
    started.on("message", (message: Message) => {
      delay = firstRestartMs;
      options.onMessage(message);
    });
    // One that was asked to end says nothing that concerns the next.
    started.on("error", (error) => {
      if (worker === started) options.onProblem(error.message);
    });
    started.on("exit", () => {
      if (closed || worker !== started) return;
      worker = null;
      restarts++;
      if (options.onDemand === true) return;
      timer = setTimeout(spawn, delay).unref();
      delay = Math.min(delay * 2, lastRestartMs);
    });
    options.onStart?.((message) => started.postMessage(message));
  };
  if (options.onDemand !== true) spawn();
  return {
    get restarts() {
      return restarts;
    },
    post(message) {
      if (worker === null && options.onDemand === true && !closed) spawn();
      worker?.postMessage(message);
    },
    rest(message) {
      if (options.onDemand !== true) return;
      worker?.postMessage(message);
      worker = null;
    },
    async close(message) {
      if (closed) return;
      closed = true;
      if (timer !== null) clearTimeout(timer);
      const last = worker;
      if (last === null) return;
      const ended = new Promise<void>((resolve) => last.once("exit", () => resolve()));
      last.postMessage(message);
      const patience = setTimeout(() => void last.terminate(), patienceMs);
      await ended;
      clearTimeout(patience);
    },
  };
}
