/** Bind, Describe and Close: portals come, are asked about, and go (PostgreSQL manual, "Extended Query"). */
import { decodeBind, decodeClose, decodeDescribe, flush } from "../../../protocol/index.ts";
import { askFirst } from "../ask.ts";
import { ownName, ownNames } from "../facts.ts";
import { noneDelivered } from "../guard.ts";
import { agreedBind, holdBatch } from "../heldbatch.ts";
import { patternRefused } from "../hidden.ts";
import { withdraw } from "../holdend.ts";
import { opaqueShape, prepare, typesJson, valuesJson } from "../intend.ts";
import { judgeMessage } from "../judge/message.ts";
import type { Judgement, Question } from "../judgement.ts";
import {
  awaitChange,
  getPortal,
  maxPortals,
  maxStatementBytes,
  setPortal,
  setStatement,
  undecided,
} from "../names.ts";
import { isExecuted, mustFlush, startPlanning } from "../planning.ts";
import { expected, Kind, push } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import { badName, refuseExtended, tooManyNames } from "../refuse.ts";
import type { Walk } from "../state.ts";
import { listed } from "./lists.ts";
import { awaitAnswer, keyOf, waitFor } from "./waits.ts";

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
    formats: bind.resultFormats,
    batch: walk.batch,
    cursor: false,
    hold: false,
    delivered: noneDelivered(),
    bound,
    compared: bound === null ? 0 : listed(bound.lists, bind.parameters, bind.parameterFormats),
    described: false,
    agreed: walk.pass === null ? null : agreedBind(walk, statement, bind, bound),
    fields: null,
  });
  const entry = expected(Kind.bind, walk.batch, null, change, null);
  push(walk.queue, entry);
  if (bound !== null && !isExecuted(chunk, at, bind.portal)) startPlanning(walk, entry, statement, bound);
  awaitChange(names, entry);
  if (bound !== null && mustFlush(walk, bound)) {
    if (uncertain) awaitAnswer(walk, entry);
    return [flush, chunk.subarray(at, at + 1 + chunk.readInt32BE(at + 1)), ...(uncertain ? [flush] : [])];
  }
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
    entry.special = { swallow: false, portal, reissued: false, alone: false, tag: null };
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
