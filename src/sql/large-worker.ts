/** The worker's side of large.ts. */
import { parentPort } from "node:worker_threads";
import type { LargeAnswer, LargeJob } from "./large.ts";
import { UnreadableSql } from "./limits.ts";
import { parsers } from "./parser.ts";
import { readStatements } from "./statements.ts";

parentPort?.on("message", (job: LargeJob) => parentPort?.postMessage(answer(job)));

function answer({ id, text, limits }: LargeJob): LargeAnswer {
  try {
    return { id, reading: readStatements(text, Buffer.byteLength(text), parsers, limits) };
  } catch (error) {
    return { id, unread: error instanceof UnreadableSql ? error.reason : "parser-failed" };
  }
}
