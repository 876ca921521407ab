/**
 * The log anchor (`audit.anchors: [{log: true}]`): checkpoints on the gateway's own log, which usually leaves the machine.
 * One checkpoint kept elsewhere shows truncation and roll-back of the audit log (AUDIT.md).
 */
import { join } from "node:path";
import type pino from "pino";
import type { AuditLog } from "../../audit/index.ts";
import type { AuditSettings } from "../../audit/settings.ts";
import { FileFault, readText } from "../../config/files.ts";

const everyMs = 10_000;

/** Logs the newest checkpoint now and every 10 s when it has changed. `stop` logs the last one; call it when the log is closed. */
export function anchorToLog(
  audit: AuditLog,
  settings: AuditSettings,
  logger: pino.Logger,
): { stop(): Promise<void> } {
  const worker = audit.origin.slice(audit.origin.lastIndexOf("/") + 1);
  const file = join(settings.dir, settings.node, worker, "checkpoint");
  let last = "";
  const write = async () => {
    try {
      const checkpoint = await readText(file, 16_384);
      if (checkpoint === last) return;
      last = checkpoint;
      logger.info({ checkpoint }, "audit checkpoint");
    } catch (error) {
      const why = error instanceof FileFault ? error.message : "cannot be read";
      logger.warn(`the audit log's checkpoint file ${why}`);
    }
  };
  const timer = setInterval(() => void write(), everyMs);
  timer.unref();
  void audit.settle().then(write, () => {});
  return {
    stop() {
      clearInterval(timer);
      return write();
    },
  };
}
