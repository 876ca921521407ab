/** The worker's side of reader.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { lowPriority } from "../low.ts";
import { findLogs, originOf } from "./leaves.ts";
import type { AuditReaderSettings, ReadAnswers, ReadJob, ReadQuestion, ReadReply } from "./reader.ts";
import { runStory } from "./run.ts";
import { readRun } from "./runs.ts";
import { searchLog } from "./search.ts";
import { showRequest } from "./show.ts";
import { addStats, logStats } from "./stats.ts";
import { readUndone, type ToldHit } from "./undone.ts";

const { dir, keys } = workerData as AuditReaderSettings;
lowPriority();

parentPort?.on("message", (job: ReadJob | "end") => {
  if (job === "end") parentPort?.close();
  else parentPort?.postMessage(reply(job));
});

function reply({ id, question }: ReadJob): ReadReply {
  try {
    return { id, answer: answer(question) };
  } catch (error) {
    return { id, problem: error instanceof Error ? error.message : String(error) };
  }
}

function answer(question: ReadQuestion): ReadAnswers[keyof ReadAnswers] {
  const logs = findLogs(dir);
  const notices: string[] = [];
  switch (question.kind) {
    case "search": {
      const { filters, limit } = question;
      const hits: ToldHit[] = [];
      for (const log of logs) {
        const found = searchLog(log, filters, limit, { keys: filters.value === undefined ? null : keys });
        const undone = readUndone(log, found.hits);
        hits.push(...found.hits.map((hit) => ({ ...hit, undone: undone.get(hit.index) ?? null })));
        if (found.notice !== null) notices.push(`${log.name}: ${found.notice}`);
        for (const { index, problem } of found.tampered)
          notices.push(`${log.name}: the index was tampered with: its row ${index} is not shown, ${problem}`);
      }
      hits.sort((a, b) => String(a.leaf.time).localeCompare(String(b.leaf.time)));
      return { hits: hits.slice(-limit), notices };
    }
    case "show":
      return {
        records: logs.flatMap((log) =>
          showRequest(log, originOf(log) ?? "", question.request, question.open ? keys : null),
        ),
      };
    case "run": {
      const found = readRun(logs, question.run, question.open ? keys : null);
      return { story: runStory(question.run, found.records), notices: found.notices };
    }
    case "stats": {
      const results = logs.map((log) => {
        const result = logStats(log, question.filters);
        if (result.notice !== null) notices.push(`${log.name}: ${result.notice}`);
        return result.stats;
      });
      return { stats: addStats(results), notices };
    }
  }
}
