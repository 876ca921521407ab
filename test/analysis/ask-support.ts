/** A logged-in connection of bare bytes, for questions to a real server. */
import type { Socket } from "node:net";
import pg from "pg";
import { type Ask, type AskForm, encodeAsk } from "../../src/analysis/ask.ts";
import { AskReader, type AskReaderOptions, type AskResult } from "../../src/analysis/ask-read.ts";
import { encodeQuery } from "../../src/protocol/index.ts";
import { type RawClient, rawClient } from "../support/raw.ts";

export interface Bare extends RawClient {
  /** Runs a simple query; its rows as text. Throws the server's error text. */
  run(sql: string): Promise<(string | null)[][]>;
  /** Asks, and gives the answer; messages that the reader handed on are in `relayed`. */
  ask(ask: Partial<Ask> & { text: string }, form?: AskForm, options?: AskReaderOptions): Promise<AskResult>;
  readonly relayed: string[];
}

/** Logs in with the pg driver and takes its socket over. */
export async function bare(config: pg.ClientConfig): Promise<Bare> {
  const client = new pg.Client(config);
  client.on("error", () => undefined);
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data");
  const raw = rawClient(stream);
  const relayed: string[] = [];
  return {
    ...raw,
    relayed,
    async run(sql) {
      raw.send(encodeQuery(sql));
      const messages = await raw.ready();
      const error = messages.find((message) => message.type === "E");
      if (error !== undefined) throw new Error(error.body.toString("latin1").replaceAll("\0", " "));
      return messages.flatMap((message) => (message.type === "D" ? [row(message.body)] : []));
    },
    async ask(ask, form = "connection", options = {}) {
      const reader = new AskReader({ ...options, form });
      raw.send(encodeAsk({ searchPath: null, quietLog: false, ...ask }, form, options.end));
      const messages = await raw.until((message) => {
        const taken = reader.push(message.type.charCodeAt(0), message.body);
        if (taken === "relay") relayed.push(message.type);
        return taken === "done";
      });
      if (reader.result === null) return reader.end();
      if (messages.length === 0) throw new Error("no answer");
      return reader.result;
    },
  };
}

function row(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 2;
  for (let i = body.readUInt16BE(0); i > 0; i--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}
