/**
 * A process that writes to a log until it is killed: `node writer.ts SETTINGS_JSON LEVEL`. On standard output, one line for
 * each intent that the log has acknowledged, and one for each outcome that was acknowledged with a later one.
 */
import { writeSync } from "node:fs";
import { openAuditLog, ResultDigest, uuidv7 } from "../../src/audit/index.ts";
import type { AuditSettings } from "../../src/audit/settings.ts";
import type { Durability } from "../../src/facts/audit.ts";
import { allowed, sessionRecord, statementRecord } from "./helpers.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as AuditSettings;
const level = (process.argv[3] ?? "process") as Durability;
const log = await openAuditLog(settings, { version: "child", limits: { segmentBytes: 200_000 } });
const session = log.session(sessionRecord);
const statement = log.statement(statementRecord);
const decision = log.decision(allowed);
const digest = new ResultDigest();
log.sessionStart(session);

function step(concluded: string): void {
  const request = uuidv7();
  const intent = log.intent(session, {
    request,
    statement,
    protocol: "extended",
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: '{"sql":"select 1","parameters":[]}',
    parameters: "[]",
    decision,
  });
  log.whenSafe(level, {
    auditSafe() {
      writeSync(1, `I ${request}\n${concluded === "" ? "" : `O ${concluded}\n`}`);
      digest.reset();
      log.outcome(session, {
        request,
        intent,
        status: "ok",
        sqlstate: null,
        tag: "SELECT 1",
        columns: null,
        rows: 0,
        bytes: 0,
        complete: true,
        digest,
        rowsAffected: null,
        durationUs: 1,
        firstRowUs: null,
      });
      step(request);
    },
    auditFailed(error) {
      throw error;
    },
  });
}
// Several statements under way at once, as several sessions would have.
for (let i = 0; i < 4; i++) step("");
