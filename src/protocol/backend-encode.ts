/** Encoders of backend messages (PostgreSQL manual, "Message Formats"); each gives a whole message, type byte first. */
import type { BackendMessage } from "./backend.ts";
import type { AuthenticationFields, TransactionStatus } from "./backend-decode.ts";
import { ProtocolError } from "./errors.ts";
import { maxKeyLength, minKeyLength } from "./startup.ts";
import { Writer } from "./writer.ts";

function writer(type: string, sizeHint?: number): Writer {
  return new Writer(type.charCodeAt(0), sizeHint);
}

/**
 * Gives the bytes of a backend message.
 * Throws ProtocolError when it cannot be sent: a NUL inside a string, a count or number out of range.
 */
export function encodeBackend(message: BackendMessage): Buffer {
  switch (message.type) {
    case "authentication":
      return encodeAuthentication(message);
    case "negotiateProtocolVersion":
      return encodeNegotiate(message.minor, message.options);
    case "backendKeyData":
      return encodeBackendKeyData(message.pid, message.key);
    case "parameterStatus":
      return encodeParameterStatus(message.name, message.value);
    case "readyForQuery":
      return encodeReadyForQuery(message.status);
    case "rowDescription": {
      const w = writer("T", 32 * message.fields.length).int16(message.fields.length);
      for (const field of message.fields) {
        w.string(field.name).int32(field.table).int16(field.column).int32(field.typeOid);
        w.int16(field.typeSize).int32(field.typeModifier).int16(field.format);
      }
      return w.finish();
    }
    case "dataRow": {
      const w = writer("D", 128).int16(message.values.length);
      for (const value of message.values) w.value(value);
      return w.finish();
    }
    case "commandComplete":
      return writer("C").string(message.tag).finish();
    case "emptyQueryResponse":
      return writer("I", 0).finish();
    case "noData":
      return writer("n", 0).finish();
    case "parseComplete":
      return writer("1", 0).finish();
    case "bindComplete":
      return writer("2", 0).finish();
    case "closeComplete":
      return writer("3", 0).finish();
    case "portalSuspended":
      return writer("s", 0).finish();
    case "copyDone":
      return writer("c", 0).finish();
    case "parameterDescription": {
      const w = writer("t", 4 * message.types.length + 2).int16(message.types.length);
      for (const oid of message.types) w.int32(oid);
      return w.finish();
    }
    case "error":
      return encodeFields("E", message.fields);
    case "notice":
      return encodeFields("N", message.fields);
    case "notification":
      return writer("A").int32(message.pid).string(message.channel).string(message.payload).finish();
    case "copyInResponse":
      return writer("G").byte(message.format).int16List(message.columnFormats).finish();
    case "copyOutResponse":
      return writer("H").byte(message.format).int16List(message.columnFormats).finish();
    case "copyBothResponse":
      return writer("W").byte(message.format).int16List(message.columnFormats).finish();
    case "copyData":
      return writer("d", message.data.length).bytes(message.data).finish();
    case "functionCallResponse":
      return writer("V").value(message.value).finish();
  }
}

function encodeAuthentication(message: AuthenticationFields): Buffer {
  switch (message.kind) {
    case "ok":
      return encodeAuthenticationOk();
    case "kerberosV5":
      return writer("R", 4).int32(2).finish();
    case "cleartext":
      return encodeAuthenticationCleartext();
    case "md5":
      if (message.salt.length !== 4) throw new ProtocolError("an MD5 salt has four bytes");
      return writer("R", 8).int32(5).bytes(message.salt).finish();
    case "scmCredential":
      return writer("R", 4).int32(6).finish();
    case "gss":
      return writer("R", 4).int32(7).finish();
    case "gssContinue":
      return writer("R").int32(8).bytes(message.data).finish();
    case "sspi":
      return writer("R", 4).int32(9).finish();
    case "sasl":
      return encodeAuthenticationSasl(message.mechanisms);
    case "saslContinue":
      return encodeAuthenticationSaslContinue(message.data);
    case "saslFinal":
      return writer("R").int32(12).bytes(message.data).finish();
  }
}

/** AuthenticationOk. */
export function encodeAuthenticationOk(): Buffer {
  return writer("R", 4).int32(0).finish();
}

/** AuthenticationCleartextPassword. */
export function encodeAuthenticationCleartext(): Buffer {
  return writer("R", 4).int32(3).finish();
}

/** AuthenticationSASL, mechanisms in order of preference. */
export function encodeAuthenticationSasl(mechanisms: readonly string[]): Buffer {
  const w = writer("R").int32(10);
  for (const mechanism of mechanisms) {
    // An empty name would end the list.
    if (mechanism === "") throw new ProtocolError("a SASL mechanism needs a name");
    w.string(mechanism);
  }
  return w.byte(0).finish();
}

/** AuthenticationSASLContinue. */
export function encodeAuthenticationSaslContinue(data: Buffer): Buffer {
  return writer("R", data.length + 4)
    .int32(11)
    .bytes(data)
    .finish();
}

/** AuthenticationSASLFinal: the mechanism's last data; AuthenticationOk follows. */
export function encodeAuthenticationSaslFinal(data: Buffer): Buffer {
  return writer("R", data.length + 4)
    .int32(12)
    .bytes(data)
    .finish();
}

/** NegotiateProtocolVersion: the newest minor version of protocol 3 that is spoken here, and the `_pq_.` names that are not. */
export function encodeNegotiate(minor: number, names: readonly string[]): Buffer {
  const w = writer("v")
    .int32((3 << 16) | (minor & 0xffff))
    .int32(names.length);
  for (const name of names) w.string(name);
  return w.finish();
}

/** BackendKeyData. Throws ProtocolError unless the key has 4 to 256 bytes. */
export function encodeBackendKeyData(pid: number, key: Buffer): Buffer {
  if (key.length < minKeyLength || key.length > maxKeyLength)
    throw new ProtocolError("invalid length of a cancel key");
  return writer("K", key.length + 4)
    .int32(pid)
    .bytes(key)
    .finish();
}

/** ParameterStatus. */
export function encodeParameterStatus(name: string, value: string): Buffer {
  return writer("S").string(name).string(value).finish();
}

/** ReadyForQuery. */
export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return writer("Z", 1).byte(status.charCodeAt(0)).finish();
}

interface Complaint {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}
export interface ErrorFields extends Complaint {
  /** Default: "ERROR". */
  readonly severity?: "ERROR" | "FATAL";
}
export interface NoticeFields extends Complaint {
  readonly severity: "NOTICE" | "WARNING";
}

/** ErrorResponse with the fields S, V, C, M and, where given, D and H (manual, "Error and Notice Message Fields"). */
export function encodeError(fields: ErrorFields): Buffer {
  return encodeComplaint("E", fields.severity ?? "ERROR", fields);
}

/** NoticeResponse with the same fields. */
export function encodeNotice(fields: NoticeFields): Buffer {
  return encodeComplaint("N", fields.severity, fields);
}

function encodeComplaint(type: "E" | "N", severity: string, fields: Complaint): Buffer {
  const map = new Map([
    ["S", severity],
    ["V", severity],
    ["C", fields.code],
    ["M", clean(fields.message)],
  ]);
  if (fields.detail !== undefined) map.set("D", clean(fields.detail));
  if (fields.hint !== undefined) map.set("H", clean(fields.hint));
  return encodeFields(type, map);
}

/** An error must always be sayable: a NUL in its text is shown, not thrown over. */
function clean(text: string): string {
  return text.replaceAll("\0", "\uFFFD");
}

function encodeFields(type: "E" | "N", fields: ReadonlyMap<string, string>): Buffer {
  const w = writer(type, 160);
  for (const [letter, text] of fields) {
    const code = letter.charCodeAt(0);
    if (letter.length !== 1 || code === 0 || code > 0xff)
      throw new ProtocolError("an error field has a code of one byte");
    w.byte(code).string(text);
  }
  return w.byte(0).finish();
}
