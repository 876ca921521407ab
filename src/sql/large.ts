/** Texts too large for the event loop, parsed one after the other in a worker with a large stack and a time limit. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { type SqlLimits, UnreadableSql } from "./limits.ts";
import type { Reading, Unread } from "./types.ts";

/** A worker that parsed a text of megabytes holds hundreds of them; it is ended when nothing follows. */
const idleMs = 5000;
/** What may wait: texts at once. More are refused, so that a flood of them costs bounded memory. */
const maxWaiting = 16;

export interface LargeJob {
  readonly id: number;
  readonly text: string;
  readonly limits: SqlLimits;
}
export type LargeAnswer =
  | { readonly id: number; readonly reading: Reading }
  | { readonly id: number; readonly unread: Unread };

export interface LargeStats {
  /** Large texts given to the worker, and workers ended because one took too long or broke down. */
  readonly large: number;
  readonly largeFailed: number;
}

interface Waiting {
  readonly job: LargeJob;
  resolve(reading: Reading): void;
  reject(error: UnreadableSql): void;
}

export class LargeReader {
  readonly #limits: SqlLimits;
  readonly #timeoutMs: number;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | null = null;
  #timer: NodeJS.Timeout | null = null;
  #id = 0;
  #large = 0;
  #failed = 0;

  constructor(limits: SqlLimits, timeoutMs: number) {
    this.#limits = limits;
    this.#timeoutMs = timeoutMs;
  }

  get stats(): LargeStats {
    return { large: this.#large, largeFailed: this.#failed };
  }

  /** Reads `text`, which passed checkText(). Rejects with UnreadableSql only. */
  read(text: string): Promise<Reading> {
    if (this.#waiting.length >= maxWaiting) return Promise.reject(new UnreadableSql("parser-busy"));
    this.#large++;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job: { id: ++this.#id, text, limits: this.#limits }, resolve, reject });
      if (this.#waiting.length === 1) this.#start();
    });
  }

  /** Ends the worker; what waits is refused. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#stop();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new UnreadableSql("timeout"));
    await worker?.terminate();
  }

  /** Gives the first that waits to the worker. */
  #start(): void {
    const first = this.#waiting[0];
    if (first === undefined) {
      // An idle worker must not keep the process alive.
      this.#worker?.unref();
      this.#timer = setTimeout(() => this.#stop(), idleMs).unref();
      return;
    }
    this.#worker ??= this.#spawn();
    this.#worker.ref();
    this.#stopTimer();
    this.#timer = setTimeout(() => this.#fail("timeout"), this.#timeoutMs);
    this.#worker.postMessage(first.job);
  }

  #spawn(): Worker {
    // ".ts" from source, ".js" when built.
    const file = new URL(`./large-worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(file, {
      resourceLimits: { stackSizeMb: 64, maxOldGenerationSizeMb: 1024 },
      execArgv: [],
    });
    const current = (): boolean => this.#worker === worker;
    worker.on("message", (answer: LargeAnswer) => {
      if (current()) this.#answer(answer);
    });
    worker.on("error", () => {
      if (current()) this.#fail("parser-failed");
    });
    worker.on("exit", () => {
      if (current()) this.#fail("parser-failed");
    });
    return worker;
  }

  #answer(answer: LargeAnswer): void {
    const first = this.#waiting[0];
    if (first?.job.id !== answer.id) return;
    this.#waiting.shift();
    this.#stopTimer();
    if ("reading" in answer) first.resolve(answer.reading);
    else first.reject(new UnreadableSql(answer.unread));
    this.#start();
  }

  /** The worker is of no more use: it is ended, the text it had is refused, the others get a new one. */
  #fail(reason: Unread): void {
    this.#failed++;
    this.#stop();
    this.#waiting.shift()?.reject(new UnreadableSql(reason));
    this.#start();
  }

  #stop(): void {
    this.#stopTimer();
    const worker = this.#worker;
    this.#worker = null;
    worker?.terminate().catch(() => {});
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
