/** The messages of the extended protocol (PostgreSQL manual, "Extended Query") and FunctionCall, on their way to the server. */
import { AuditUnavailable, uuidv7 } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import {
  decodeBind,
  decodeClose,
  decodeDescribe,
  decodeExecute,
  decodeFunctionCall,
  decodeParse,
  encodeDescribe,
  encodeFrontend,
  flush,
} from "../../protocol/index.ts";
import { type MessageText, opaqueFacts } from "../../sql/index.ts";
import { askFirst, noteForwarded } from "./ask.ts";
import { ownName, ownNames, severalStatements, unknownPortal } from "./facts.ts";
import { type Delivered, guardOf, judgedAt } from "./guard.ts";
import { agreedBind, holdBatch, stillAgreed } from "./heldbatch.ts";
import { agreedRecord } from "./heldquery.ts";
import { patternRefused } from "./hidden.ts";
import { withdraw } from "./holdend.ts";
import type { Pass } from "./holding.ts";
import { bindAgain } from "./holdreasons.ts";
import {
  contextOf,
  emptyShape,
  intent,
  opaqueShape,
  openName,
  prepare,
  readable,
  run,
  sealedOf,
  sealedWhole,
  shownSql,
  typesJson,
  Use,
  valuesJson,
} from "./intend.ts";
import { judgeFunction } from "./judge/function.ts";
import { judgeMessage } from "./judge/message.ts";
import { done } from "./judge/one.ts";
import { askDurability, harmless, type Judgement, type Question } from "./judgement.ts";
import { charge, startClocks } from "./limits.ts";
import { outdatedPortal } from "./meaning.ts";
import {
  awaitChange,
  getPortal,
  maxPortals,
  maxStatementBytes,
  maxStatements,
  type Portal,
  type PreparedStatement,
  roomForNames,
  type Shape,
  serverName,
  setPortal,
  setStatement,
  undecided,
} from "./names.ts";
import { inBlockBehind } from "./place.ts";
import {
  type Expected,
  expected,
  firstRun,
  Kind,
  push,
  pushCopyEnd,
  queueHead,
  type ReplyQueue,
  runningGuard,
} from "./queue.ts";
import type { Verdict } from "./receive.ts";
import {
  badName,
  functionCallRefused,
  poisonCopy,
  recordRefusal,
  refuseExtended,
  refuseQuery,
  refuseStatements,
  refuseUnrecorded,
  tooLarge,
  tooManyNames,
} from "./refuse.ts";
import { settled } from "./settings.ts";
import { aside, forwardLarge, inlineBytes } from "./simple.ts";
import type { Walk } from "./state.ts";

export function refuseLargeParse(walk: Walk): readonly Buffer[] {
  return refuseExtended(walk, tooLarge(walk.limits.statementBytes));
}

/** The name under which the server keeps what the client calls `name`; null: nobody can tell. */
function keyOf(walk: Walk, name: string): string | null {
  return serverName(name, walk.utf8 && walk.unsettledBatch < 0);
}

export function onParse(walk: Walk, body: Buffer): Verdict {
  const fields = decodeParse(body);
  const { bytes, parameterTypes } = fields;
  const { names } = walk;
  const name = keyOf(walk, fields.name);
  if (name === null) return refuseExtended(walk, badName);
  if (walk.guard !== null && name.startsWith(ownNames)) return refuseExtended(walk, ownName);
  const open = name === "" ? null : undecided(names, "statement", name, walk.batch);
  if (open !== null) return waitFor(walk, open);
  if ((name !== "" && names.statements.size >= maxStatements) || names.bytes > maxStatementBytes)
    return refuseExtended(walk, tooManyNames);
  const text = readable(walk, bytes);
  if (text !== null && bytes.length > inlineBytes) {
    // The message waits here, and everything behind it; its copy must outlive the chunk.
    const whole = Buffer.from(body);
    aside(walk, text, (message) => {
      const verdict = parse(walk, name, message, Buffer.from(text), parameterTypes);
      if (verdict !== "later") walk.unsynced = true;
      return typeof verdict === "string" ? forwardLarge(walk, 0x50, whole, verdict) : verdict;
    });
    return [];
  }
  return parse(
    walk,
    name,
    text === null ? sealedWhole(bytes) : walk.reader.read(text),
    bytes,
    parameterTypes,
  );
}

function parse(
  walk: Walk,
  name: string,
  message: MessageText,
  bytes: Buffer,
  types: readonly number[],
): Verdict {
  if (message.poisoned) walk.poisoned();
  // Parse takes one statement. With several, or none that we can tell apart, the server's own answer decides.
  let only: { readonly text: string; readonly shape: Shape; readonly comment: string | null } | undefined =
    message.statements[0];
  let raw = message.parsed ? null : bytes;
  if (only === undefined && message.parsed) only = { text: "", shape: emptyShape, comment: null };
  if (only === undefined || message.statements.length > 1) {
    [only] = sealedWhole(bytes).statements;
    raw = bytes;
  }
  const statement = prepare(walk, only?.text ?? "", only?.shape ?? opaqueShape, raw, only?.comment ?? null);
  statement.types = types;
  statement.declared = types;
  statement.syntaxError = message.reason === "syntax";
  if (walk.guard !== null && statement.shape.kind !== "empty") {
    const questions: Question[] = [];
    const several = message.parsed && message.statements.length > 1;
    const parts = several ? judgeMessage(walk, walk.guard, partsOf(walk, message), questions) : null;
    const verdicts =
      several && parts === null ? null : judgeMessage(walk, walk.guard, [statement], questions);
    if (verdicts === null) return askFirst(walk, walk.guard, questions);
    const [judgement] = verdicts.judgements;
    if (judgement !== undefined) walk.watch?.judged(judgement);
    // What people must agree to may be prepared; it is held where it is bound.
    if (judgement?.refusal != null && !judgement.awaits) {
      if (parts === null) return refuseExtended(walk, judgement.refusal, statement, judgement);
      // PostgreSQL takes none of them. What the policy says comes first, as in a Query.
      const denied = parts.judgements[parts.refused]?.refusal;
      return refuseExtended(walk, denied ?? severalStatements, statement);
    }
  }
  // The server refuses a name that it has already, and keeps the old statement: only its answer tells which one it is.
  const uncertain = name !== "" && (walk.names.hidden || walk.names.statements.has(name));
  const entry = expected(Kind.parse, walk.batch, null, setStatement(walk.names, name, statement), statement);
  if (message.parsed) {
    entry.count = 1;
    walk.texts++;
  }
  push(walk.queue, entry);
  awaitChange(walk.names, entry);
  return uncertain ? awaitAnswer(walk, entry) : "forward";
}

function partsOf(walk: Walk, message: MessageText): PreparedStatement[] {
  return message.statements.map(({ text, shape }) => prepare(walk, text, shape, null));
}

/** This message and what is behind it wait until the server has answered `entry`. */
function waitFor(walk: Walk, entry: Expected): Verdict {
  walk.stall = { until: "answered", entry };
  return "later";
}

/** Behind the copy of a Query come its other statements: what they do is known when they are answered. */
export function awaitNames(walk: Walk): Verdict {
  const head = queueHead(walk.queue);
  if (head?.kind === Kind.query && head.run?.changes === true)
    walk.stall = { until: "answered", entry: head };
  return "forward";
}

/** Nothing behind this message is looked at before the server has answered it. */
function awaitAnswer(walk: Walk, entry: Expected): Verdict {
  walk.stall = { until: "answered", entry };
  return "forward-flush";
}

/** `at`: where the message begins in `chunk`. */
export function onBind(walk: Walk, body: Buffer, chunk: Buffer, at: number): Verdict {
  const bind = decodeBind(body);
  const { names } = walk;
  const [portal, source] = [keyOf(walk, bind.portal), keyOf(walk, bind.statement)];
  if (portal === null || source === null) return refuseExtended(walk, badName);
  if (walk.guard !== null && portal.startsWith(ownNames)) return refuseExtended(walk, ownName);
  const open =
    undecided(names, "statement", source, walk.batch) ??
    (portal === "" ? null : undecided(names, "portal", portal, walk.batch));
  if (open !== null) return waitFor(walk, open);
  if ((portal !== "" && names.portals.size >= maxPortals) || names.bytes > maxStatementBytes)
    return refuseExtended(walk, tooManyNames);
  const known = names.statements.get(source);
  const statement = known ?? prepare(walk, "", opaqueShape, null);
  let bound: Judgement | null = null;
  if (walk.guard !== null && known !== undefined && known.shape.kind !== "empty") {
    // The server looks names up here; what they mean at the Execute would come too late.
    const questions: Question[] = [];
    const verdicts = judgeMessage(walk, walk.guard, [statement], questions);
    if (verdicts === null) return askFirst(walk, walk.guard, questions);
    bound = verdicts.judgements[0] ?? null;
    if (bound?.refusal != null && !bound.awaits) {
      withdraw(walk);
      return refuseExtended(walk, bound.refusal, statement, bound);
    }
    const loose = bound === null ? null : patternRefused(bound.patterns, bind.parameters);
    if (loose !== null) return refuseExtended(walk, loose, statement);
  }
  if (walk.guard !== null) {
    const held = holdBatch(walk, walk.guard, { chunk, at, statement, bound: bind, judgement: bound });
    if (held !== null) return held;
  }
  const uncertain = portal !== "" && (names.hidden || names.portals.has(portal));
  const change = setPortal(names, portal, {
    statement,
    values: valuesJson(walk, statement, bind.parameters, bind.parameterFormats),
    typesJson: typesJson(statement, bind.parameters.length),
    batch: walk.batch,
    cursor: false,
    hold: false,
    delivered: { rows: 0, bytes: 0 },
    bound,
    described: false,
    agreed: walk.pass === null ? null : agreedBind(walk, statement, bind, bound),
    fields: null,
  });
  const entry = expected(Kind.bind, walk.batch, null, change, null);
  push(walk.queue, entry);
  awaitChange(names, entry);
  return uncertain ? awaitAnswer(walk, entry) : "forward";
}

export function onDescribe(walk: Walk, body: Buffer): Verdict {
  const { target, name: given } = decodeDescribe(body);
  const name = keyOf(walk, given);
  if (name === null) return refuseExtended(walk, badName);
  const open = undecided(walk.names, target, name, walk.batch);
  if (open !== null) return waitFor(walk, open);
  const statement =
    (target === "statement" ? walk.names.statements.get(name) : getPortal(walk.names, name)?.statement) ??
    null;
  const kind = target === "statement" ? Kind.describeStatement : Kind.describePortal;
  const entry = expected(kind, walk.batch, null, null, statement);
  if (walk.guard !== null && target === "portal") {
    const portal = getPortal(walk.names, name) ?? null;
    if (portal !== null) portal.described = true;
    entry.special = { swallow: false, portal, reissued: false, alone: false };
  }
  push(walk.queue, entry);
  return "forward";
}

export function onClose(walk: Walk, body: Buffer): Verdict {
  const { target, name: given } = decodeClose(body);
  const { names } = walk;
  const name = keyOf(walk, given);
  if (name === null) return refuseExtended(walk, badName);
  const change =
    target === "statement" ? setStatement(names, name, undefined) : setPortal(names, name, undefined);
  const entry = expected(Kind.close, walk.batch, null, change, null);
  push(walk.queue, entry);
  awaitChange(names, entry);
  return "forward";
}

export function onExecute(walk: Walk, body: Buffer): Verdict {
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
  let judgement: Judgement | null = null;
  let pass: Pass | null = null;
  if (walk.guard !== null && shape.kind !== "empty") {
    const questions: Question[] = [];
    const verdicts = judgeMessage(walk, walk.guard, [statement], questions);
    if (verdicts === null) return askFirst(walk, walk.guard, questions);
    judgement = verdicts.judgements[0] ?? null;
    if (judgement !== null) walk.watch?.judged(judgement);
    // Nobody knows what it would run, so that it was refused as a text that nobody could read.
    if (portal === undefined && judgement?.refusal?.code === opaqueFacts.refusal?.code)
      return refuseExtended(walk, unknownPortal(name), statement);
    askDurability(walk, verdicts.judgements);
    if (judgement?.awaits === true && walk.guard.desk !== null) {
      if (portal === undefined || !stillAgreed(walk.guard, portal.agreed, judgement))
        return refuseExtended(walk, bindAgain, statement);
      pass = portal.agreed?.pass ?? null;
    }
    const reason =
      (pass === null ? judgement?.refusal : null) ??
      (judgement === null ? null : outdatedPortal(portal?.bound ?? null, judgement)) ??
      charge(walk, verdicts.judgements);
    if (reason !== null)
      return refuseExtended(walk, reason, statement, judgement?.refusal == null ? null : judgement);
  }
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
    );
  } catch (error) {
    return refuseUnrecorded(walk, error, false);
  }
  walk.counters.statements++;
  if (unsettles && settled(walk)) {
    // Its answer does not tell; the next ReadyForQuery does.
    walk.unsettledBatch = walk.batch;
    changes = true;
  }
  const guard = guardOf(judgement, shape.facts.copy, deliveredOf(walk, shape, portal), judgedAt(walk));
  const part = {
    intent: index,
    statement,
    sql: shownSql(shape),
    guard,
    harmless: judgement !== null && harmless(judgement),
  };
  const strict = walk.asked === "strict";
  const running = run(request, [part], changes, false, strict, pass?.approval.id ?? null);
  const entry = expected(Kind.execute, walk.batch, running, null, statement);
  if (judgement === null || walk.guard === null) {
    push(walk.queue, entry);
    return changes ? awaitAnswer(walk, entry) : "forward";
  }
  noteForwarded(walk.guard, judgement, entry.batch);
  const block = inBlockBehind(shape);
  if (block !== null) walk.guard.block = { batch: entry.batch, open: block };
  const before: Buffer[] = [];
  if (guard !== null && portal !== undefined) {
    guard.portal = portal;
    if (judgement.plan !== null && !portal.described) {
      // Its answer tells how the rows look that are to be masked; drivers that know their statements do not ask.
      portal.described = true;
      const describe = expected(Kind.describePortal, walk.batch, null, null, statement);
      describe.special = { swallow: true, portal, reissued: false, alone: false };
      push(walk.queue, describe);
      before.push(encodeDescribe("portal", name));
    }
  }
  const alone = mustStandAlone(walk, judgement, entry);
  entry.special = { swallow: false, portal: null, reissued: false, alone };
  walk.lastRun = walk.batch;
  push(walk.queue, entry);
  startClocks(walk, entry);
  if (alone || changes) walk.stall = { until: "answered", entry };
  const limit = judgement.decision?.limits.rows ?? null;
  const left = limit === null || guard === null ? 0 : Math.max(1, limit - guard.delivered.rows + 1);
  const bounded = left > 0 && (maxRows <= 0 || maxRows > left);
  // Writing statements go on behind the rows that were asked for, and COPY never looks at their number.
  if (guard !== null)
    guard.bounded = bounded && !judgement.facts.effects.includes("write") && shape.facts.copy === null;
  if (before.length === 0) {
    // The message ends with its number of rows; its bytes are ours, and go on with those around them in one piece.
    if (bounded) body.writeInt32BE(left, body.length - 4);
    return alone || changes ? "forward-flush" : "forward";
  }
  return [
    ...before,
    encodeFrontend({ type: "execute", portal: name, maxRows: bounded ? left : maxRows }),
    ...(alone || changes ? [flush] : []),
  ];
}

/** A Flush, a Sync, or what is not of the extended protocol. */
export function endSegment(walk: Walk): void {
  walk.gathered = false;
  walk.pass = null;
}

/** What the portal or cursor behind a statement has given so far. */
function deliveredOf(walk: Walk, shape: Shape, portal: Portal | undefined): Delivered | null {
  for (const { kind, name } of shape.names)
    if (kind === "fetch" && name !== null) return getPortal(walk.names, name)?.delivered ?? null;
  return portal?.delivered ?? null;
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

export function onSync(walk: Walk): Verdict {
  walk.skipping = false;
  endSegment(walk);
  if (walk.guard !== null) done(walk.guard);
  if (walk.copyIn) {
    // While the server reads COPY data it ignores Sync (PostgreSQL manual, "COPY Operations"). It is kept back, lest the
    // copy fails before it arrives, and it ends what the server skips then without our knowing.
    walk.copySync = true;
    return [];
  }
  const entry = expected(Kind.sync, walk.batch++, null, null, null);
  entry.count = walk.texts;
  walk.texts = 0;
  push(walk.queue, entry);
  // Its answer tells how the texts behind it are to be read.
  if (walk.unsettledBatch === entry.batch || walk.guard?.block?.batch === entry.batch)
    walk.stall = { until: "answered", entry };
  return "forward";
}

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
  const sealed = `{"function":${call.oid}${values === null ? "" : `,"parameters":${values}`}}`;
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
    return refuseUnrecorded(walk, error, true);
  }
  walk.counters.statements++;
  walk.texts = 0;
  const part = { intent: index, statement, sql: null, guard: null, harmless: false };
  const entry = expected(Kind.functionCall, walk.batch++, run(request, [part], true), null, null);
  push(walk.queue, entry);
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
