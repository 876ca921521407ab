/** All messages a client may send after start-up, as one union (PostgreSQL manual, "Message Formats"). */
import { ProtocolError } from "./errors.ts";
import {
  type BindFields,
  decodeBind,
  decodeClose,
  decodeCopyFail,
  decodeDescribe,
  decodeExecute,
  decodeFunctionCall,
  decodeParse,
  decodePassword,
  decodeQuery,
  decodeSaslInitialResponse,
  decodeSaslResponse,
  type ExecuteFields,
  expectEmpty,
  type FunctionCallFields,
  type ParseFields,
  type QueryFields,
  type SaslInitialResponseFields,
  type TargetFields,
} from "./frontend-decode.ts";
import { Writer } from "./writer.ts";

export type FrontendMessage =
  | ({ readonly type: "query" } & QueryFields)
  | ({ readonly type: "parse" } & ParseFields)
  | ({ readonly type: "bind" } & BindFields)
  | ({ readonly type: "describe" } & TargetFields)
  | ({ readonly type: "execute" } & ExecuteFields)
  | ({ readonly type: "close" } & TargetFields)
  | { readonly type: "flush" }
  | { readonly type: "sync" }
  | ({ readonly type: "functionCall" } & FunctionCallFields)
  | { readonly type: "copyData"; readonly data: Buffer }
  | { readonly type: "copyDone" }
  | { readonly type: "copyFail"; readonly message: string }
  | { readonly type: "terminate" }
  | { readonly type: "password"; readonly password: string }
  | ({ readonly type: "saslInitialResponse" } & SaslInitialResponseFields)
  | { readonly type: "saslResponse"; readonly data: Buffer };

/**
 * Reads any frontend message.
 * @param type the type byte.
 * @param body what follows the length field; Buffers in the result are views on it.
 * @param as what a 'p' is, which only the state of the authentication says.
 * Throws ProtocolError.
 */
export function decodeFrontend(
  type: number,
  body: Buffer,
  as?: "password" | "saslInitial" | "saslResponse",
): FrontendMessage {
  switch (String.fromCharCode(type)) {
    case "Q":
      return { type: "query", ...decodeQuery(body) };
    case "P":
      return { type: "parse", ...decodeParse(body) };
    case "B":
      return { type: "bind", ...decodeBind(body) };
    case "D":
      return { type: "describe", ...decodeDescribe(body) };
    case "E":
      return { type: "execute", ...decodeExecute(body) };
    case "C":
      return { type: "close", ...decodeClose(body) };
    case "H":
      expectEmpty(body);
      return { type: "flush" };
    case "S":
      expectEmpty(body);
      return { type: "sync" };
    case "F":
      return { type: "functionCall", ...decodeFunctionCall(body) };
    case "d":
      return { type: "copyData", data: body };
    case "c":
      expectEmpty(body);
      return { type: "copyDone" };
    case "f":
      return { type: "copyFail", ...decodeCopyFail(body) };
    case "X":
      expectEmpty(body);
      return { type: "terminate" };
    case "p":
      return decodeAuthentication(body, as);
    default:
      throw new ProtocolError(`invalid frontend message type ${type}`);
  }
}

function decodeAuthentication(
  body: Buffer,
  as: "password" | "saslInitial" | "saslResponse" | undefined,
): FrontendMessage {
  switch (as) {
    case "password":
      return { type: "password", ...decodePassword(body) };
    case "saslInitial":
      return { type: "saslInitialResponse", ...decodeSaslInitialResponse(body) };
    case "saslResponse":
      return { type: "saslResponse", ...decodeSaslResponse(body) };
    case undefined:
      throw new ProtocolError("unexpected authentication message");
  }
}

/**
 * Gives the bytes of a frontend message. Query and Parse send `bytes`, not `text`.
 * Throws ProtocolError when the message cannot be sent: a NUL inside a string, a count or number out of range.
 */
export function encodeFrontend(message: FrontendMessage): Buffer {
  switch (message.type) {
    case "query":
      return writer("Q", message.bytes.length + 1)
        .stringBytes(message.bytes)
        .finish();
    case "parse": {
      const w = writer("P", message.bytes.length + message.name.length + 16);
      w.string(message.name).stringBytes(message.bytes).int16(message.parameterTypes.length);
      for (const oid of message.parameterTypes) w.int32(oid);
      return w.finish();
    }
    case "bind": {
      const w = writer("B", 128).string(message.portal).string(message.statement);
      w.int16List(message.parameterFormats).int16(message.parameters.length);
      for (const parameter of message.parameters) w.value(parameter);
      return w.int16List(message.resultFormats).finish();
    }
    case "describe":
      return encodeTarget("D", message);
    case "close":
      return encodeTarget("C", message);
    case "execute":
      return writer("E").string(message.portal).int32(message.maxRows).finish();
    case "flush":
      return writer("H", 0).finish();
    case "sync":
      return writer("S", 0).finish();
    case "functionCall": {
      const w = writer("F").int32(message.oid).int16List(message.argumentFormats);
      w.int16(message.arguments.length);
      for (const argument of message.arguments) w.value(argument);
      return w.int16(message.resultFormat).finish();
    }
    case "copyData":
      return writer("d", message.data.length).bytes(message.data).finish();
    case "copyDone":
      return writer("c", 0).finish();
    case "copyFail":
      return writer("f").string(message.message).finish();
    case "terminate":
      return writer("X", 0).finish();
    case "password":
      return writer("p").string(message.password).finish();
    case "saslInitialResponse":
      return writer("p").string(message.mechanism).value(message.data).finish();
    case "saslResponse":
      return writer("p", message.data.length).bytes(message.data).finish();
  }
}

function writer(type: string, sizeHint?: number): Writer {
  return new Writer(type.charCodeAt(0), sizeHint);
}

function encodeTarget(type: "D" | "C", { target, name }: TargetFields): Buffer {
  return writer(type, name.length + 2)
    .byte(target === "statement" ? 0x53 : 0x50)
    .string(name)
    .finish();
}

/** Query with this text. Throws ProtocolError when it holds a NUL. */
export function encodeQuery(text: string): Buffer {
  return writer("Q", text.length + 1)
    .string(text)
    .finish();
}

/** Parse of this text, without types of parameters. Throws ProtocolError when a text holds a NUL. */
export function encodeParse(name: string, text: string): Buffer {
  return encodeFrontend({ type: "parse", name, text, bytes: Buffer.from(text), parameterTypes: [] });
}

/** Describe. */
export function encodeDescribe(target: "statement" | "portal", name: string): Buffer {
  return encodeTarget("D", { target, name });
}

/** Close. */
export function encodeClose(target: "statement" | "portal", name: string): Buffer {
  return encodeTarget("C", { target, name });
}

/** CopyFail with this text. */
export function encodeCopyFail(message: string): Buffer {
  return encodeFrontend({ type: "copyFail", message });
}

/** Ready-made messages. Shared: never write into them. */
export const sync: Buffer = encodeFrontend({ type: "sync" });
export const flush: Buffer = encodeFrontend({ type: "flush" });
export const terminate: Buffer = encodeFrontend({ type: "terminate" });
