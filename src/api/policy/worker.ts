/** The worker's side of jobs.ts: policies that somebody sent are compiled and run here, never beside the data path. */
import { parentPort, workerData } from "node:worker_threads";
import { patternFault } from "../../gateway/analyst/detection.ts";
import { loadPolicy, PolicyError } from "../../policy/index.ts";
import type { PolicyJob, PolicyJobAnswer } from "./jobs.ts";
import { replayLogs } from "./replay-log.ts";

const job = workerData as PolicyJob;
parentPort?.postMessage(work(job));

function work({ files, replay }: PolicyJob): PolicyJobAnswer {
  try {
    const given = files.map(({ name, text }) => ({ file: name, text }));
    const policy = loadPolicy(given, { checkPattern: patternFault });
    return {
      ok: true,
      digest: policy.digest,
      report: replay === null ? null : replayLogs(policy, replay),
    };
  } catch (error) {
    if (error instanceof PolicyError)
      return { ok: false, problems: error.problems.map((one) => ({ ...one })) };
    throw error;
  }
}
