/**
 * The packets before the first message (PostgreSQL manual, "Message Formats": StartupMessage, SSLRequest,
 * GSSENCRequest, CancelRequest): an Int32 length that counts itself, an Int32 code, a rest.
 */
import { expectEnd, invalidFormat, readInt32, strictText } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { Writer } from "./writer.ts";

/** Most bytes behind the length field (PostgreSQL's MAX_STARTUP_PACKET_LENGTH): the field itself is at most 10004. */
export const maxStartupLength = 10_000;
/** Bounds of a cancel key: 4 in protocol 3.0, up to 256 in 3.2. */
export const minKeyLength = 4;
export const maxKeyLength = 256;

const cancelCode = 80_877_102;
const sslCode = 80_877_103;
const gssencCode = 80_877_104;

export type StartupPacket =
  | {
      readonly kind: "startup";
      readonly major: number;
      readonly minor: number;
      /** As sent, `_pq_.*` included; of a name sent twice the last value counts, as in PostgreSQL. */
      readonly parameters: ReadonlyMap<string, string>;
    }
  | { readonly kind: "ssl" }
  | { readonly kind: "gssenc" }
  | { readonly kind: "cancel"; readonly pid: number; readonly key: Buffer };

/**
 * Reads a start-up packet.
 * @param body what follows the length field.
 * @returns the packet; `key` is a view on the body.
 * Throws ProtocolError: "08P01" malformed, "0A000" a protocol other than 3.x.
 */
export function decodeStartupPacket(body: Buffer): StartupPacket {
  if (body.length < 4 || body.length > maxStartupLength)
    throw new ProtocolError("invalid length of startup packet");
  const code = readInt32(body, 0) >>> 0;
  switch (code) {
    case sslCode:
      expectEnd(body, 4);
      return { kind: "ssl" };
    case gssencCode:
      expectEnd(body, 4);
      return { kind: "gssenc" };
    case cancelCode: {
      const keyLength = body.length - 8;
      if (keyLength < minKeyLength || keyLength > maxKeyLength)
        throw new ProtocolError("invalid length of query cancel packet");
      return { kind: "cancel", pid: readInt32(body, 4), key: body.subarray(8) };
    }
    default: {
      const major = code >>> 16;
      const minor = code & 0xffff;
      if (major !== 3)
        throw new ProtocolError(
          `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`,
          "0A000",
        );
      return { kind: "startup", major, minor, parameters: decodeParameters(body) };
    }
  }
}

function decodeParameters(body: Buffer): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const last = body.length - 1;
  let at = 4;
  while (at < last && body[at] !== 0) {
    const nameEnd = body.indexOf(0, at);
    const valueEnd = nameEnd < 0 ? -1 : body.indexOf(0, nameEnd + 1);
    // The last byte is the packet's own terminator: it may end neither a name nor a value.
    if (valueEnd < 0 || valueEnd >= last) layout();
    parameters.set(strictText(body, at, nameEnd), strictText(body, nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  if (at !== last || body[at] !== 0) layout();
  return parameters;
}

function layout(): never {
  throw new ProtocolError("invalid startup packet layout: expected terminator as last byte");
}

/** Gives a StartupMessage. Throws ProtocolError for an empty name, a NUL inside, or more than 10000 bytes. */
export function encodeStartup(parameters: ReadonlyMap<string, string>, minor: 0 | 2 = 0): Buffer {
  const writer = new Writer(null, 256).int32((3 << 16) | minor);
  for (const [name, value] of parameters) {
    if (name === "") invalidFormat();
    writer.string(name).string(value);
  }
  const packet = writer.byte(0).finish();
  if (packet.length > maxStartupLength + 4) throw new ProtocolError("startup packet too large", "54000");
  return packet;
}

/** Gives an SSLRequest. */
export function encodeSslRequest(): Buffer {
  return new Writer(null, 8).int32(sslCode).finish();
}

/** Gives a GSSENCRequest. */
export function encodeGssencRequest(): Buffer {
  return new Writer(null, 8).int32(gssencCode).finish();
}

/** Gives a CancelRequest. Throws ProtocolError unless the key has 4 to 256 bytes. */
export function encodeCancelRequest(pid: number, key: Buffer): Buffer {
  if (key.length < minKeyLength || key.length > maxKeyLength)
    throw new ProtocolError("invalid length of query cancel key");
  return new Writer(null, 12 + key.length).int32(cancelCode).int32(pid).bytes(key).finish();
}
