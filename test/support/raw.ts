/** A client of bare bytes: sends what it is told and collects the messages that come back. */
import net from "node:net";
import type { Duplex } from "node:stream";
import { encodeFrontend, encodeStartup, FrameReader } from "../../src/protocol/index.ts";

export interface RawMessage {
  /** Type letter. */
  readonly type: string;
  readonly body: Buffer;
}

export interface RawClient {
  readonly socket: Duplex;
  readonly messages: RawMessage[];
  readonly closed: boolean;
  send(...buffers: Buffer[]): void;
  /** Waits until a message passes the test; counts from the messages that earlier waits have not consumed. */
  until(test: (message: RawMessage) => boolean, timeoutMs?: number): Promise<RawMessage[]>;
  /** Waits for ReadyForQuery. */
  ready(): Promise<RawMessage[]>;
  end(): Promise<void>;
}

export function rawClient(socket: Duplex): RawClient {
  const reader = new FrameReader("backend");
  const messages: RawMessage[] = [];
  let read = 0;
  let closed = false;
  let wake: () => void = () => {};
  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      messages.push({ type: String.fromCharCode(frame.type), body: Buffer.from(frame.body) });
    }
    wake();
  });
  socket.on("error", () => {});
  // The server's end of stream is the end: nothing more will come.
  socket.on("end", () => {
    closed = true;
    if (!socket.writableEnded) socket.end();
    wake();
  });
  socket.on("close", () => {
    closed = true;
    wake();
  });
  const client: RawClient = {
    socket,
    messages,
    get closed() {
      return closed;
    },
    send(...buffers) {
      socket.write(Buffer.concat(buffers));
    },
    async until(test, timeoutMs = 20_000) {
      const deadline = Date.now() + timeoutMs;
      for (let at = read; ; ) {
        for (; at < messages.length; at++) {
          if (!test(messages[at] as RawMessage)) continue;
          const got = messages.slice(read, at + 1);
          read = at + 1;
          return got;
        }
        if (closed) {
          const got = messages.slice(read);
          read = messages.length;
          return got;
        }
        const left = deadline - Date.now();
        if (left <= 0)
          throw new Error(`timed out; got ${JSON.stringify(messages.slice(read).map((m) => m.type))}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    ready: () => client.until((m) => m.type === "Z"),
    async end() {
      if (!closed) socket.end(encodeFrontend({ type: "terminate" }));
      const limit = setTimeout(() => socket.destroy(), 2_000);
      await client.until(() => false);
      clearTimeout(limit);
    },
  };
  socket.resume();
  return client;
}

/** Logs in at the gateway with a token; resolves when the session is ready, or with what came instead. */
export async function rawLogin(
  gateway: { host: string; port: number },
  token: string,
  parameters: Record<string, string> = {},
): Promise<RawClient> {
  const socket = net.connect({ host: gateway.host, port: gateway.port, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.setNoDelay(true);
  const client = rawClient(socket);
  client.send(encodeStartup(new Map(Object.entries({ user: "anyone", database: "shop", ...parameters }))));
  await client.until((m) => m.type === "R" || m.type === "E");
  client.send(encodeFrontend({ type: "password", password: token }));
  await client.until((m) => m.type === "Z" || m.type === "E");
  return client;
}
