/** ErrorResponse: what failed, what the server skips with it, and what the client may read of it. */
import { scrubError } from "../../../masking/index.ts";
import { decodeErrorFields, encodeBackend, sync } from "../../../protocol/index.ts";
import type { View } from "../../analyst/index.ts";
import { conclude, concludeSkipped } from "../conclude.ts";
import { causeOf, noteFailed } from "../fate.ts";
import { textWithoutNames, withoutNames } from "../hidden.ts";
import { settleChange, undo } from "../names.ts";
import {
  expected,
  firstRun,
  Kind,
  push,
  queueHead,
  queueLength,
  runningGuard,
  shift,
  skipToSync,
} from "../queue.ts";
import type { Walk } from "../state.ts";
import { tell, unstall } from "./heads.ts";

export function errorResponse(walk: Walk, body: Buffer): Buffer | null {
  const { queue } = walk;
  const head = queueHead(queue);
  const missingSync = walk.copyIn && walk.copySync;
  walk.copyIn = false;
  walk.copySync = false;
  const fields = decodeErrorFields(body);
  const sqlstate = fields.get("C") ?? "XX000";
  const severity = fields.get("V") ?? fields.get("S") ?? "ERROR";
  if (head === undefined || severity === "FATAL" || severity === "PANIC") {
    walk.fatal = true;
    // The server ends the session: what it was working on failed with this error, what is behind it never ran.
    if (head?.run != null && !head.errored) conclude(walk, head, "error", sqlstate, null, false);
    for (let entry = shift(queue); entry !== undefined; entry = shift(queue))
      concludeSkipped(walk, entry, sqlstate);
    return scrubbed(walk, body, head?.run?.request);
  }
  if (head.kind === Kind.sync) {
    // Sync commits what the batch did; that failed (a deferred constraint, a serialization failure). ReadyForQuery follows.
    head.errored = true;
    walk.counters.errors++;
    noteFailed(walk, "commit_failed", sqlstate, "");
    return scrubbed(walk, body, head?.run?.request);
  }
  // Behind a tag its Sync is on its way: that is what failed.
  const { reissued = false, tag = null } = head.special ?? {};
  if (reissued && tag === null && head.refusal === null) walk.toServer.write([sync], null);
  // Planning, too, takes its time: then it is the Bind that fails.
  const running = sqlstate === "57014" ? firstRun(queue) : null;
  const cut = running === null ? null : (runningGuard(running)?.cut ?? running.run?.late ?? null);
  const refusal = head.refusal ?? cut;
  const failing = head.run?.parts[head.run.at] ?? null;
  noteFailed(
    walk,
    tag !== null ? "commit_failed" : failing === null ? "error" : causeOf(failing),
    refusal?.sqlstate ?? sqlstate,
    head.run?.request ?? refusal?.request ?? "",
  );
  const status = refusal !== null ? "cut" : sqlstate === "57014" ? "cancelled" : "error";
  if (head.run !== null) conclude(walk, head, status, refusal?.sqlstate ?? sqlstate, null, false);
  walk.counters.errors++;
  if (head.kind === Kind.query || head.kind === Kind.functionCall) {
    head.errored = true;
    concludeSkipped(walk, head, sqlstate);
  } else {
    const skipped = skipToSync(queue);
    // No Sync was sent yet: the server throws away whatever comes before it, and so do we.
    if (queueLength(queue) === 0) walk.skipping = !missingSync;
    for (const entry of skipped) {
      if (entry.change !== null) undo(walk.names, entry.change);
      settleChange(walk.names, entry);
      if (entry !== head) concludeSkipped(walk, entry, sqlstate);
      unstall(walk, entry);
    }
  }
  if (missingSync) {
    // The copy had failed before the server could have seen the client's Sync, which now has its answer.
    push(queue, expected(Kind.sync, walk.batch++, null, null, null));
    walk.toServer.write([sync], null, true);
  }
  return refusal === null ? scrubbed(walk, body, head.run?.request) : tell(walk, refusal);
}

/** The server's error as the client may see it; null: as it is. */
function scrubbed(walk: Walk, body: Buffer, request = ""): Buffer | null {
  const { guard } = walk;
  if (guard === null) return null;
  if (guard.scrub >= 0) return scrubError(body, request, (_field, name) => mayBeNamed(guard.view, name));
  const fields = decodeErrorFields(body);
  const kept = withoutNames(guard.view, fields);
  return kept === fields ? null : encodeBackend({ type: "error", fields: kept });
}

/** A column's name, or a constraint's that was made from it. */
export function mayBeNamed(view: View | null, name: string): boolean {
  return textWithoutNames(view, name) === name;
}
