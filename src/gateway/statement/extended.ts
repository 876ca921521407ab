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
} from "../../protocol/index.ts";
import type { MessageText } from "../../sql/index.ts";
import {
  intent,
  opaqueShape,
  prepare,
  readable,
  resolved,
  run,
  sealedWhole,
  typesJson,
  valuesJson,
} from "./intend.ts";
import {
  getPortal,
  maxPortals,
  maxStatementBytes,
  maxStatements,
  type PreparedStatement,
  setPortal,
  setStatement,
} from "./names.ts";
import { type Expected, expected, Kind, push, queueHead, type ReplyQueue } from "./queue.ts";
import type { Verdict } from "./receive.ts";
import {
  functionCallRefused,
  poisonCopy,
  recordRefusal,
  refuseExtended,
  refuseQuery,
  refuseUnrecorded,
  tooLarge,
  tooManyNames,
} from "./refuse.ts";
import { aside, inlineBytes } from "./simple.ts";
import type { Walk } from "./state.ts";

export function refuseLargeParse(walk: Walk): readonly Buffer[] {
  return refuseExtended(walk, tooLarge(walk.limits.statementBytes));
}

export function onParse(walk: Walk, body: Buffer): Verdict {
  const { name, bytes, parameterTypes } = decodeParse(body);
  const { names } = walk;
  if (names.statements.size >= maxStatements || names.bytes > maxStatementBytes)
    return refuseExtended(walk, tooManyNames);
  const text = readable(walk, bytes);
  if (text !== null && bytes.length > inlineBytes) {
    // The message waits here, and everything behind it; its copy must outlive the chunk.
    const whole = Buffer.from(body);
    aside(walk, text, (message) => {
      parse(walk, name, message, Buffer.from(text), parameterTypes);
      const header = Buffer.allocUnsafe(5);
      header[0] = 0x50;
      header.writeInt32BE(whole.length + 4, 1);
      return [header, whole];
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
  // Parse takes one statement. With several, or none that we can tell apart, the server's own answer decides.
  let [only] = message.statements;
  let raw = message.parsed ? null : bytes;
  if (only === undefined || message.statements.length > 1) {
    [only] = sealedWhole(bytes).statements;
    raw = bytes;
  }
  const statement = prepare(walk, only?.text ?? "", only?.shape ?? opaqueShape, raw);
  statement.types = types;
  // The server refuses a name that it has already, and keeps the old statement: only its answer tells which one it is.
  const uncertain = name !== "" && walk.names.statements.has(name);
  const entry = expected(Kind.parse, walk.batch, null, setStatement(walk.names, name, statement), statement);
  push(walk.queue, entry);
  return uncertain ? awaitAnswer(walk, entry) : "forward";
}

/** Nothing behind this message is looked at before the server has answered it. */
function awaitAnswer(walk: Walk, entry: Expected): Verdict {
  walk.stall = { until: "answered", entry };
  return "forward-flush";
}

export function onBind(walk: Walk, body: Buffer): Verdict {
  const bind = decodeBind(body);
  const { names } = walk;
  if (names.portals.size >= maxPortals) return refuseExtended(walk, tooManyNames);
  const statement = names.statements.get(bind.statement) ?? prepare(walk, "", opaqueShape, null);
  const uncertain = bind.portal !== "" && names.portals.has(bind.portal);
  const change = setPortal(names, bind.portal, {
    statement,
    values: valuesJson(walk, statement, bind.parameters, bind.parameterFormats),
    typesJson: typesJson(statement, bind.parameters.length),
    batch: walk.batch,
    cursor: false,
  });
  const entry = expected(Kind.bind, walk.batch, null, change, null);
  push(walk.queue, entry);
  return uncertain ? awaitAnswer(walk, entry) : "forward";
}

export function onDescribe(walk: Walk, body: Buffer): Verdict {
  const { target, name } = decodeDescribe(body);
  const statement =
    (target === "statement" ? walk.names.statements.get(name) : getPortal(walk.names, name)?.statement) ??
    null;
  const kind = target === "statement" ? Kind.describeStatement : Kind.describePortal;
  push(walk.queue, expected(kind, walk.batch, null, null, statement));
  return "forward";
}

export function onClose(walk: Walk, body: Buffer): Verdict {
  const { target, name } = decodeClose(body);
  const { names } = walk;
  const change =
    target === "statement" ? setStatement(names, name, undefined) : setPortal(names, name, undefined);
  push(walk.queue, expected(Kind.close, walk.batch, null, change, null));
  return "forward";
}

export function onExecute(walk: Walk, body: Buffer): Verdict {
  const { portal: name } = decodeExecute(body);
  const portal = getPortal(walk.names, name);
  const statement: PreparedStatement = portal?.statement ?? prepare(walk, "", opaqueShape, null);
  const { shape } = statement;
  let protocol: StatementProtocol =
    portal?.cursor === true ? "cursor" : shape.copy === null ? "extended" : "copy";
  let { sealed } = statement;
  let changes = false;
  for (const effect of shape.names) {
    if (effect.kind === "execute" && effect.name !== null) {
      protocol = "sql-execute";
      sealed += resolved(walk.names.statements.get(effect.name));
    } else if (effect.kind === "fetch" || effect.kind === "close") {
      protocol = "cursor";
      sealed += resolved(getPortal(walk.names, effect.name ?? "")?.statement);
    } else changes = true;
  }
  sealed += portal?.values == null ? "}" : `,"parameters":${portal.values}}`;
  const request = uuidv7();
  let index: number;
  try {
    index = intent(
      walk,
      request,
      statement.context,
      protocol,
      0,
      "",
      name,
      sealed,
      portal?.typesJson ?? "[]",
    );
  } catch (error) {
    return refuseUnrecorded(walk, error, false);
  }
  walk.counters.statements++;
  const entry = expected(
    Kind.execute,
    walk.batch,
    run(request, [{ intent: index, statement }]),
    null,
    statement,
  );
  push(walk.queue, entry);
  return changes ? awaitAnswer(walk, entry) : "forward";
}

export function onSync(walk: Walk): Verdict {
  walk.skipping = false;
  // While the server reads COPY data it ignores Sync (PostgreSQL manual, "COPY Operations").
  if (!walk.copyIn) push(walk.queue, expected(Kind.sync, walk.batch++, null, null, null));
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
  const request = uuidv7();
  const statement = prepare(walk, "", { ...opaqueShape, kind: "function" }, null);
  const values = valuesJson(walk, statement, call.arguments, call.argumentFormats);
  const sealed = `{"function":${call.oid}${values === null ? "" : `,"parameters":${values}`}}`;
  let index: number;
  try {
    index = intent(
      walk,
      request,
      statement.context,
      "function",
      0,
      "",
      "",
      sealed,
      typesJson(statement, call.arguments.length),
    );
  } catch (error) {
    return refuseUnrecorded(walk, error, true);
  }
  walk.counters.statements++;
  push(
    walk.queue,
    expected(Kind.functionCall, walk.batch++, run(request, [{ intent: index, statement }]), null, null),
  );
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
  push(walk.queue, expected(Kind.copyEnd, walk.batch, null, null, null));
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
