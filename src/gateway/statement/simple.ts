/** The simple Query message: one text, any number of statements (PostgreSQL manual, "Simple Query"). */
import { uuidv7 } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import { flush } from "../../protocol/index.ts";
import type { MessageText, StatementText } from "../../sql/index.ts";
import { noteForwarded } from "./aftermath.ts";
import { askFirst } from "./ask.ts";
import { startClock, timeUsedUp } from "./clock.ts";
import { concludeSkipped } from "./conclude.ts";
import { holdCost } from "./forward.ts";
import { guardOf, judgedAt } from "./guard.ts";
import { agreed, holdQuery } from "./heldquery.ts";
import { withdraw } from "./holdend.ts";
import type { Pass } from "./holding.ts";
import {
  contextOf,
  emptyShape,
  intent,
  openName,
  prepare,
  readable,
  run,
  sealedOf,
  sealedWhole,
  shownSql,
  Use,
} from "./intend.ts";
import { judgeMessage } from "./judge/message.ts";
import { askDurability, harmless, type Judgement, type Question } from "./judgement.ts";
import { charge, refund, uncountable } from "./limits.ts";
import { cursorIn, type PreparedStatement, roomForNames } from "./names.ts";
import { expected, Kind, type Part, push, queueHead } from "./queue.ts";
import type { Verdict } from "./receive.ts";
import {
  badText,
  refuseQuery,
  refuseStatements,
  refuseUnrecorded,
  tooLarge,
  tooManyNames,
} from "./refuse.ts";
import { mustTakeBack, reissue } from "./reissue.ts";
import { settled } from "./settings.ts";
import type { Reason, Walk } from "./state.ts";

/** Texts above this are parsed beside the event loop. */
export const inlineBytes = 64 * 1024;

export function refuseLargeQuery(walk: Walk): readonly Buffer[] {
  return refuseQuery(walk, tooLarge(walk.limits.statementBytes));
}

/** What a simple Query holds: nothing executed yet. */
export function onQuery(walk: Walk, body: Buffer): Verdict {
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) return refuseQuery(walk, badText);
  const bytes = body.subarray(0, body.length - 1);
  const text = readable(walk, bytes);
  if (text !== null && bytes.length > inlineBytes) {
    // The message waits here, and everything behind it; its copy must outlive the chunk.
    const whole = Buffer.from(body);
    aside(walk, text, (message) => forwardQuery(walk, whole, message));
    return [];
  }
  return intendQuery(walk, text === null ? sealedWhole(bytes) : walk.reader.read(text), bytes);
}

function forwardQuery(walk: Walk, body: Buffer, message: MessageText): readonly Buffer[] {
  const verdict = intendQuery(walk, message, body.subarray(0, body.length - 1));
  return typeof verdict === "string" ? forwardLarge(walk, 0x51, body, verdict) : verdict;
}

/** A message that was read aside, as it goes on: to the server, or once more to wait for what it depends on. */
export function forwardLarge(
  walk: Walk,
  type: number,
  body: Buffer,
  verdict: Verdict & string,
): readonly Buffer[] {
  const header = Buffer.allocUnsafe(5);
  header[0] = type;
  header.writeInt32BE(body.length + 4, 1);
  if (verdict !== "later") return verdict === "forward-flush" ? [header, body, flush] : [header, body];
  walk.stalled.unshift(Buffer.concat([header, body]));
  walk.stalledBytes += 5 + body.length + holdCost;
  return unflushed(walk) ? [flush] : [];
}

/** The answers that a message waits for might stay in the server's buffer. */
export function unflushed(walk: Walk): boolean {
  return queueHead(walk.queue)?.kind !== Kind.query;
}

/** Reads a large text in a worker while the client's stream stands still, then sends what `then` gives. */
export function aside(walk: Walk, text: string, then: (message: MessageText) => readonly Buffer[]): void {
  const stall = { until: "read" } as const;
  walk.stall = stall;
  const go = (message: MessageText) =>
    walk.guarded(() => {
      if (walk.stall !== stall) return;
      walk.stall = null;
      // An error that came meanwhile may have made the server skip to Sync.
      walk.asked = null;
      if (!walk.skipping) {
        const buffers = then(message);
        walk.toServer.write(buffers, walk.asked ?? walk.durability);
      }
      // A cancel request meant this message, whatever became of it.
      if (walk.guard !== null) walk.guard.cancelled = false;
      walk.resume();
    });
  walk.reader
    .readLarge(text)
    .then(go, () =>
      walk.fail({ sqlstate: "58000", message: "internal error while reading a statement" }, "reader failed"),
    );
}

/** The server's error as it tells it of the whole message: it was asked about one statement, and counts characters from there. */
function placed(reason: Reason, bytes: Buffer, statement: StatementText | undefined): Reason {
  const place = Number(reason.server?.fields.get("P"));
  if (reason.server === undefined || statement === undefined || statement.start === 0 || !(place > 0))
    return reason;
  let characters = 0;
  for (const _ of bytes.toString().slice(0, statement.start)) characters++;
  const fields = new Map(reason.server.fields).set("P", String(characters + place));
  return { ...reason, server: { ...reason.server, fields } };
}

function fetchedTooLong(
  walk: Walk,
  statements: readonly PreparedStatement[],
  judgements: readonly Judgement[],
): Reason | null {
  let reason: Reason | null = null;
  for (const [index, { shape }] of statements.entries()) {
    const judgement = judgements[index];
    if (shape.names.length > 0 && judgement !== undefined)
      reason ??= timeUsedUp(judgement, cursorIn(walk.names, shape)?.delivered);
  }
  return reason;
}

function intendQuery(walk: Walk, message: MessageText, bytes: Buffer): Verdict {
  const { statements } = message;
  if (message.poisoned) walk.poisoned();
  for (const { shape } of statements) {
    const open = openName(walk, shape);
    if (open === null) continue;
    walk.stall = { until: "answered", entry: open };
    return "later";
  }
  if (!roomForNames(walk.names, statements)) return refuseQuery(walk, tooManyNames);
  const raw = message.parsed ? null : bytes;
  const prepared = statements.map((part) => prepare(walk, part.text, part.shape, raw, part.comment));
  if (message.reason === "syntax") for (const statement of prepared) statement.syntaxError = true;
  let judgements: readonly Judgement[] | null = null;
  let pass: Pass | null = null;
  if (walk.guard !== null && prepared.length > 0) {
    const questions: Question[] = [];
    const verdicts = judgeMessage(walk, walk.guard, prepared, questions);
    if (verdicts === null) return askFirst(walk, walk.guard, questions);
    const { refused, awaiting } = verdicts;
    ({ judgements } = verdicts);
    askDurability(walk, judgements);
    const before =
      judgements[refused]?.refusal ??
      uncountable(prepared, judgements) ??
      fetchedTooLong(walk, prepared, judgements);
    if (before === null && (awaiting >= 0 || walk.hold !== null)) {
      const held = holdQuery(walk, walk.guard, prepared, judgements, awaiting);
      if (held === "later") return "later";
      if (held !== null && "refused" in held) return held.refused;
      pass = held;
    }
    if (before !== null) withdraw(walk);
    const reason = before ?? (pass === null ? charge(walk, judgements) : null);
    if (reason !== null) {
      const at = Math.max(refused, 0);
      return refuseStatements(walk, prepared, judgements, at, placed(reason, bytes, statements[at]));
    }
    if (pass !== null) judgements = agreed(walk, judgements, pass);
  }
  const request = pass?.request ?? uuidv7();
  const parts: Part[] = [];
  const trusted = settled(walk);
  let changes = walk.touched || walk.unsettledBatch >= 0;
  let use: Use | null = null;
  try {
    if (statements.length === 0) {
      const context = contextOf(walk, emptyShape);
      parts.push({
        intent: intent(walk, request, context, "simple", 0, "", "", '{"sql":""}', "[]"),
        statement: null,
        sql: "",
        guard: null,
        harmless: true,
        formats: null,
      });
    }
    for (let index = 0; index < statements.length; index++) {
      const statement = prepared[index] as PreparedStatement;
      const { shape } = statement;
      const { names } = shape;
      const judgement = judgements?.[index] ?? null;
      let name = "";
      let protocol: StatementProtocol = shape.copy === null ? "simple" : "copy";
      for (const effect of names) {
        if (effect.kind === "execute") protocol = "sql-execute";
        else if (effect.kind === "fetch" || effect.kind === "close") protocol = "cursor";
        else continue;
        name = effect.name ?? "";
      }
      let sealed = sealedOf(walk, statement);
      if (names.length > 0) {
        use ??= new Use(walk);
        use.of(statement);
        sealed += use.sealed;
        changes ||= use.changes || (trusted && use.unsettles);
      }
      changes ||= statement.hides || (trusted && statement.unsettles);
      parts.push({
        intent: intent(
          walk,
          request,
          judgement?.statementRecord ?? contextOf(walk, statement.shape),
          protocol,
          index,
          name,
          "",
          `${sealed}}`,
          "[]",
          judgement?.decisionRecord,
          statement.comment,
        ),
        statement:
          names.length > 0 || shape.copy !== null || shape.facts.transaction !== null || statement.hides
            ? statement
            : null,
        sql: shownSql(shape),
        guard: guardOf(
          judgement,
          shape.facts.copy,
          names.length === 0 ? null : (cursorIn(walk.names, shape)?.delivered ?? null),
          judgedAt(walk),
        ),
        harmless: judgement !== null && harmless(judgement),
        formats: null,
      });
    }
  } catch (error) {
    // Those that the log did take are never run.
    concludeSkipped(walk, expected(Kind.query, walk.batch, run(request, parts), null, null), "58030");
    if (judgements !== null) refund(walk, judgements);
    return refuseUnrecorded(walk, error, true);
  }
  walk.counters.statements += parts.length;
  const unread = !message.parsed;
  const entry = expected(
    Kind.query,
    walk.batch++,
    run(request, parts, changes, unread, walk.asked === "strict", pass?.approval.id ?? null),
    null,
    null,
  );
  entry.count = unread ? 0 : 1;
  walk.texts = 0;
  push(walk.queue, entry);
  if (judgements !== null && walk.guard !== null) {
    for (const judgement of judgements) noteForwarded(walk.guard, judgement, entry.batch);
    startClock(walk, entry);
    const [only] = judgements;
    if (only !== undefined && judgements.length === 1 && mustTakeBack(only)) {
      entry.special = { swallow: false, portal: null, reissued: true, alone: true, tag: null };
      walk.stall = { until: "answered", entry };
      return reissue(bytes);
    }
  }
  // What comes behind may use names that only the server's answer makes certain, or ask whether a block is open.
  const blocks = walk.guard !== null && prepared.some(({ shape }) => shape.facts.transaction !== null);
  if (changes || blocks) walk.stall = { until: "answered", entry };
  return "forward";
}
