/** A TCP proxy in front of a server, whose connections fail in ways of their own at places of their own. */
import { createServer, connect as dial, type Socket } from "node:net";

/** What befalls a connection; `after` counts bytes in the direction named. */
export type Fault =
  | { readonly kind: "none" }
  /** Both sides are reset. */
  | { readonly kind: "cut"; readonly on: "up" | "down"; readonly after: number }
  /** The stream in that direction ends; the other goes on. */
  | { readonly kind: "half"; readonly on: "up" | "down"; readonly after: number }
  /** The stream in that direction stands still; the connection is cut once `cutAll` is called. */
  | { readonly kind: "stall"; readonly on: "up" | "down"; readonly after: number }
  /** What comes first comes in small pieces: some of the catalog is among it, the rest of it would take its time. */
  | { readonly kind: "dribble"; readonly bytes: number }
  /** One bit of the server's answers is another. */
  | { readonly kind: "garble"; readonly after: number; readonly bit: number };

export interface FaultyProxy {
  readonly port: number;
  /** The fault of the next connections; called with their number. */
  plan: (connection: number) => Fault;
  /** Connections so far. */
  readonly count: number;
  /** Ends every connection that is open. */
  cutAll(): void;
  close(): Promise<void>;
}

export async function startProxy(target: number): Promise<FaultyProxy> {
  const open = new Set<Socket>();
  let count = 0;
  const proxy = {
    port: 0,
    plan: (_: number): Fault => ({ kind: "none" }),
    get count() {
      return count;
    },
    cutAll() {
      for (const socket of open) socket.resetAndDestroy();
    },
    async close() {
      proxy.cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = dial({ host: "127.0.0.1", port: target, allowHalfOpen: true, noDelay: true });
    const fault = proxy.plan(count++);
    const both = [client, upstream];
    for (const socket of both) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        for (const other of both) other.destroy();
      });
    }
    const cut = () => {
      for (const socket of both) socket.resetAndDestroy();
    };
    pipe(client, upstream, "up", fault, cut);
    pipe(upstream, client, "down", fault, cut);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  proxy.port = address.port;
  return proxy;
}

/** Bytes that come in small pieces. */
const dribbled = 20_000;

function pipe(from: Socket, to: Socket, way: "up" | "down", fault: Fault, cut: () => void): void {
  let seen = 0;
  let over = false;
  from.on("data", (chunk: Buffer) => {
    if (over) return;
    const before = seen;
    seen += chunk.length;
    let bytes = chunk;
    if ("on" in fault && fault.on === way && seen > fault.after) {
      over = true;
      bytes = chunk.subarray(0, Math.max(0, fault.after - before));
    }
    if (fault.kind === "garble" && way === "down" && before <= fault.after && fault.after < seen) {
      bytes = Buffer.from(chunk);
      const at = fault.after - before;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << fault.bit);
    }
    if (fault.kind === "dribble" && before < dribbled)
      for (let at = 0; at < bytes.length; at += fault.bytes) to.write(bytes.subarray(at, at + fault.bytes));
    else if (bytes.length > 0 && !to.write(bytes)) {
      from.pause();
      to.once("drain", () => from.resume());
    }
    if (!over) return;
    if (fault.kind === "half") to.end();
    else if (fault.kind === "cut") to.write("", () => cut());
  });
  from.on("end", () => {
    if (!over) to.end();
  });
}
