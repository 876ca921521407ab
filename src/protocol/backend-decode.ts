/**
 * Decoders of single backend messages (PostgreSQL manual, "Message Formats"). Each takes the body behind the length
 * field, consumes it exactly, and throws nothing but ProtocolError. Buffers in the results are views on the body.
 * Text of the server may be in any client_encoding; it is decoded as UTF-8 with U+FFFD for what is none.
 */
import {
  expectEnd,
  lenientText,
  readByte,
  readInt16,
  readInt32,
  readOid,
  readOids,
  readUint16,
  readValue,
  short,
  stringEnd,
} from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { maxKeyLength, minKeyLength } from "./startup.ts";

export type TransactionStatus = "I" | "T" | "E";

export interface FieldDescription {
  readonly name: string;
  /** Object identifier of the table the column comes from; 0: none. */
  readonly table: number;
  /** Attribute number in that table; 0: none. */
  readonly column: number;
  readonly typeOid: number;
  /** pg_type.typlen: negative for variable width. */
  readonly typeSize: number;
  readonly typeModifier: number;
  readonly format: 0 | 1;
}

export type AuthenticationFields =
  | { readonly kind: "ok" | "kerberosV5" | "cleartext" | "scmCredential" | "gss" | "sspi" }
  | { readonly kind: "md5"; readonly salt: Buffer }
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "gssContinue" | "saslContinue" | "saslFinal"; readonly data: Buffer };

export interface CopyResponseFields {
  readonly format: 0 | 1;
  readonly columnFormats: (0 | 1)[];
}

export interface NotificationFields {
  readonly pid: number;
  readonly channel: string;
  readonly payload: string;
}

/** Authentication* ('R'). */
export function decodeAuthentication(body: Buffer): AuthenticationFields {
  const code = readInt32(body, 0);
  switch (code) {
    case 0:
      return bare(body, "ok");
    case 2:
      return bare(body, "kerberosV5");
    case 3:
      return bare(body, "cleartext");
    case 5:
      expectEnd(body, 8);
      return { kind: "md5", salt: body.subarray(4) };
    case 6:
      return bare(body, "scmCredential");
    case 7:
      return bare(body, "gss");
    case 8:
      return { kind: "gssContinue", data: body.subarray(4) };
    case 9:
      return bare(body, "sspi");
    case 10:
      return { kind: "sasl", mechanisms: decodeMechanisms(body) };
    case 11:
      return { kind: "saslContinue", data: body.subarray(4) };
    case 12:
      return { kind: "saslFinal", data: body.subarray(4) };
    default:
      throw new ProtocolError("authentication method not supported", "0A000");
  }
}

type BareKind = "ok" | "kerberosV5" | "cleartext" | "scmCredential" | "gss" | "sspi";

function bare(body: Buffer, kind: BareKind): AuthenticationFields {
  expectEnd(body, 4);
  return { kind };
}

function decodeMechanisms(body: Buffer): string[] {
  const mechanisms: string[] = [];
  let at = 4;
  for (;;) {
    const end = stringEnd(body, at);
    if (end === at) break;
    mechanisms.push(lenientText(body, at, end));
    at = end + 1;
  }
  expectEnd(body, at + 1);
  return mechanisms;
}

/** NegotiateProtocolVersion ('v'). `minor` is of protocol 3; the wire has the full version, 0x0003000N. */
export function decodeNegotiate(body: Buffer): { readonly minor: number; readonly options: string[] } {
  const version = readInt32(body, 0);
  if (version >> 16 !== 3) throw new ProtocolError("protocol version not supported", "0A000");
  const count = readInt32(body, 4);
  if (count < 0 || count > body.length - 8) short();
  const options: string[] = [];
  let at = 8;
  for (let i = 0; i < count; i++) {
    const end = stringEnd(body, at);
    options.push(lenientText(body, at, end));
    at = end + 1;
  }
  expectEnd(body, at);
  return { minor: version & 0xffff, options };
}

/** BackendKeyData ('K'). The key has 4 bytes in protocol 3.0, 4 to 256 in 3.2. `pid` is a signed 32-bit number. */
export function decodeBackendKeyData(body: Buffer): { readonly pid: number; readonly key: Buffer } {
  const pid = readInt32(body, 0);
  const length = body.length - 4;
  if (length < minKeyLength || length > maxKeyLength)
    throw new ProtocolError("invalid length of BackendKeyData message");
  return { pid, key: body.subarray(4) };
}

/** ParameterStatus ('S'). */
export function decodeParameterStatus(body: Buffer): { readonly name: string; readonly value: string } {
  const nameEnd = stringEnd(body, 0);
  const valueEnd = stringEnd(body, nameEnd + 1);
  expectEnd(body, valueEnd + 1);
  return { name: lenientText(body, 0, nameEnd), value: lenientText(body, nameEnd + 1, valueEnd) };
}

/** ReadyForQuery ('Z'). */
export function decodeReadyForQuery(body: Buffer): { readonly status: TransactionStatus } {
  const status = readByte(body, 0);
  expectEnd(body, 1);
  switch (status) {
    case 0x49:
      return { status: "I" };
    case 0x54:
      return { status: "T" };
    case 0x45:
      return { status: "E" };
    default:
      throw new ProtocolError("invalid transaction status in ReadyForQuery message");
  }
}

/** RowDescription ('T'). */
export function decodeRowDescription(body: Buffer): { readonly fields: FieldDescription[] } {
  const count = readUint16(body, 0);
  // A field takes 19 bytes at least.
  if (2 + count * 19 > body.length) short();
  const fields: FieldDescription[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    const end = stringEnd(body, at);
    fields.push({
      name: lenientText(body, at, end),
      table: readOid(body, end + 1),
      column: readInt16(body, end + 5),
      typeOid: readOid(body, end + 7),
      typeSize: readInt16(body, end + 11),
      typeModifier: readInt32(body, end + 13),
      format: format(readInt16(body, end + 17)),
    });
    at = end + 19;
  }
  expectEnd(body, at);
  return { fields };
}

function format(code: number): 0 | 1 {
  if (code !== 0 && code !== 1) throw new ProtocolError("invalid format code in message");
  return code;
}

/** DataRow ('D'). */
export function decodeDataRow(body: Buffer): { readonly values: (Buffer | null)[] } {
  const count = readUint16(body, 0);
  if (2 + count * 4 > body.length) short();
  const values: (Buffer | null)[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    const value = readValue(body, at);
    values.push(value);
    at += 4 + (value === null ? 0 : value.length);
  }
  expectEnd(body, at);
  return { values };
}

/** CommandComplete ('C'). */
export function decodeCommandComplete(body: Buffer): { readonly tag: string } {
  const end = stringEnd(body, 0);
  expectEnd(body, end + 1);
  return { tag: lenientText(body, 0, end) };
}

/**
 * ParameterDescription ('t'). PostgreSQL prepares statements of more than 65535 parameters, though none can be bound to them;
 * of their number it sends the lower 16 bits, and all types.
 */
export function decodeParameterDescription(body: Buffer): { readonly types: number[] } {
  const told = readUint16(body, 0);
  const sent = (body.length - 2) >> 2;
  const count = sent % 0x1_0000 === told ? sent : told;
  const types = readOids(body, 2, count);
  expectEnd(body, 2 + count * 4);
  return { types };
}

/**
 * ErrorResponse ('E') and NoticeResponse ('N'): fields by their one-letter code (manual, "Error and Notice Message
 * Fields"). Of a code sent twice the last counts. Any field may be missing, SQLSTATE ("C") included.
 */
export function decodeErrorFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  for (;;) {
    const code = readByte(body, at);
    if (code === 0) break;
    const end = stringEnd(body, at + 1);
    fields.set(String.fromCharCode(code), lenientText(body, at + 1, end));
    at = end + 1;
  }
  expectEnd(body, at + 1);
  return fields;
}

/** NotificationResponse ('A'). */
export function decodeNotification(body: Buffer): NotificationFields {
  const pid = readInt32(body, 0);
  const channelEnd = stringEnd(body, 4);
  const payloadEnd = stringEnd(body, channelEnd + 1);
  expectEnd(body, payloadEnd + 1);
  return {
    pid,
    channel: lenientText(body, 4, channelEnd),
    payload: lenientText(body, channelEnd + 1, payloadEnd),
  };
}

/** CopyInResponse ('G'), CopyOutResponse ('H'), CopyBothResponse ('W'). */
export function decodeCopyResponse(body: Buffer): CopyResponseFields {
  const overall = format(readByte(body, 0));
  const count = readUint16(body, 1);
  if (3 + count * 2 > body.length) short();
  const columnFormats: (0 | 1)[] = [];
  for (let i = 0; i < count; i++) columnFormats.push(format(readInt16(body, 3 + i * 2)));
  expectEnd(body, 3 + count * 2);
  return { format: overall, columnFormats };
}

/** FunctionCallResponse ('V'). */
export function decodeFunctionCallResponse(body: Buffer): { readonly value: Buffer | null } {
  const value = readValue(body, 0);
  expectEnd(body, 4 + (value === null ? 0 : value.length));
  return { value };
}
