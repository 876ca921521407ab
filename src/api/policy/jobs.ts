/** Checking and replaying policies that somebody sends: each job has a worker thread, a time limit and bounded memory of its own. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { PolicyProblem } from "../../policy/problem.ts";
import { ApiError } from "../failure.ts";
import type { ReplayReport, ReplayWish } from "./replay-log.ts";

export interface PolicyJob {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** null: only checked. */
  readonly replay: ReplayWish | null;
}

export type PolicyJobAnswer =
  | { readonly ok: true; readonly digest: string; readonly report: ReplayReport | null }
  | { readonly ok: false; readonly problems: PolicyProblem[] };

export interface PolicyJobs {
  /** Rejects with ApiError TOO_MANY_REQUESTS or UNAVAILABLE. */
  run(job: PolicyJob): Promise<PolicyJobAnswer>;
  close(): Promise<void>;
}

const mostAtOnce = 2;
const timeoutMs = 60_000;
const memory = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 64, stackSizeMb: 4 };

export function createPolicyJobs(): PolicyJobs {
  const running = new Set<Worker>();
  return {
    run(job) {
      if (running.size >= mostAtOnce)
        throw new ApiError("TOO_MANY_REQUESTS", "other policies are being tried: try again in a moment");
      // ".ts" from source, ".js" when built.
      const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
      const worker = new Worker(file, {
        workerData: job,
        execArgv: [],
        name: "policy-lab",
        resourceLimits: memory,
      });
      running.add(worker);
      worker.unref();
      const done = Promise.withResolvers<PolicyJobAnswer>();
      const failed = () =>
        done.reject(
          new ApiError("UNAVAILABLE", "the policy could not be tried: it, or the period, takes too much"),
        );
      const timer = setTimeout(failed, timeoutMs);
      worker.once("message", (answer: PolicyJobAnswer) => done.resolve(answer));
      worker.once("error", failed);
      worker.once("exit", failed);
      return done.promise.finally(() => {
        clearTimeout(timer);
        running.delete(worker);
        void worker.terminate();
      });
    },
    async close() {
      await Promise.all([...running].map((worker) => worker.terminate()));
    },
  };
}
