/**
 * Reading a client's plain socket into memory that all of them share. For each read of an accepted socket Node takes 64 KiB, cuts
 * them to size and has them collected: a tenth of what a small statement costs. `net.connect` has a public way to do without
 * (`onread`); an accepted socket has the same fields and no way to set them. So they are looked for by name, and where this
 * version of Node has others, the socket is read as any other.
 */
import { Socket } from "node:net";

/** As much as libuv reads at once. */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

/** What Node keeps of `onread`: the memory, who is told of a read, and who gives other memory. */
const names = ["kBuffer", "kBufferCb", "kBufferGen"];

interface Inner {
  readonly _handle?: { useUserBuffer?(memory: Buffer): void } | null;
  [field: symbol]: unknown;
}

/**
 * Hands what `socket` reads to `take` from now on, in place of its 'data' event. The chunks are the taker's own,
 * but small ones are parts of one piece of memory, which lives as long as any of them. The socket must be paused; what it
 * has read already is to be had by read(). Gives false, and has changed nothing, where Node or the socket (TLS) does not do that.
 */
export function readShared(socket: object, take: (chunk: Buffer) => void): boolean {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return false;
  const inner = socket as Inner;
  const symbols = Object.getOwnPropertySymbols(socket);
  const [memory, told, other] = names.map((name) => symbols.find((symbol) => symbol.description === name));
  if (memory === undefined || told === undefined || other === undefined) return false;
  const handle = inner._handle;
  const lend = handle?.useUserBuffer;
  if (inner[memory] !== null || typeof lend !== "function") return false;
  lend.call(handle, shared);
  inner[told] = (count: number): boolean => {
    // The next read of any socket overwrites it.
    const chunk = Buffer.allocUnsafe(count);
    shared.copy(chunk, 0, 0, count);
    take(chunk);
    return true;
  };
  inner[memory] = shared;
  return true;
}
