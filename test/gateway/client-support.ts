/** A listener with a pretend identity room behind it, and a client that speaks bytes. */
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import * as tls from "node:tls";
import type { Principal } from "../../src/facts/principal.ts";
import type { Authenticator } from "../../src/gateway/client/authentication.ts";
import { createListener, type Listener, type ListenerDeps } from "../../src/gateway/client/listener.ts";
import type { AuthenticatedClient, AuthFailure } from "../../src/gateway/ports.ts";
import type { ListenerSettings } from "../../src/gateway/settings.ts";
import { IdentityError } from "../../src/identity/errors.ts";
import { decodeErrorFields, encodeStartup } from "../../src/protocol/index.ts";
import { selfSigned } from "../support/certificates.ts";

export const goodToken = "good.token.value";
export const discovery = {
  configurationUrl: "https://idp.example/.well-known/openid-configuration",
  scope: "openid",
};
export const certificate = { ...selfSigned(), clientCa: null };

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function principal(token: string): Principal {
  return {
    subject: "alice",
    issuer: "https://idp.example",
    email: null,
    kind: "agent",
    groups: [],
    actor: [],
    provider: "corp",
    claims: {},
    token: { jti: null, sha256: sha256(token), issued: null, expires: 4_000_000_000 },
  };
}

/** Takes `goodToken` and tokens of 40,000 "x" or more; "explode" is a fault that is not an IdentityError; "slow" takes a while. */
export const identity: Authenticator = {
  discovery,
  async authenticate(token) {
    if (token === goodToken || (token.length >= 40_000 && /^x+$/.test(token))) return principal(token);
    if (token === "slow") return new Promise(() => {});
    if (token === "explode") throw new Error(`a text with the token ${token} in it`);
    throw new IdentityError("TOKEN_EXPIRED", "expired at 2026-01-01");
  },
};

export interface Bench {
  readonly listener: Listener;
  readonly port: number;
  readonly clients: AuthenticatedClient[];
  readonly failures: AuthFailure[];
  readonly cancels: { pid: number; key: Buffer; ip: string }[];
  /** The next client that was handed over. */
  nextClient(): Promise<AuthenticatedClient>;
  connect(): Promise<Peer>;
  stop(): Promise<void>;
}

export interface BenchOptions extends Partial<Omit<ListenerDeps, "limits">> {
  readonly settings?: Partial<ListenerSettings>;
  readonly connections?: number;
  readonly startupSeconds?: number;
}

export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const { settings, connections = 100, startupSeconds = 20, ...deps } = options;
  const clients: AuthenticatedClient[] = [];
  const failures: AuthFailure[] = [];
  const cancels: { pid: number; key: Buffer; ip: string }[] = [];
  const peers: Peer[] = [];
  const waiting: ((client: AuthenticatedClient) => void)[] = [];
  let seen = 0;
  const listener = await createListener(
    { address: { host: "127.0.0.1", port: 0 }, auth: ["password"], tls: "optional", ...settings },
    {
      tls: null,
      identity,
      databases: ["shop", "user"],
      onClient(client) {
        clients.push(client);
        waiting.shift()?.(client);
      },
      async onCancel(request) {
        cancels.push(request);
      },
      onFailure: (failure) => failures.push(failure),
      admit: () => true,
      limits: {
        statementBytes: 1e6,
        messageBytes: 1e6,
        connections,
        connectionsPerPrincipal: 10,
        startupSeconds,
        idleSeconds: 60,
        holdSeconds: 60,
      },
      ...deps,
    },
  );
  const { address } = listener;
  const port = "port" in address ? address.port : 0;
  return {
    listener,
    port,
    clients,
    failures,
    cancels,
    nextClient() {
      const client = clients[seen++];
      return client === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(client);
    },
    async connect() {
      const socket =
        "path" in address ? connect({ path: address.path }) : connect({ host: "127.0.0.1", port });
      socket.setNoDelay(true);
      const peer = new Peer(socket);
      peers.push(peer);
      await new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      });
      return peer;
    },
    async stop() {
      await listener.close();
      for (const client of clients) client.socket.destroy();
      for (const peer of peers) peer.destroy();
      await Promise.all(peers.map((peer) => peer.closed));
    },
  };
}

export interface Message {
  readonly type: string;
  readonly body: Buffer;
}

/** The client's end of a connection. */
export class Peer {
  socket: Socket;
  readonly closed: Promise<void>;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    this.#listen(socket);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = Buffer.concat([this.#received, chunk]);
    this.#wake();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake();
  };

  #listen(socket: Socket): void {
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", () => {});
  }

  send(...parts: readonly (Buffer | string)[]): this {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
    return this;
  }

  /** Sends a byte a segment. */
  async trickle(bytes: Buffer): Promise<this> {
    for (const byte of bytes) {
      this.socket.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    return this;
  }

  async read(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#ended) throw new Error(`closed after ${this.#received.toString("latin1")}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  async message(): Promise<Message> {
    const head = await this.read(5);
    return { type: head.toString("latin1", 0, 1), body: await this.read(head.readInt32BE(1) - 4) };
  }

  /** Everything until the other side closes. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received;
  }

  /** Expects a FATAL as the last thing before the close; gives SQLSTATE, message, detail. */
  async fatal(): Promise<{ code: string; message: string; detail: string; hint: string }> {
    const { type, body } = await this.message();
    if (type !== "E") throw new Error(`expected an error, got ${type} ${body.toString("latin1")}`);
    const fields = decodeErrorFields(body);
    if (fields.get("S") !== "FATAL" || fields.get("V") !== "FATAL") throw new Error("not FATAL");
    const rest = await this.rest();
    if (rest.length > 0) throw new Error(`bytes behind the FATAL: ${rest.toString("latin1")}`);
    return {
      code: fields.get("C") ?? "",
      message: fields.get("M") ?? "",
      detail: fields.get("D") ?? "",
      hint: fields.get("H") ?? "",
    };
  }

  /** Goes on inside TLS. */
  async secure(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const plain = this.socket;
    plain.off("data", this.#onData);
    plain.off("end", this.#onEnd);
    const secured = tls.connect({ socket: plain, ca: certificate.cert, servername: "localhost", ...options });
    await new Promise<void>((resolve, reject) => {
      secured.once("secureConnect", resolve);
      secured.once("error", reject);
    });
    this.socket = secured;
    this.#listen(secured);
    return secured;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export function startup(parameters: Record<string, string> = {}, version = 0x0003_0000): Buffer {
  const packet = encodeStartup(new Map(Object.entries({ user: "user", database: "shop", ...parameters })));
  packet.writeInt32BE(version, 4);
  return packet;
}

export function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

export const password = (token: string): Buffer => message("p", `${token}\0`);
export const sslRequest = Buffer.from("0000000804d2162f", "hex");
export const gssRequest = Buffer.from("0000000804d21630", "hex");
export const askPassword = Buffer.from("520000000800000003", "hex");
