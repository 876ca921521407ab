/**
 * Step `intend`: the record of what is about to be forwarded. Nothing of a Query or Execute goes to the server before its
 * intents are on the log (rule 4 of docs/architecture.md).
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { DecisionContext, StatementContext } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import { decodeParameter, typeName } from "../../protocol/index.ts";
import {
  emptyFacts,
  looksSecret,
  type MessageText,
  type NameEffect,
  opaqueFacts,
  type StatementShape,
} from "../../sql/index.ts";
import { claimedBy } from "./claims.ts";
import { getPortal, maxLevels, type PreparedStatement, type Shape, undecided } from "./names.ts";
import type { Expected, Part, Run } from "./queue.ts";
import { settled, unsettling } from "./settings.ts";
import type { Walk } from "./state.ts";

/** A single parameter value above this is recorded by digest and size. */
const parameterBytes = 1024 * 1024;
/** Connection strings and statements about roles are not longer; what is may be a document that speaks of passwords. */
const connectionText = 4096;

export function run(
  request: string,
  parts: readonly Part[],
  changes = false,
  unread = false,
  strict = false,
  approval: string | null = null,
): Run {
  return {
    request,
    since: performance.now(),
    parts,
    changes,
    unread,
    strict,
    approval,
    at: 0,
    clock: null,
    late: null,
  };
}

/** Appends one intent. `comment`: the statement's, which may claim something of its caller. Throws AuditUnavailable. */
export function intent(
  walk: Walk,
  request: string,
  statement: StatementContext,
  protocol: StatementProtocol,
  index: number,
  name: string,
  portal: string,
  sealed: string,
  parameters: string,
  decision: DecisionContext = walk.allowed,
  comment: string | null = null,
): number {
  const { transaction, fate } = walk;
  return walk.audit.intent(claimedBy(walk, comment), {
    request,
    statement,
    protocol,
    index,
    transaction,
    transactionId: transaction === "I" ? null : fate.block,
    name,
    portal,
    sealed,
    parameters,
    decision,
  });
}

/** The text if it means to the server what it means to us, else null: then it is sealed whole and not read. */
export function readable(walk: Walk, bytes: Buffer): string | null {
  if (!settled(walk)) return null;
  const text = bytes.toString("utf8");
  // Invalid bytes decode to U+FFFD; a text may also really hold that character.
  return text.includes("\ufffd") && !isUtf8(bytes) ? null : text;
}

/** A statement's text as others may see it: with its literals stripped; null when it could not be read. */
export function shownSql(shape: Pick<Shape, "kind" | "stripped">): string | null {
  return shape.kind === "unknown" ? null : shape.stripped;
}

export const opaqueShape = {
  stripped: "",
  fingerprint: null,
  kind: "unknown",
  command: "",
  secret: false,
  names: [],
  copy: null,
  facts: opaqueFacts,
} as const satisfies StatementShape;
export const emptyShape: Shape = { ...opaqueShape, kind: "empty", facts: emptyFacts };

/** A message whose text is not read: one statement, everything in the seal. */
export function sealedWhole(bytes: Buffer): MessageText {
  const secret = /passw|identified|secret|token|credential/i.test(bytes.toString("latin1"));
  return {
    parsed: false,
    reason: "encoding",
    poisoned: false,
    statements: [
      { text: bytes.toString("latin1"), start: 0, shape: { ...opaqueShape, secret }, comment: null },
    ],
  };
}

/** The pre-serialised part of a record that all statements of one shape share. */
export function contextOf(walk: Walk, shape: Shape): StatementContext {
  let context = walk.contexts.get(shape);
  if (context === undefined) {
    context = walk.audit.statement({
      sql: shownSql(shape),
      fingerprint: shape.fingerprint,
      kind: shape.kind,
      command: shape.command,
      effects: null,
      reads: null,
      writes: null,
      columns: null,
      functions: null,
      labels: null,
    });
    walk.contexts.set(shape, context);
  }
  return context;
}

/** Words without which no statement makes or drops a name. */
const nameWord = /prepare|deallocate|discard|declare|close/i;

/** What a DO block needs to run such a statement: the words themselves, or a way to run a text that it puts together. */
const dynamicWord = /prepare|deallocate|discard|exec/i;

/** What the records of one statement text need. `raw`: the bytes, when the text could not be read. */
export function prepare(
  walk: Walk,
  text: string,
  shape: Shape,
  raw: Buffer | null,
  comment: string | null = null,
): PreparedStatement {
  return {
    shape,
    // The bytes of a text that was not read are valid now only.
    sealed: raw === null ? null : sealedText(walk, text, shape, raw),
    text,
    asked: text,
    bytes: text.length,
    syntaxError: false,
    hides: raw !== null ? nameWord.test(text) : shape.kind === "do" && dynamicWord.test(text),
    unsettles: unsettling(shape),
    declared: [],
    types: [],
    typesJson: null,
    columns: null,
    comment,
    judged: null,
  };
}

/** What the seal says of the statement: worked out once, when something is recorded of it. */
export function sealedOf(walk: Walk, statement: PreparedStatement): string {
  statement.sealed ??= sealedText(walk, statement.text, statement.shape, null);
  return statement.sealed;
}

function sealedText(walk: Walk, text: string, shape: Shape, raw: Buffer | null): string {
  // A password stays out even of the seal; what the shape shows is all there is.
  if (shape.secret) return `{"sql":${JSON.stringify(shape.stripped)},"redacted":true`;
  if (walk.parameters === "drop") return `{"sql":${JSON.stringify(shape.stripped)},"dropped":true`;
  if (walk.parameters === "digest") {
    return `{"sql":${JSON.stringify(shape.stripped)},"sha256":"${createHash("sha256")
      .update(raw ?? text)
      .digest("hex")}"`;
  }
  if (raw !== null && !isUtf8(raw)) return `{"base64":"${raw.toString("base64")}"`;
  return `{"sql":${JSON.stringify(raw === null ? text : raw.toString("utf8"))}`;
}

/** PREPARE and DECLARE: what the new name stands for. It is asked about with its parameters' types, and recorded as it was written. */
export function innerStatement(walk: Walk, effect: NameEffect, secret: boolean): PreparedStatement {
  const { text = "", typed = text } = effect;
  const message = walk.reader.read(typed);
  let shape: Shape = message.statements[0]?.shape ?? opaqueShape;
  // The casts can make it too long to be read here. What it is does not depend on them, but what the server says of it does: so this
  // shape is its own.
  if (!message.parsed && typed !== text)
    shape = { ...(walk.reader.read(text).statements[0]?.shape ?? opaqueShape) };
  return { ...prepare(walk, text, secret ? { ...shape, secret } : shape, null), asked: typed };
}

/** The message that decides what a name stands for which a statement of this shape uses, if it has no answer yet. */
export function openName(walk: Walk, { names }: Pick<Shape, "names">, level = 0): Expected | null {
  for (const { kind, name } of names) {
    if (name === null || (kind !== "execute" && kind !== "fetch")) continue;
    const open = undecided(walk.names, kind === "execute" ? "statement" : "portal", name, walk.batch);
    if (open !== null) return open;
    const used =
      kind === "execute" ? walk.names.statements.get(name) : getPortal(walk.names, name)?.statement;
    const inner = used === undefined || level === maxLevels ? null : openName(walk, used.shape, level + 1);
    if (inner !== null) return inner;
  }
  return null;
}

/** What EXECUTE and FETCH name, and what running it may bring. */
export class Use {
  /** `,"prepared":{…}` for the seal, with what that statement names in turn. */
  sealed = "";
  /** It may change names, or cannot be told. */
  changes = false;
  unsettles = false;
  /** Names that statements of the same message have made, newest last; they count before those of the session. */
  readonly prepared = new Map<string, PreparedStatement>();
  readonly declared = new Map<string, PreparedStatement>();
  private readonly walk: Walk;

  constructor(walk: Walk) {
    this.walk = walk;
  }

  /** Looks at one statement that is to run; the fields tell of this one then. */
  of(statement: PreparedStatement): void {
    this.sealed = "";
    this.changes = false;
    this.unsettles = false;
    this.look(statement, 0);
  }

  private look({ shape, hides, unsettles }: PreparedStatement, level: number): void {
    this.changes ||= hides;
    this.unsettles ||= unsettles;
    let closing = "";
    for (const effect of shape.names) {
      const { kind, name } = effect;
      if (name !== null && (kind === "execute" || kind === "fetch" || kind === "close")) {
        const used = kind === "execute" ? this.statement(name) : this.portal(name);
        if (kind === "execute" && used === undefined) this.unsettles = true;
        if (used === undefined) continue;
        if (level === maxLevels) {
          this.changes = true;
          this.unsettles = true;
          continue;
        }
        this.sealed += `,"prepared":${sealedOf(this.walk, used)}`;
        closing += "}";
        if (kind === "close") continue;
        this.look(used, level + 1);
      } else {
        this.changes = true;
        if (name === null || (kind !== "prepare" && kind !== "declare")) continue;
        const made = innerStatement(this.walk, effect, shape.secret);
        (kind === "prepare" ? this.prepared : this.declared).set(name, made);
      }
    }
    this.sealed += closing;
  }

  private statement(name: string): PreparedStatement | undefined {
    return this.prepared.get(name) ?? this.walk.names.statements.get(name);
  }

  private portal(name: string): PreparedStatement | undefined {
    return this.declared.get(name) ?? getPortal(this.walk.names, name)?.statement;
  }
}

/** JSON array texts of 1, 2, … parameters of unknown type. */
const unknownTypes = Array.from({ length: 16 }, (_, i) =>
  JSON.stringify(Array.from({ length: i + 1 }, () => ({ type: typeName(0) }))),
);

/** JSON array text of parameter types, built once for each list. */
export function typesJson(statement: PreparedStatement, count: number): string {
  if (count === 0) return "[]";
  // The server types what the client left open: with no types at all, all of them are unknown.
  const known = statement.types.length === count;
  if (known && statement.typesJson !== null) return statement.typesJson;
  if (statement.types.length === 0 && count <= unknownTypes.length) return unknownTypes[count - 1] ?? "[]";
  const types: string[] = [];
  for (let i = 0; i < count; i++) types.push(`{"type":"${typeName(statement.types[i] ?? 0)}"}`);
  const json = `[${types.join(",")}]`;
  if (known) statement.typesJson = json;
  return json;
}

/** JSON array text of parameter values as the record keeps them. */
export function valuesJson(
  walk: Walk,
  statement: PreparedStatement,
  parameters: readonly (Buffer | null)[],
  formats: readonly number[],
): string | null {
  if (parameters.length === 0 || walk.parameters === "drop" || statement.shape?.secret === true) return null;
  let json = "[";
  for (let i = 0; i < parameters.length; i++) {
    if (i > 0) json += ",";
    const bytes = parameters[i];
    const format = (formats.length === 1 ? formats[0] : formats[i]) === 1 ? 1 : 0;
    if (bytes === null || bytes === undefined) json += "null";
    else if (walk.parameters === "digest" || bytes.length > parameterBytes) {
      json += `{"bytes":${bytes.length},"sha256":"${createHash("sha256").update(bytes).digest("hex")}"}`;
    } else {
      const value = decodeParameter(statement.types[i] ?? 0, format, bytes);
      // As a literal of the same text would be.
      if (typeof value === "string" && value.length <= connectionText && looksSecret(value))
        json += `{"bytes":${bytes.length},"redacted":true}`;
      else json += JSON.stringify(value);
    }
  }
  return `${json}]`;
}
