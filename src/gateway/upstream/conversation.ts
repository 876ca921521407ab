/**
 * Message by message talk with a server, for start-up and reset: everything is awaited, limits are tight, and the socket
 * is handed on as it was. The relay does not use this.
 */
import type { Socket } from "node:net";
import { type Frame, FrameReader, ProtocolError } from "../../protocol/index.ts";
import type { Failures } from "./errors.ts";

/** Left on every socket we own: an 'error' event without a listener would end the process. */
export function errorGuard(): void {}

export interface Conversation {
  send(message: Buffer): void;
  /** The next message; its body is valid until the next call. Rejects with UpstreamError when there will be none. */
  next(): Promise<Frame>;
  /** Takes the listeners off and gives the number of bytes that were read and not used. The socket is paused. */
  end(): number;
}

/** No message of start-up or reset is longer; libpq takes errors of up to 30000 bytes. */
const maxMessage = 64 * 1024;
/** Bytes that a whole start-up or reset may take: a server that talks without end is ended. */
const maxTotal = 1024 * 1024;

/** Starts a conversation over a connected, paused socket that has no other reader. */
export function converse(socket: Socket, errors: Failures): Conversation {
  const reader = new FrameReader("backend", { maxMessage });
  let total = 0;
  let failure: Error | null = null;
  let wake: (() => void) | null = null;

  function stir(): void {
    wake?.();
    wake = null;
  }
  function onData(chunk: Buffer): void {
    // One chunk at a time: a body given out is valid until the next push.
    socket.pause();
    total += chunk.length;
    if (total > maxTotal) fail(errors.protocol("too much data"));
    else reader.push(chunk);
    stir();
  }
  function fail(error: Error): void {
    failure ??= error;
    stir();
  }
  const onError = (error: Error) => fail(errors.lost(error));
  const onEnd = () => fail(errors.lost());
  socket.on("data", onData);
  socket.on("error", onError);
  socket.on("end", onEnd);
  socket.on("close", onEnd);
  // Attaching a 'data' listener may start the flow.
  socket.pause();
  if (socket.destroyed || socket.readableEnded) failure = errors.lost();

  return {
    send(message) {
      if (!socket.destroyed) socket.write(message);
    },
    async next() {
      for (;;) {
        const frame = read(reader, errors);
        if (frame !== null) return frame;
        // What the server said before it went away comes first.
        if (failure !== null) throw failure;
        await new Promise<void>((resolve) => {
          wake = resolve;
          socket.resume();
        });
      }
    },
    end() {
      socket.pause();
      socket.removeListener("data", onData);
      socket.removeListener("error", onError);
      socket.removeListener("end", onEnd);
      socket.removeListener("close", onEnd);
      return reader.buffered + socket.readableLength;
    },
  };
}

function read(reader: FrameReader, errors: Failures): Frame | null {
  try {
    return reader.next();
  } catch (error) {
    throw error instanceof ProtocolError ? errors.protocol(error.message) : error;
  }
}

/** Runs a decoder; what it finds wrong becomes an UpstreamError. Its messages never quote the server's bytes. */
export function decoded<T>(errors: Failures, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof ProtocolError ? errors.protocol(error.message) : error;
  }
}
