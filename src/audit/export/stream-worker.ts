/** The worker's side of streams.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { lowPriority } from "../low.ts";
import type { StreamSettings } from "./settings.ts";
import { runStream } from "./stream.ts";

const problemMs = 5000;
const stop = new AbortController();
parentPort?.on("message", () => stop.abort());
lowPriority();

while (!stop.signal.aborted) {
  try {
    await runStream(workerData as StreamSettings, stop.signal, (state) => parentPort?.postMessage({ state }));
  } catch (error) {
    parentPort?.postMessage({ problem: error instanceof Error ? error.message : String(error) });
    await sleep(problemMs, undefined, { signal: stop.signal }).catch(() => {});
  }
}
parentPort?.close();
