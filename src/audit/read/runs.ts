/** The records of one agent run, from all logs of a folder. */
import { isObject, type LogPlace, originOf, withBlobs } from "./leaves.ts";
import type { RunRecord } from "./run.ts";
import { searchLog } from "./search.ts";
import { unsealEntries } from "./show.ts";
import { readUndone } from "./undone.ts";

/** A longer run is told by its latest records. */
export const longestRun = 20_000;

export interface RunRecords {
  readonly records: readonly RunRecord[];
  /** What the reader should know: an index that is missing, was tampered with; a run that is longer than what is shown. */
  readonly notices: readonly string[];
}

/** `keys`: the folder of the keys, to open what is sealed; null: it stays closed. Throws AuditOpenError and what the file system throws. */
export function readRun(
  logs: readonly LogPlace[],
  run: string,
  keys: string | null,
  scan = false,
): RunRecords {
  const records: RunRecord[] = [];
  const notices: string[] = [];
  for (const log of logs) {
    const name = log.name === "" ? "" : `${log.name}: `;
    const found = searchLog(log, { run }, longestRun, { scan });
    if (found.notice !== null && !scan) notices.push(`${name}${found.notice}`);
    for (const { index, problem } of found.tampered)
      notices.push(`${name}the index was tampered with: its row ${index} is left out, ${problem}`);
    if (found.hits.length === longestRun)
      notices.push(`${name}the run is longer than ${longestRun} records: its beginning is left out`);
    const opened =
      keys === null || found.hits.length === 0
        ? null
        : unsealEntries(log, originOf(log) ?? "", found.hits, keys);
    const undone = readUndone(log, found.hits, scan);
    for (const hit of found.hits) {
      const record = withBlobs(log.dir, hit.leaf);
      const content = opened?.get(hit.index);
      records.push({
        log: log.name,
        index: hit.index,
        record: isObject(record) ? record : hit.leaf,
        outcome: hit.outcome,
        undone: undone.get(hit.index) ?? null,
        opened: content?.state === "open" ? content.content : null,
      });
    }
  }
  return { records, notices };
}
