/** The worker's side of indexer.ts. */
import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { lowPriority } from "../low.ts";
import type { IndexerMessage, IndexerRequest, IndexerSettings } from "./indexer.ts";
import { Manners } from "./manners.ts";
import { IndexWriter } from "./writer.ts";

const { dir, keys, pollMs = 500, batch = 1000 } = workerData as IndexerSettings;
/** SQLite's page cache, KiB. A log is written in order: its newest pages are what an indexer needs. */
const cacheKiB = 4096;
const problemMs = 5000;
/** Between two looks at whether retention or erasure took something. */
const tendMs = 60_000;
/** The log comes first: below this much free space the index takes none. */
const leastFree = 128 * 1024 * 1024;
let asked = 0;
let ended = false;
let wake: AbortController | null = null;

function tell(message: IndexerMessage): void {
  parentPort?.postMessage(message);
}

parentPort?.on("message", (request: IndexerRequest) => {
  if (request.kind === "ask") asked = Math.max(asked, request.ask);
  else ended = true;
  wake?.abort();
});

lowPriority();

async function pause(ms: number): Promise<void> {
  wake = new AbortController();
  await sleep(ms, undefined, { signal: wake.signal }).catch(() => {});
  wake = null;
}

/** Records of the log, as of a second ago at most: by the list of their hashes, 32 bytes each. */
function logged(): number {
  return (statSync(join(dir, "leaves"), { throwIfNoEntry: false })?.size ?? 0) / 32;
}

/**
 * Steps until it is asked to end. Small steps, and as long a pause behind each as the step took: half of a core at most.
 * While the gateway is busy and nobody waits for the index, the pauses are longer.
 */
async function run(): Promise<void> {
  const writer = new IndexWriter({ name: "", dir }, { keys, cacheKiB });
  const manners = new Manners();
  let answered = 0;
  try {
    let tended = performance.now();
    while (!ended) {
      const ask = asked;
      const { bavail, bsize } = statfsSync(dir);
      if (bavail * bsize < leastFree) throw new Error("the disk is nearly full: indexing waits");
      const start = performance.now();
      const count = writer.step(batch);
      const took = performance.now() - start;
      if (count >= batch) {
        tell({ kind: "progress", records: writer.size });
        if (ended) break;
        if (asked > answered) await sleep(Math.min(took, 1000));
        else await pause(manners.pauseMs(took, logged() - writer.size));
        continue;
      }
      answered = ask;
      // Less than was asked for: all that stood in the segments when the step began is in.
      tell({ kind: "idle", records: writer.size, ask });
      if (performance.now() - tended > tendMs) {
        tended = performance.now();
        writer.tend();
      }
      if (!ended && ask === asked) await pause(Math.max(pollMs, manners.pauseMs(took, 0)));
    }
  } finally {
    writer.close();
  }
}

while (!ended) {
  try {
    await run();
  } catch (error) {
    tell({ kind: "problem", text: error instanceof Error ? error.message : String(error) });
    if (!ended) await pause(problemMs);
  }
}
parentPort?.close();
