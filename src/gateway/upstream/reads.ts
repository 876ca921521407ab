/**
 * Reading a plain socket into one buffer over and over (net.connect's `onread`): no allocation and no stream machinery a
 * read. A chunk is lent: its reader says whether it is still in use, because it waits in a socket's own queue; only
 * then is the next read given other memory.
 */
import type { OnReadOpts, Socket } from "node:net";

export interface Reads {
  /** For net.connect. */
  readonly onread: OnReadOpts;
  /** Takes the chunks from now on; gives true while it still needs the chunk's memory. null: 'data' events again. */
  use(reader: ((chunk: Buffer) => boolean) | null): void;
  /** The socket that emits 'data' while no reader is set. */
  attach(socket: Socket): void;
}

/** As large as libuv reads at most. */
const size = 64 * 1024;

export function reusedReads(): Reads {
  let buffer = Buffer.allocUnsafeSlow(size);
  let socket: Socket | null = null;
  let reader: ((chunk: Buffer) => boolean) | null = null;
  return {
    onread: {
      buffer: () => buffer,
      callback(count) {
        if (reader === null) socket?.emit("data", Buffer.from(buffer.subarray(0, count)));
        else if (reader(buffer.subarray(0, count))) buffer = Buffer.allocUnsafeSlow(size);
        return true;
      },
    },
    use(next) {
      reader = next;
    },
    attach(made) {
      socket = made;
    },
  };
}
