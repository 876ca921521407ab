/** What works beside the audit log of a running gateway: the indexer of its search, and the exports. */
import { join } from "node:path";
import type pino from "pino";
import { type ExportStream, readTarget, startExport } from "../../audit/export/streams.ts";
import { type Indexer, startIndexer } from "../../audit/index/indexer.ts";
import type { Settings } from "../../config/index.ts";

export interface Trail {
  readonly indexer: Indexer;
  readonly exports: readonly ExportStream[];
  close(): Promise<void>;
}

/** Starts after the log was opened. Rejects with what an export's secret source says. */
export async function startTrail(
  settings: Pick<Settings, "audit" | "exports" | "index">,
  logger: pino.Logger,
  version: string,
): Promise<Trail> {
  const { audit } = settings;
  // Worker 0: one log a gateway process (docs/audit-format.md, section 1).
  const dir = join(audit.dir, audit.node, "0");
  const targets = await Promise.all(settings.exports.map(readTarget));
  const indexer = startIndexer({ dir, keys: settings.index.values ? audit.keys : null }, (problem) =>
    logger.warn({ problem }, "the audit log's search index"),
  );
  const exports = targets.map((target) =>
    startExport({ dir, target, version }, (problem) =>
      logger.warn({ export: target.name, problem }, "an export of the audit log"),
    ),
  );
  return {
    indexer,
    exports,
    async close() {
      await Promise.all([indexer.close(), ...exports.map((e) => e.close())]);
    },
  };
}
