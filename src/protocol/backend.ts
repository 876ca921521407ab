/** All messages a server may send, as one union (PostgreSQL manual, "Message Formats"). */
import {
  type AuthenticationFields,
  type CopyResponseFields,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeCopyResponse,
  decodeDataRow,
  decodeErrorFields,
  decodeFunctionCallResponse,
  decodeNegotiate,
  decodeNotification,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  type FieldDescription,
  type NotificationFields,
  type TransactionStatus,
} from "./backend-decode.ts";
import { ProtocolError } from "./errors.ts";
import { expectEmpty } from "./frontend-decode.ts";

export type BackendMessage =
  | ({ readonly type: "authentication" } & AuthenticationFields)
  | { readonly type: "negotiateProtocolVersion"; readonly minor: number; readonly options: readonly string[] }
  | { readonly type: "backendKeyData"; readonly pid: number; readonly key: Buffer }
  | { readonly type: "parameterStatus"; readonly name: string; readonly value: string }
  | { readonly type: "readyForQuery"; readonly status: TransactionStatus }
  | { readonly type: "rowDescription"; readonly fields: readonly FieldDescription[] }
  | { readonly type: "dataRow"; readonly values: readonly (Buffer | null)[] }
  | { readonly type: "commandComplete"; readonly tag: string }
  | { readonly type: "emptyQueryResponse" }
  | { readonly type: "noData" }
  | { readonly type: "parseComplete" }
  | { readonly type: "bindComplete" }
  | { readonly type: "closeComplete" }
  | { readonly type: "portalSuspended" }
  | { readonly type: "parameterDescription"; readonly types: readonly number[] }
  | { readonly type: "error" | "notice"; readonly fields: ReadonlyMap<string, string> }
  | ({ readonly type: "notification" } & NotificationFields)
  | ({ readonly type: "copyInResponse" | "copyOutResponse" | "copyBothResponse" } & CopyResponseFields)
  | { readonly type: "copyData"; readonly data: Buffer }
  | { readonly type: "copyDone" }
  | { readonly type: "functionCallResponse"; readonly value: Buffer | null };

/**
 * Reads any backend message.
 * @param type the type byte.
 * @param body what follows the length field; Buffers in the result are views on it.
 * Throws ProtocolError.
 */
export function decodeBackend(type: number, body: Buffer): BackendMessage {
  switch (String.fromCharCode(type)) {
    case "R":
      return { type: "authentication", ...decodeAuthentication(body) };
    case "v":
      return { type: "negotiateProtocolVersion", ...decodeNegotiate(body) };
    case "K":
      return { type: "backendKeyData", ...decodeBackendKeyData(body) };
    case "S":
      return { type: "parameterStatus", ...decodeParameterStatus(body) };
    case "Z":
      return { type: "readyForQuery", ...decodeReadyForQuery(body) };
    case "T":
      return { type: "rowDescription", ...decodeRowDescription(body) };
    case "D":
      return { type: "dataRow", ...decodeDataRow(body) };
    case "C":
      return { type: "commandComplete", ...decodeCommandComplete(body) };
    case "I":
      return empty(body, "emptyQueryResponse");
    case "n":
      return empty(body, "noData");
    case "1":
      return empty(body, "parseComplete");
    case "2":
      return empty(body, "bindComplete");
    case "3":
      return empty(body, "closeComplete");
    case "s":
      return empty(body, "portalSuspended");
    case "c":
      return empty(body, "copyDone");
    case "t":
      return { type: "parameterDescription", ...decodeParameterDescription(body) };
    case "E":
      return { type: "error", fields: decodeErrorFields(body) };
    case "N":
      return { type: "notice", fields: decodeErrorFields(body) };
    case "A":
      return { type: "notification", ...decodeNotification(body) };
    case "G":
      return { type: "copyInResponse", ...decodeCopyResponse(body) };
    case "H":
      return { type: "copyOutResponse", ...decodeCopyResponse(body) };
    case "W":
      return { type: "copyBothResponse", ...decodeCopyResponse(body) };
    case "d":
      return { type: "copyData", data: body };
    case "V":
      return { type: "functionCallResponse", ...decodeFunctionCallResponse(body) };
    default:
      throw new ProtocolError(`invalid backend message type ${type}`);
  }
}

type EmptyMessage =
  | "emptyQueryResponse"
  | "noData"
  | "parseComplete"
  | "bindComplete"
  | "closeComplete"
  | "portalSuspended"
  | "copyDone";

function empty(body: Buffer, type: EmptyMessage): BackendMessage {
  expectEmpty(body);
  return { type };
}
