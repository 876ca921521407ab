/** Parse: a statement gets a name (PostgreSQL manual, "Extended Query"). */
import { decodeParse } from "../../../protocol/index.ts";
import type { MessageText } from "../../../sql/index.ts";
import { askFirst } from "../ask.ts";
import { ownName, ownNames, severalStatements } from "../facts.ts";
import { emptyShape, opaqueShape, prepare, readable, sealedWhole } from "../intend.ts";
import { judgeMessage } from "../judge/message.ts";
import type { Question } from "../judgement.ts";
import {
  awaitChange,
  maxStatementBytes,
  maxStatements,
  type PreparedStatement,
  type Shape,
  setStatement,
  undecided,
} from "../names.ts";
import { expected, Kind, push } from "../queue.ts";
import type { Verdict } from "../receive.ts";
import { badName, refuseExtended, refuseParse, tooLarge, tooManyNames } from "../refuse.ts";
import { aside, forwardLarge, inlineBytes } from "../simple.ts";
import type { Walk } from "../state.ts";
import { awaitAnswer, keyOf, waitFor } from "./waits.ts";

/** A Parse whose text is larger than is read; `name`: "" where the statement has none. */
export function refuseLargeParse(walk: Walk, name: string | null): readonly Buffer[] {
  const reason = tooLarge(walk.limits.statementBytes);
  return name === null ? refuseExtended(walk, reason) : refuseParse(walk, name, reason);
}

export function onParse(walk: Walk, body: Buffer): Verdict {
  const fields = decodeParse(body);
  const { bytes, parameterTypes } = fields;
  const { names } = walk;
  const name = keyOf(walk, fields.name);
  if (bytes.length > walk.limits.statementBytes) return refuseLargeParse(walk, name);
  if (name === null) return refuseExtended(walk, badName);
  if (walk.guard !== null && name.startsWith(ownNames)) return refuseExtended(walk, ownName);
  const open = name === "" ? null : undecided(names, "statement", name, walk.batch);
  if (open !== null) return waitFor(walk, open);
  if ((name !== "" && names.statements.size >= maxStatements) || names.bytes > maxStatementBytes)
    return refuseParse(walk, name, tooManyNames);
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
      if (parts === null) return refuseParse(walk, name, judgement.refusal, statement, judgement);
      // PostgreSQL takes none of them. What the policy says comes first, as in a Query.
      const denied = parts.judgements[parts.refused]?.refusal;
      return refuseParse(walk, name, denied ?? severalStatements, statement);
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
