/** A raw session at a real server: messages as they come, in the format asked for. */
import net from "node:net";
import type { MaskColumn } from "../../src/masking/index.ts";
import { decodeBackend, encodeFrontend, encodeQuery, encodeStartup } from "../../src/protocol/index.ts";
import type { Database } from "../support/cluster.ts";
import { type RawMessage, rawClient } from "../support/raw.ts";

export interface Parameter {
  readonly type: number;
  readonly format: 0 | 1;
  readonly value: Buffer | null;
}

export interface Result {
  readonly columns: MaskColumn[];
  /** Whole DataRow messages. */
  readonly rows: Buffer[];
}

export interface Session {
  /** Runs one statement by the extended protocol. Rejects with the server's words. */
  run(sql: string, format: 0 | 1, parameters?: readonly Parameter[]): Promise<Result>;
  /** Runs a simple Query; all messages up to ReadyForQuery. Rejects on an error. */
  query(sql: string): Promise<RawMessage[]>;
  /** COPY … FROM STDIN. Rejects on an error. */
  copyIn(sql: string, data: readonly Buffer[]): Promise<void>;
  end(): Promise<void>;
}

export async function openSession(server: Database, database: string): Promise<Session> {
  const socket = net.connect({ path: `${server.socketDir}/.s.PGSQL.${server.port}` });
  const client = rawClient(socket);
  client.send(
    encodeStartup(
      new Map([
        ["user", "postgres"],
        ["database", database],
        ["client_encoding", "UTF8"],
      ]),
    ),
  );
  check(await client.until((m) => m.type === "Z", 5_000));

  return {
    async run(sql, format, parameters = []) {
      const statement = { text: sql, bytes: Buffer.from(sql) };
      client.send(
        encodeFrontend({
          type: "parse",
          name: "",
          ...statement,
          parameterTypes: parameters.map((p) => p.type),
        }),
        encodeFrontend({
          type: "bind",
          portal: "",
          statement: "",
          parameterFormats: parameters.map((p) => p.format),
          parameters: parameters.map((p) => p.value),
          resultFormats: [format],
        }),
        encodeFrontend({ type: "describe", target: "portal", name: "" }),
        encodeFrontend({ type: "execute", portal: "", maxRows: 0 }),
        encodeFrontend({ type: "sync" }),
      );
      const messages = check(await client.until((m) => m.type === "Z", 5_000));
      const columns: MaskColumn[] = [];
      for (const message of messages) {
        if (message.type !== "T") continue;
        const decoded = decodeBackend(0x54, message.body);
        if (decoded.type === "rowDescription")
          for (const field of decoded.fields)
            columns.push({ type: field.typeOid, typmod: field.typeModifier, format: field.format });
      }
      return { columns, rows: messages.filter((m) => m.type === "D").map(whole) };
    },
    async query(sql) {
      client.send(encodeQuery(sql));
      return check(await client.until((m) => m.type === "Z", 5_000));
    },
    async copyIn(sql, data) {
      client.send(encodeQuery(sql));
      await client.until((m) => m.type === "G" || m.type === "Z");
      client.send(
        ...data.map((d) => encodeFrontend({ type: "copyData", data: d })),
        encodeFrontend({ type: "copyDone" }),
      );
      check(await client.until((m) => m.type === "Z", 5_000));
    },
    end: () => client.end(),
  };
}

/** The message with type and length. */
export function whole({ type, body }: RawMessage): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function check(messages: RawMessage[]): RawMessage[] {
  const error = messages.find((m) => m.type === "E");
  if (error === undefined) return messages;
  const decoded = decodeBackend(0x45, error.body);
  const fields = decoded.type === "error" ? decoded.fields : new Map<string, string>();
  throw new Error(`${fields.get("C")} ${fields.get("M")}`);
}
