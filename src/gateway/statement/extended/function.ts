/** FunctionCall (PostgreSQL manual, "Function Call"). */
import { AuditUnavailable, uuidv7 } from "../../../audit/index.ts";
import { decodeFunctionCall } from "../../../protocol/index.ts";
import { noteForwarded } from "../aftermath.ts";
import { askFirst } from "../ask.ts";
import { startClock } from "../clock.ts";
import { guardOf, judgedAt } from "../guard.ts";
import { contextOf, intent, opaqueShape, prepare, run, typesJson, valuesJson } from "../intend.ts";
import { judgeFunction } from "../judge/function.ts";
import type { Judgement } from "../judgement.ts";
import { charge, refund } from "../limits.ts";
import { type Expected, expected, Kind, push, pushCopyEnd, queueHead, type ReplyQueue } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import {
  functionCallRefused,
  poisonCopy,
  recordRefusal,
  refuseQuery,
  refuseStatements,
  refuseUnrecorded,
} from "../refuse.ts";
import type { Walk } from "../state.ts";

export function onFunctionCall(walk: Walk, body: Buffer): Verdict {
  const call = decodeFunctionCall(body);
  if (!walk.functionCall) {
    if (walk.copyIn) return refuseCopy(walk);
    const copy = unansweredCopy(walk.queue);
    if (copy !== null) {
      walk.stall = { until: "answered", entry: copy };
      return "later";
    }
    return refuseQuery(walk, functionCallRefused, "function");
  }
  const statement = prepare(walk, "", { ...opaqueShape, kind: "function" }, null);
  statement.sealed = `{"function":${call.oid}`;
  let judgement: Judgement | null = null;
  if (walk.guard !== null) {
    const verdicts = judgeFunction(walk, walk.guard, statement, call.oid);
    if (verdicts === null) return askFirst(walk, walk.guard, []);
    judgement = verdicts;
    const reason = judgement.refusal ?? charge(walk, [judgement]);
    if (reason !== null) return refuseStatements(walk, [statement], [judgement], 0, reason);
    noteForwarded(walk.guard, judgement, walk.batch);
  }
  const request = uuidv7();
  const values = valuesJson(walk, statement, call.arguments, call.argumentFormats);
  const sealed = `${statement.sealed}${values === null ? "" : `,"parameters":${values}`}}`;
  let index: number;
  try {
    index = intent(
      walk,
      request,
      judgement?.statementRecord ?? contextOf(walk, statement.shape),
      "function",
      0,
      "",
      "",
      sealed,
      typesJson(statement, call.arguments.length),
      judgement?.decisionRecord,
    );
  } catch (error) {
    if (judgement !== null) refund(walk, [judgement]);
    return refuseUnrecorded(walk, error, true);
  }
  walk.counters.statements++;
  walk.texts = 0;
  const guard = guardOf(judgement, null, null, judgedAt(walk));
  const part = { intent: index, statement, sql: null, guard, harmless: false, formats: null };
  const entry = expected(Kind.functionCall, walk.batch++, run(request, [part], true), null, null);
  push(walk.queue, entry);
  startClock(walk, entry);
  // Nothing says what the function does.
  walk.stall = { until: "answered", entry };
  return "forward";
}

/** In copy-in the server takes nothing but COPY messages: CopyFail is the only way to refuse (PROTOCOL.md I5). */
function refuseCopy(walk: Walk): Verdict {
  const head = queueHead(walk.queue);
  let request = uuidv7();
  try {
    const refusal = recordRefusal(walk, functionCallRefused, "function", null);
    request = refusal.request;
    if (head !== undefined) head.refusal = refusal;
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
  }
  walk.copyIn = false;
  walk.copyRefused = true;
  pushCopyEnd(walk.queue, walk.batch);
  return [poisonCopy(request)];
}

/** A COPY FROM STDIN that the server may begin any moment: what is legal behind it is known only then. */
function unansweredCopy(queue: ReplyQueue): Expected | null {
  for (let i = queue.head; i < queue.items.length; i++) {
    const entry = queue.items[i];
    if (entry?.run?.parts.some((part) => part.statement?.shape.copy === "in") === true) return entry;
  }
  return null;
}
