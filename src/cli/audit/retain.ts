/** `postern audit erase` and `postern audit prune`: what is to be forgotten, on the record. */

import { type Answer, ask, type Errand } from "../../audit/errands.ts";
import {
  type AuditLog,
  AuditOpenError,
  makeAnchors,
  openAuditLog,
  startAnchoring,
} from "../../audit/index.ts";
import { logFolder } from "../../audit/open.ts";
import { checkErasable, EraseError } from "../../audit/retention/erase.ts";
import { loadConfig, type Settings } from "../../config/index.ts";
import { configOption, readArgs, UsageError } from "../lib/args.ts";
import { packageVersion } from "../lib/version.ts";

const eraseUsage = `Usage: postern audit erase --day YYYY-MM-DD --reason TEXT [-c postern.yaml] [--json]

Destroys the key of a day (UTC): the exact SQL, parameters, claimed prompts and captured rows that were sealed on that
day are unreadable for good. The log records it first (payload.erase); every record, digest, proof and signature stays
valid. Copies of the key in backups must be destroyed too. A gateway that is running does it within seconds.

Exit code 0: done. 1: there is no such key, the day is not over, or the log does not open.
`;

const pruneUsage = `Usage: postern audit prune [--days N] --reason TEXT [-c postern.yaml] [--json]

Removes the oldest whole segments of this node's log that are older than N days (default: audit.retention), after the
log has recorded their range and root (log.pruned). Proofs of all records, and checkpoints kept elsewhere, stay valid.

Exit code 0: done, or there was nothing to prune. 1: the log does not open, or does not fit together.
`;

export async function erase(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = { ...configOption, day: word, reason: word, json: { type: "boolean" } } as const;
  const parsed = readArgs(args, eraseUsage, options);
  if (parsed === null) return 0;
  const { day = "" } = parsed.values;
  const reason = reasonOf(parsed.values.reason, eraseUsage);
  const settings = await loadConfig(parsed.values.config);
  try {
    checkErasable(logFolder(settings.audit), day);
  } catch (error) {
    if (!(error instanceof EraseError)) throw error;
    return tell("erase", { ok: false, why: error.message }, parsed.values.json === true, () => "");
  }
  const answer = await carryOut(settings, { do: "erase", day, reason }, async (log) =>
    log.erase(day, reason),
  );
  return tell("erase", answer, parsed.values.json === true, () => `the key of ${day} is destroyed\n`);
}

export async function prune(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = { ...configOption, days: word, reason: word, json: { type: "boolean" } } as const;
  const parsed = readArgs(args, pruneUsage, options);
  if (parsed === null) return 0;
  const reason = reasonOf(parsed.values.reason, pruneUsage);
  const settings = await loadConfig(parsed.values.config);
  const { days } = parsed.values;
  const seconds = days === undefined ? (settings.audit.retentionSeconds ?? null) : Number(days) * 86_400;
  if (seconds === null || !(seconds > 0))
    throw new UsageError("--days is missing or not a number", pruneUsage);
  const before = Date.now() - seconds * 1000;
  const answer = await carryOut(settings, { do: "prune", before, reason }, (log) =>
    log.prune(before, reason),
  );
  return tell("prune", answer, parsed.values.json === true, (result) =>
    result == null ? "there is nothing to prune\n" : `pruned: ${JSON.stringify(result)}\n`,
  );
}

function reasonOf(given: string | undefined, usage: string): string {
  const reason = given?.trim() ?? "";
  if (reason === "" || reason.length > 1000) throw new UsageError("--reason is missing or too long", usage);
  return reason;
}

/** On the log itself where nobody has it open, else by the gateway that has. */
async function carryOut(
  settings: Settings,
  errand: Errand,
  work: (log: AuditLog) => Promise<unknown>,
): Promise<Answer> {
  const anchors = makeAnchors(settings.anchors, () => {});
  try {
    const log = await openAuditLog(
      { ...settings.audit, retentionSeconds: null },
      { version: packageVersion(), anchors },
    );
    const anchoring = startAnchoring(log, anchors, () => {});
    try {
      return { ok: true, result: (await work(log)) ?? null };
    } catch (error) {
      return { ok: false, why: error instanceof Error ? error.message : "failed" };
    } finally {
      await log.close();
      await anchoring.stop();
    }
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    if (error.code !== "AUDIT_LOCKED") return { ok: false, why: error.message };
    const answer = await ask(logFolder(settings.audit), errand);
    return answer ?? { ok: false, why: "the gateway that has the log open did not answer" };
  } finally {
    await Promise.all(anchors.map((anchor) => anchor.close()));
  }
}

function tell(verb: string, answer: Answer, json: boolean, say: (result: unknown) => string): number {
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else if (answer.ok) process.stdout.write(say(answer.result));
  else process.stderr.write(`postern audit ${verb}: ${answer.why}\n`);
  return answer.ok ? 0 : 1;
}
