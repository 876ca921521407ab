/** One statement on a connection of the gateway's own, as messages of the extended protocol: its tag, its first rows, its error. */
import type { HeldParameter } from "../../facts/approval.ts";
import {
  decodeCommandComplete,
  decodeErrorFields,
  decodeRowDescription,
  encodeDescribe,
  encodeFrontend,
  type FieldDescription,
  sync,
} from "../../protocol/index.ts";
import type { Talk } from "../analyst/talk.ts";

export interface Ran {
  /** Command tag; null: it failed, or more rows were left. */
  readonly tag: string | null;
  readonly fields: readonly FieldDescription[];
  /** Bodies of DataRow messages, in text format. */
  readonly rows: readonly Buffer[];
  /** SQLSTATE and the constraint or table that the error names; its text may hold values, and is not kept. */
  readonly error: { readonly sqlstate: string; readonly about: string | null } | null;
}

/** Rejects with TalkLost. `maxRows` 0: all. */
export async function runOne(
  talk: Talk,
  text: string,
  parameters: readonly HeldParameter[] = [],
  maxRows = 0,
): Promise<Ran> {
  let tag: string | null = null;
  let fields: readonly FieldDescription[] = [];
  let error: Ran["error"] = null;
  const rows: Buffer[] = [];
  await talk.run(requestOf(text, parameters, maxRows), ({ type, body }) => {
    if (type === 0x54) fields = decodeRowDescription(body).fields;
    else if (type === 0x44) rows.push(Buffer.from(body));
    else if (type === 0x43) ({ tag } = decodeCommandComplete(body));
    else if (type === 0x45) {
      const said = decodeErrorFields(body);
      const about = said.get("n") ?? said.get("t") ?? null;
      error ??= { sqlstate: said.get("C") ?? "XX000", about };
    }
  });
  return { tag, fields, rows, error };
}

function requestOf(text: string, parameters: readonly HeldParameter[], maxRows: number): Buffer {
  const values = parameters.map(({ text: value, bytes }) =>
    value === null ? null : Buffer.from(value ?? bytes ?? "", value === undefined ? "base64" : "utf8"),
  );
  return Buffer.concat([
    encodeFrontend({ type: "parse", name: "", text, bytes: Buffer.from(text), parameterTypes: [] }),
    encodeFrontend({
      type: "bind",
      portal: "",
      statement: "",
      parameterFormats: parameters.map(({ text: value }) => (value === undefined ? 1 : 0)),
      parameters: values,
      resultFormats: [],
    }),
    encodeDescribe("portal", ""),
    encodeFrontend({ type: "execute", portal: "", maxRows }),
    sync,
  ]);
}
