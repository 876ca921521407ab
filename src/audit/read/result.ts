/** A delivered result as the record has it, with what is sealed of it where the keys allow. */
import { readCapture } from "../capture/read.ts";
import type { DeliveredResult } from "../match/match.ts";
import { strictBase64 } from "../verify/note.ts";
import { at, isObject, type LogPlace, list, number, text } from "./leaves.ts";
import { type Shown, showRequest } from "./show.ts";

export interface RequestResult {
  /** The statement's place in its message. */
  readonly part: number;
  /** Leaf index of the outcome. */
  readonly outcome: number;
  readonly result: DeliveredResult;
  /** Captured DataRow messages, as many as were kept; null: none, or they do not open (`closed` says why). */
  readonly rows: Buffer | null;
  readonly closed: string | null;
}

/** The results of a request that were delivered with rows or columns, in order. Throws AuditOpenError when the master key cannot be read. */
export function readResults(log: LogPlace, origin: string, request: string, keys: string): RequestResult[] {
  const shown = showRequest(log, origin, request, keys);
  const results: RequestResult[] = [];
  for (const outcome of shown) {
    const { record } = outcome;
    const result = record.type === "statement.outcome" && isObject(record.result) ? record.result : null;
    if (result === null) continue;
    const rows = number(result, "rows") ?? 0;
    const columns = at(result, "columns");
    const intent = shown.find((s) => s.index === at(record, "intent.index") && s.log === outcome.log);
    const captured = readCapture(log.dir, origin, keys, result.capture);
    const open = captured?.state === "open" ? captured : null;
    // What COPY sent has no columns, though the record may name those that were masked.
    const copy = text(intent?.record, "statement.protocol") === "copy";
    // A copy of no rows has an end that says so, and one into a table is no result.
    const none =
      copy && record.tag === "COPY 0" && !(list(intent?.record, "statement.effects") ?? []).includes("write");
    if (rows === 0 && !Array.isArray(columns) && !none) continue;
    const formats = at(result, "formats");
    results.push({
      outcome: outcome.index,
      part: number(intent?.record, "statement.index") ?? 0,
      result: {
        copy,
        formats: Array.isArray(formats) ? formats.map((format) => (format === 1 ? 1 : 0)) : null,
        columns:
          Array.isArray(columns) && !copy
            ? columns.map((c) => ({ name: text(c, "name") ?? "", type: text(c, "type") ?? "" }))
            : null,
        rows,
        bytes: number(result, "bytes") ?? 0,
        complete: at(result, "complete") === true,
        suspended: record.status === "ok" && at(result, "complete") === false,
        digest: text(result, "digests.delivered.value"),
        salt: saltOf(outcome, intent),
        captured: rows === 0 ? Buffer.alloc(0) : open?.complete === true ? open.messages : null,
        mayBeBinary: text(intent?.record, "statement.protocol") !== "simple",
      },
      rows: open?.messages ?? null,
      closed: captured?.state === "closed" ? captured.why : null,
    });
  }
  return results;
}

/** The salt of a result's digest: that of the outcome's own sealed line where it has one, else of its intent's. */
function saltOf(outcome: Shown, intent: Shown | undefined): Buffer | null {
  const opened = outcome.opened ?? intent?.opened ?? null;
  return opened?.state === "open" ? strictBase64(opened.salt) : null;
}
