/** Settings, fake servers and small talk for tests of the upstream side. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { expect } from "vitest";
import type { SecretSource } from "../../src/facts/secret.ts";
import type { UpstreamConnection } from "../../src/gateway/ports.ts";
import type { DatabaseSettings, LoginSettings, ServerSettings } from "../../src/gateway/settings.ts";
import { UpstreamError } from "../../src/gateway/upstream/connect.ts";
import {
  decodeCommandComplete,
  decodeDataRow,
  decodeErrorFields,
  decodeReadyForQuery,
  encodeQuery,
  FrameReader,
} from "../../src/protocol/index.ts";

export function secret(text: string): SecretSource {
  return { label: "env TEST_SECRET", read: async () => text };
}

export function loginAs(user: string, password: string | null): LoginSettings {
  return { groups: ["agents"], user, password: password === null ? null : secret(password) };
}

export interface Wanted {
  readonly host?: string;
  readonly port: number;
  readonly dbname?: string;
  readonly tls?: Partial<ServerSettings["tls"]>;
  readonly pool?: Partial<DatabaseSettings["pool"]>;
}

/** The database "shop" as postern.yaml would name it, at a real or fake server. */
export function databaseAt(wanted: Wanted): DatabaseSettings {
  return {
    name: "shop",
    server: {
      host: wanted.host ?? "127.0.0.1",
      port: wanted.port,
      dbname: wanted.dbname ?? "postgres",
      tls: { mode: "disable", ca: null, cert: null, key: null, ...wanted.tls },
    },
    replication: false,
    logins: [],
    pool: { max: 10, minIdle: 0, reset: "discard_all", ...wanted.pool },
  };
}

export interface Answer {
  readonly rows: (string | null)[][];
  readonly tag: string | null;
  readonly sqlstate: string | null;
  readonly status: string;
}

/** Runs one simple Query on an upstream connection and leaves it paused and without listeners. */
export async function ask(connection: UpstreamConnection, sql: string): Promise<Answer> {
  const { socket } = connection;
  const reader = new FrameReader("backend");
  const rows: (string | null)[][] = [];
  let tag: string | null = null;
  let sqlstate: string | null = null;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onClose = () => reject(new Error("the server closed the connection"));
  function onData(chunk: Buffer): void {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      const type = String.fromCharCode(frame.type);
      if (type === "D") rows.push(decodeDataRow(frame.body).values.map((v) => v?.toString() ?? null));
      else if (type === "C") tag = decodeCommandComplete(frame.body).tag;
      else if (type === "E") sqlstate = decodeErrorFields(frame.body).get("C") ?? "";
      else if (type === "Z") resolve(decodeReadyForQuery(frame.body).status);
    }
  }
  socket.on("data", onData);
  socket.on("close", onClose);
  socket.resume();
  socket.write(encodeQuery(sql));
  try {
    const status = await promise;
    return { rows, tag, sqlstate, status };
  } finally {
    socket.pause();
    socket.removeListener("data", onData);
    socket.removeListener("close", onClose);
  }
}

/** The UpstreamError that a promise rejects with; any other end fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<UpstreamError> {
  const outcome = await promise.then(
    () => "no error",
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(UpstreamError);
  return outcome as UpstreamError;
}

/** Asserts that no text of the error holds any of these words. */
export function expectNeutral(error: UpstreamError, ...words: (string | number)[]): void {
  for (const text of [error.clientMessage, error.cause, error.message, JSON.stringify(error)]) {
    for (const word of words) expect(text.toLowerCase()).not.toContain(String(word).toLowerCase());
  }
}

export interface FakeServer {
  readonly port: number;
  /** Connections so far and those still open. */
  readonly sockets: Set<Socket>;
  readonly open: Set<Socket>;
  /** Resolves when no connection is open. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

/** A TCP server that does as it is told with each connection. */
export async function fakeServer(serve: (socket: Socket) => void): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => open.delete(socket));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    port,
    sockets,
    open,
    async drained() {
      for (const socket of open) await new Promise((resolve) => socket.once("close", resolve));
    },
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
