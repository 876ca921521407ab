/** Frontend messages for raw tests, and a way to write down what came back. */
import { decodeRowDescription, encodeFrontend } from "../../src/protocol/index.ts";
import type { RawMessage } from "../support/raw.ts";

export const query = (text: string): Buffer =>
  encodeFrontend({ type: "query", text, bytes: Buffer.from(text) });
export const parse = (name: string, text: string, parameterTypes: number[] = []): Buffer =>
  encodeFrontend({ type: "parse", name, text, bytes: Buffer.from(text), parameterTypes });
export const bind = (
  portal: string,
  statement: string,
  parameters: (string | null)[] = [],
  resultFormats: number[] = [],
): Buffer =>
  encodeFrontend({
    type: "bind",
    portal,
    statement,
    parameterFormats: [],
    parameters: parameters.map((p) => (p === null ? null : Buffer.from(p))),
    resultFormats,
  });
export const describe_ = (target: "statement" | "portal", name: string): Buffer =>
  encodeFrontend({ type: "describe", target, name });
export const execute = (portal: string, maxRows = 0): Buffer =>
  encodeFrontend({ type: "execute", portal, maxRows });
export const close = (target: "statement" | "portal", name: string): Buffer =>
  encodeFrontend({ type: "close", target, name });
export const sync = encodeFrontend({ type: "sync" });
export const flush = encodeFrontend({ type: "flush" });
export const copyData = (text: string): Buffer =>
  encodeFrontend({ type: "copyData", data: Buffer.from(text) });
export const copyDone = encodeFrontend({ type: "copyDone" });
export const copyFail = (message: string): Buffer => encodeFrontend({ type: "copyFail", message });
/** FunctionCall of `oid` with text arguments. */
export const functionCall = (oid: number, args: string[] = []): Buffer =>
  encodeFrontend({
    type: "functionCall",
    oid,
    argumentFormats: [],
    arguments: args.map((a) => Buffer.from(a)),
    resultFormat: 0,
  });

/** One line a message; without what differs between two sessions: object ids, temporary schemas, source positions. */
export function written(messages: readonly RawMessage[]): string[] {
  return messages.map(({ type, body }) => {
    if (type === "T")
      return `T ${JSON.stringify(decodeRowDescription(body).fields.map((f) => ({ ...f, table: Math.sign(f.table) })))}`;
    if (type !== "E" && type !== "N") return `${type} ${body.toString("latin1")}`;
    const fields = body
      .toString("utf8")
      .split("\0")
      .filter((field) => field !== "" && !/^[FLR]/.test(field))
      .map((field) => field.replace(/pg_temp_\d+/, "pg_temp"));
    return `${type} ${fields.join("|")}`;
  });
}

export const types = (messages: readonly RawMessage[]): string => messages.map((m) => m.type).join("");

/** One field of an ErrorResponse or NoticeResponse. */
export function field(message: RawMessage | undefined, letter: string): string | undefined {
  return message?.body
    .toString("utf8")
    .split("\0")
    .find((f) => f.startsWith(letter))
    ?.slice(1);
}
