/**
 * Decoders of single frontend messages (PostgreSQL manual, "Message Formats"). Each takes the body behind the length
 * field, consumes it exactly, and throws nothing but ProtocolError. Buffers in the results are views on the body.
 */
import {
  expectEnd,
  invalidFormat,
  lenientText,
  readByte,
  readFormats,
  readInt16,
  readInt32,
  readOid,
  readOids,
  readUint16,
  readValue,
  short,
  strictText,
  stringEnd,
  utf8OrNull,
} from "./bytes.ts";
import { ProtocolError } from "./errors.ts";

export interface QueryFields {
  /** null: not valid UTF-8. */
  readonly text: string | null;
  /** The text's bytes, without the NUL. */
  readonly bytes: Buffer;
}

export interface ParseFields extends QueryFields {
  /** The statement's name; empty: unnamed. */
  readonly name: string;
  /** Object identifiers of the parameters the client gives a type to; 0: the server infers. */
  readonly parameterTypes: number[];
}

export interface BindFields {
  readonly portal: string;
  readonly statement: string;
  /** None (all text), one for all, or one for each; the server refuses other counts and codes other than 0 and 1. */
  readonly parameterFormats: number[];
  /** null is SQL NULL. */
  readonly parameters: (Buffer | null)[];
  readonly resultFormats: number[];
}

export interface TargetFields {
  readonly target: "statement" | "portal";
  readonly name: string;
}

export interface ExecuteFields {
  readonly portal: string;
  /** 0 or less: all rows. */
  readonly maxRows: number;
}

export interface FunctionCallFields {
  readonly oid: number;
  readonly argumentFormats: number[];
  readonly arguments: (Buffer | null)[];
  readonly resultFormat: number;
}

export interface SaslInitialResponseFields {
  readonly mechanism: string;
  /** null: no initial response was sent; the server is to send an empty challenge. */
  readonly data: Buffer | null;
}

/** Query ('Q'). A NUL before the last byte is refused: the server would run only what stands before it. */
export function decodeQuery(body: Buffer): QueryFields {
  const end = stringEnd(body, 0);
  expectEnd(body, end + 1);
  const bytes = body.subarray(0, end);
  return { text: utf8OrNull(bytes), bytes };
}

/** Parse ('P'). */
export function decodeParse(body: Buffer): ParseFields {
  const nameEnd = stringEnd(body, 0);
  const textEnd = stringEnd(body, nameEnd + 1);
  const count = readUint16(body, textEnd + 1);
  const parameterTypes = readOids(body, textEnd + 3, count);
  expectEnd(body, textEnd + 3 + count * 4);
  const bytes = body.subarray(nameEnd + 1, textEnd);
  return { name: strictText(body, 0, nameEnd), text: utf8OrNull(bytes), bytes, parameterTypes };
}

/** Bind ('B'). */
export function decodeBind(body: Buffer): BindFields {
  const portalEnd = stringEnd(body, 0);
  const statementEnd = stringEnd(body, portalEnd + 1);
  let at = statementEnd + 1;
  const parameterFormats = readFormats(body, at + 2, readUint16(body, at));
  at += 2 + parameterFormats.length * 2;
  const parameters = readValues(body, at);
  at += 2;
  for (const parameter of parameters) at += 4 + (parameter === null ? 0 : parameter.length);
  const resultFormats = readFormats(body, at + 2, readUint16(body, at));
  expectEnd(body, at + 2 + resultFormats.length * 2);
  return {
    portal: strictText(body, 0, portalEnd),
    statement: strictText(body, portalEnd + 1, statementEnd),
    parameterFormats,
    parameters,
    resultFormats,
  };
}

/** A count and as many values. The count is checked against the bytes left before anything is kept. */
function readValues(body: Buffer, at: number): (Buffer | null)[] {
  const count = readUint16(body, at);
  if (at + 2 + count * 4 > body.length) short();
  const values: (Buffer | null)[] = [];
  let next = at + 2;
  for (let i = 0; i < count; i++) {
    const value = readValue(body, next);
    values.push(value);
    next += 4 + (value === null ? 0 : value.length);
  }
  return values;
}

/** Describe ('D'). */
export function decodeDescribe(body: Buffer): TargetFields {
  return decodeTarget(body);
}

/** Close ('C'). */
export function decodeClose(body: Buffer): TargetFields {
  return decodeTarget(body);
}

function decodeTarget(body: Buffer): TargetFields {
  const kind = readByte(body, 0);
  if (kind !== 0x53 && kind !== 0x50)
    throw new ProtocolError("invalid subtype of a Describe or Close message");
  const end = stringEnd(body, 1);
  expectEnd(body, end + 1);
  return { target: kind === 0x53 ? "statement" : "portal", name: strictText(body, 1, end) };
}

/** Execute ('E'). */
export function decodeExecute(body: Buffer): ExecuteFields {
  const end = stringEnd(body, 0);
  const maxRows = readInt32(body, end + 1);
  expectEnd(body, end + 5);
  return { portal: strictText(body, 0, end), maxRows };
}

/** FunctionCall ('F'). */
export function decodeFunctionCall(body: Buffer): FunctionCallFields {
  const oid = readOid(body, 0);
  const argumentFormats = readFormats(body, 6, readUint16(body, 4));
  let at = 6 + argumentFormats.length * 2;
  const values = readValues(body, at);
  at += 2;
  for (const value of values) at += 4 + (value === null ? 0 : value.length);
  const resultFormat = readInt16(body, at);
  expectEnd(body, at + 2);
  return { oid, argumentFormats, arguments: values, resultFormat };
}

/** CopyFail ('f'). The text goes into an error message only: bytes that are not UTF-8 become U+FFFD. */
export function decodeCopyFail(body: Buffer): { readonly message: string } {
  const end = stringEnd(body, 0);
  expectEnd(body, end + 1);
  return { message: lenientText(body, 0, end) };
}

/** PasswordMessage ('p'), cleartext or MD5. It may be empty, which PostgreSQL never accepts as a password. */
export function decodePassword(body: Buffer): { readonly password: string } {
  const end = stringEnd(body, 0);
  if (end + 1 !== body.length) throw new ProtocolError("invalid password packet size");
  return { password: strictText(body, 0, end) };
}

/** SASLInitialResponse ('p'). */
export function decodeSaslInitialResponse(body: Buffer): SaslInitialResponseFields {
  const end = stringEnd(body, 0);
  const data = readValue(body, end + 1);
  expectEnd(body, end + 5 + (data === null ? 0 : data.length));
  return { mechanism: strictText(body, 0, end), data };
}

/** SASLResponse ('p'): the whole body. */
export function decodeSaslResponse(body: Buffer): { readonly data: Buffer } {
  return { data: body };
}

/** Flush, Sync, Terminate, CopyDone: nothing in them. */
export function expectEmpty(body: Buffer): void {
  if (body.length !== 0) invalidFormat();
}

/**
 * The format of one value under a list of format codes (Bind, FunctionCall): none means text, one is for all.
 * @returns the code as sent, usually 0 (text) or 1 (binary); 0 behind the end of a list that is too short.
 */
export function formatOf(formats: readonly number[], index: number): number {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 0;
}
