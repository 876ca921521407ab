/** Execute: what a portal stands for is decided, recorded and sent (PostgreSQL manual, "Extended Query"). */
import { uuidv7 } from "../../../audit/index.ts";
import type { StatementProtocol } from "../../../facts/audit.ts";
import { decodeExecute, encodeDescribe, encodeFrontend, flush } from "../../../protocol/index.ts";
import { opaqueFacts } from "../../../sql/index.ts";
import { noteForwarded } from "../aftermath.ts";
import { askFirst } from "../ask.ts";
import { startClock, timeLimitOf, timeUsedUp } from "../clock.ts";
import { unknownPortal } from "../facts.ts";
import { type Guard, guardOf, judgedAt } from "../guard.ts";
import { stillAgreed } from "../heldbatch.ts";
import { agreedRecord } from "../heldquery.ts";
import type { Pass } from "../holding.ts";
import { bindAgain } from "../holdreasons.ts";
import {
  contextOf,
  intent,
  opaqueShape,
  openName,
  prepare,
  run,
  sealedOf,
  shownSql,
  Use,
} from "../intend.ts";
import { judgeMessage } from "../judge/message.ts";
import { askDurability, type Guarding, harmless, type Judgement, type Question } from "../judgement.ts";
import { charge, refund } from "../limits.ts";
import { outdatedPortal } from "../meaning.ts";
import {
  cursorIn,
  getPortal,
  type Portal,
  type PreparedStatement,
  roomForNames,
  undecided,
} from "../names.ts";
import { inBlockBehind } from "../place.ts";
import { type Expected, expected, firstRun, Kind, push, runningGuard } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import { badName, refuseExtended, refuseUnrecorded, tooManyNames } from "../refuse.ts";
import { settled } from "../settings.ts";
import type { Walk } from "../state.ts";
import { awaitAnswer, keyOf, waitFor } from "./waits.ts";

/** `chunk` holds the message from `at` on. */
export function onExecute(walk: Walk, body: Buffer, chunk: Buffer, at: number): Verdict {
  const { portal: name, maxRows } = decodeExecute(body);
  const { names } = walk;
  const key = keyOf(walk, name);
  if (key === null) return refuseExtended(walk, badName);
  const portal = getPortal(names, key);
  const open =
    undecided(names, "portal", key, walk.batch) ??
    limitedBefore(walk) ??
    (portal === undefined ? null : openName(walk, portal.statement.shape));
  if (open !== null) return waitFor(walk, open);
  const statement: PreparedStatement = portal?.statement ?? prepare(walk, "", opaqueShape, null);
  const { shape } = statement;
  let protocol: StatementProtocol =
    portal?.cursor === true ? "cursor" : shape.copy === null ? "extended" : "copy";
  if (shape.names.length > 0 && !roomForNames(names, [statement])) return refuseExtended(walk, tooManyNames);
  const checked =
    walk.guard === null || shape.kind === "empty"
      ? unguarded
      : check(walk, walk.guard, name, portal, statement);
  if (checked.verdict !== null) return checked.verdict;
  const { judgement, pass } = checked;
  let sealed = sealedOf(walk, statement);
  let changes = statement.hides;
  let unsettles = walk.touched || statement.unsettles;
  for (const effect of shape.names) {
    if (effect.kind === "execute") protocol = "sql-execute";
    else if (effect.kind === "fetch" || effect.kind === "close") protocol = "cursor";
  }
  if (shape.names.length > 0) {
    const use = new Use(walk);
    use.of(statement);
    sealed += use.sealed;
    changes ||= use.changes;
    unsettles ||= use.unsettles;
  }
  sealed += portal?.values == null ? "}" : `,"parameters":${portal.values}}`;
  const request = pass?.request ?? uuidv7();
  if (pass !== null) pass.request = null;
  let index: number;
  try {
    index = intent(
      walk,
      request,
      judgement?.statementRecord ?? contextOf(walk, statement.shape),
      protocol,
      0,
      "",
      name,
      sealed,
      portal?.typesJson ?? "[]",
      pass === null || judgement === null ? judgement?.decisionRecord : agreedRecord(walk, judgement, pass),
      statement.comment,
    );
  } catch (error) {
    if (judgement !== null && !goesOn(portal)) refund(walk, [judgement], portal?.compared ?? null);
    return refuseUnrecorded(walk, error, false);
  }
  walk.counters.statements++;
  if (unsettles && settled(walk)) {
    // Its answer does not tell; the next ReadyForQuery does.
    walk.unsettledBatch = walk.batch;
    changes = true;
  }
  const guard = guardOf(
    judgement,
    shape.facts.copy,
    cursorIn(names, shape)?.delivered ?? portal?.delivered ?? null,
    judgedAt(walk),
  );
  const part = {
    intent: index,
    statement,
    sql: shownSql(shape),
    guard,
    harmless: judgement !== null && harmless(judgement),
    formats: portal?.formats ?? null,
  };
  const strict = walk.asked === "strict";
  const running = run(request, [part], changes, false, strict, pass?.approval.id ?? null);
  const entry = expected(Kind.execute, walk.batch, running, null, statement);
  if (judgement === null || walk.guard === null) {
    push(walk.queue, entry);
    return changes ? awaitAnswer(walk, entry) : "forward";
  }
  const told = timeLimitOf(guard) === null || isFlushed(chunk, at);
  const sent = { statement, judgement, guard, entry, portal, name, maxRows, changes, told };
  return forwardGuarded(walk, walk.guard, sent, body);
}

/** What was decided of an Execute. */
interface Checked {
  /** It does not go on as it is; null: it does. */
  readonly verdict: Verdict | null;
  readonly judgement: Judgement | null;
  /** People have agreed to it. */
  readonly pass: Pass | null;
}

const unguarded: Checked = { verdict: null, judgement: null, pass: null };

function stop(verdict: Verdict): Checked {
  return { verdict, judgement: null, pass: null };
}

/** More of a result is asked for, that was begun before. */
function goesOn(portal: Portal | undefined): boolean {
  return portal !== undefined && portal.delivered.rows > 0;
}

/** Judges what a portal runs. It may mean something else than when it was bound. */
function check(
  walk: Walk,
  guard: Guarding,
  name: string,
  portal: Portal | undefined,
  statement: PreparedStatement,
): Checked {
  const questions: Question[] = [];
  const verdicts = judgeMessage(walk, guard, [statement], questions);
  if (verdicts === null) return stop(askFirst(walk, guard, questions));
  const judgement = verdicts.judgements[0] ?? null;
  if (judgement !== null) walk.watch?.judged(judgement);
  // Nobody knows what it would run, so that it was refused as a text that nobody could read.
  if (portal === undefined && judgement?.refusal?.code === opaqueFacts.refusal?.code)
    return stop(refuseExtended(walk, unknownPortal(name), statement));
  askDurability(walk, verdicts.judgements);
  let pass: Pass | null = null;
  if (judgement?.awaits === true && guard.desk !== null) {
    if (portal === undefined || !stillAgreed(guard, portal.agreed, judgement))
      return stop(refuseExtended(walk, bindAgain, statement));
    pass = portal.agreed?.pass ?? null;
  }
  const reason =
    (pass === null ? judgement?.refusal : null) ??
    (judgement === null
      ? null
      : (outdatedPortal(portal?.bound ?? null, judgement) ??
        timeUsedUp(judgement, (cursorIn(walk.names, statement.shape) ?? portal)?.delivered))) ??
    (pass === null ? charge(walk, verdicts.judgements, goesOn(portal), portal?.compared ?? null) : null);
  if (reason === null) return { verdict: null, judgement, pass };
  return stop(refuseExtended(walk, reason, statement, judgement?.refusal == null ? null : judgement));
}

/** An Execute of this batch whose rows are limited, and that has no answer yet: if it is cut off, this one must not run. */
function limitedBefore({ queue, lastRun, batch }: Walk): Expected | null {
  if (lastRun !== batch) return null;
  const running = firstRun(queue);
  const limits = running === null ? undefined : runningGuard(running)?.judgement.decision?.limits;
  return limits !== undefined && (limits.rows !== null || limits.bytes !== null) ? running : null;
}

/**
 * Whether nothing may be sent behind an Execute before it is answered: its effect may have to be taken back, or that of
 * what came before it in the same implicit transaction.
 */
function mustStandAlone(walk: Walk, judgement: Judgement, entry: Expected): boolean {
  const limits = judgement.decision?.limits;
  if (limits === undefined) return false;
  if (limits.affectedRows !== null && judgement.facts.effects.includes("write")) return true;
  if (limits.rows === null && limits.bytes === null) return false;
  return walk.lastRun === entry.batch || judgement.facts.effects.includes("write");
}

/** What goes to the server as one Execute. */
interface Sent {
  readonly statement: PreparedStatement;
  readonly judgement: Judgement;
  readonly guard: Guard | null;
  readonly entry: Expected;
  readonly portal: Portal | undefined;
  /** The portal's name as the client wrote it. */
  readonly name: string;
  readonly maxRows: number;
  /** It may change names. */
  readonly changes: boolean;
  /** Its answer is wanted no sooner than the server sends it. */
  readonly told: boolean;
}

/** Whether the message behind the one at `at` makes the server send its answers: a Flush or Sync. */
function isFlushed(chunk: Buffer, at: number): boolean {
  const next = chunk[at + 1 + chunk.readInt32BE(at + 1)];
  return next === 0x48 || next === 0x53;
}

/** Forwards an Execute with what its limits and masks need before and behind it. */
function forwardGuarded(walk: Walk, guarding: Guarding, sent: Sent, body: Buffer): Verdict {
  const { statement, judgement, guard, entry, portal, name, maxRows, changes, told } = sent;
  noteForwarded(guarding, judgement, entry.batch);
  const block = inBlockBehind(statement.shape);
  if (block !== null) guarding.block = { batch: entry.batch, open: block };
  const before: Buffer[] = [];
  // The clock runs from the answer to what is before it, which the server would keep until its buffer is full.
  if (timeLimitOf(guard) !== null && walk.lastRun === walk.batch && firstRun(walk.queue) !== null)
    before.push(flush);
  if (guard !== null && portal !== undefined) {
    guard.portal = portal;
    if (judgement.plan !== null && !portal.described) {
      // Its answer tells how the rows look that are to be masked; drivers that know their statements do not ask.
      portal.described = true;
      const describe = expected(Kind.describePortal, walk.batch, null, null, statement);
      describe.special = { swallow: true, portal, reissued: false, alone: false, tag: null };
      push(walk.queue, describe);
      before.push(encodeDescribe("portal", name));
    }
  }
  const alone = mustStandAlone(walk, judgement, entry);
  entry.special = { swallow: false, portal: null, reissued: false, alone, tag: null };
  walk.lastRun = walk.batch;
  push(walk.queue, entry);
  startClock(walk, entry);
  if (alone || changes) walk.stall = { until: "answered", entry };
  const limit = judgement.decision?.limits.rows ?? null;
  const left = limit === null || guard === null ? 0 : Math.max(1, limit - guard.delivered.rows + 1);
  const bounded = left > 0 && (maxRows <= 0 || maxRows > left);
  // Writing statements go on behind the rows that were asked for, and COPY never looks at their number.
  if (guard !== null)
    guard.bounded =
      bounded && !judgement.facts.effects.includes("write") && statement.shape.facts.copy === null;
  if (before.length === 0) {
    // The message ends with its number of rows; its bytes are ours, and go on with those around them in one piece.
    if (bounded) body.writeInt32BE(left, body.length - 4);
    return alone || changes || !told ? "forward-flush" : "forward";
  }
  return [
    ...before,
    encodeFrontend({ type: "execute", portal: name, maxRows: bounded ? left : maxRows }),
    ...(alone || changes || !told ? [flush] : []),
  ];
}
