/** The worker's side of reader.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { lowPriority } from "../low.ts";
import { at, findLogs, type LogPlace, originOf } from "./leaves.ts";
import { overview } from "./overview.ts";
import { proveRecord } from "./prove.ts";
import { readRange } from "./range.ts";
import type { AuditReaderSettings, ReadAnswers, ReadJob, ReadQuestion, ReadReply } from "./reader.ts";
import { runStory } from "./run.ts";
import { listRuns } from "./runlist.ts";
import { readRun } from "./runs.ts";
import { searchLog } from "./search.ts";
import { showRequest } from "./show.ts";
import { addStats, logStats } from "./stats.ts";
import { readUndone, type ToldHit, type Undone } from "./undone.ts";

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
      const { filters, limit, before } = question;
      const hits: ToldHit[] = [];
      for (const log of logs) {
        const from = before?.[log.name];
        const own = from === undefined ? filters : { ...filters, before: from };
        const found = searchLog(log, own, limit, { keys: filters.value === undefined ? null : keys });
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
      return show(logs, question.request, question.open);
    case "run": {
      const found = readRun(logs, question.run, question.open ? keys : null);
      return { story: runStory(question.run, found.records), notices: found.notices };
    }
    case "overview":
      return overview(logs, question.filters);
    case "runs":
      return listRuns(logs, question.filters);
    case "prove":
      return proveRecord(logs, question.id);
    case "range": {
      const log = logs.find(({ name }) => name === question.log);
      return { entries: log === undefined ? [] : readRange(log, question.from, question.count) };
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

function show(logs: readonly LogPlace[], request: string, open: boolean): ReadAnswers["show"] {
  const undone: Record<string, Undone> = {};
  const records = logs.flatMap((log) => {
    const found = showRequest(log, originOf(log) ?? "", request, open ? keys : null);
    const hits = found
      .filter(({ record }) => record.type === "statement.intent")
      .map(({ index, leaf }) => ({
        index,
        leaf,
        outcome:
          found.find(
            (one) => one.record.type === "statement.outcome" && at(one.record, "intent.index") === index,
          )?.record ?? null,
      }));
    for (const [index, fate] of readUndone(log, hits)) undone[`${log.name} ${index}`] = fate;
    return found;
  });
  return { records, undone };
}
