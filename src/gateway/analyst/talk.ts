/**
 * A connection of the gateway's own, on which it asks the server about statements and the catalog. One request at a time,
 * each a batch of messages that ends with ReadyForQuery.
 */
import type { Socket } from "node:net";
import { type Frame, FrameReader } from "../../protocol/index.ts";
import { destroyAfter } from "../linger.ts";

export interface Talk {
  /**
   * Sends `request` and hands every frame of the answer to `onFrame`, ReadyForQuery included; bodies are valid during the
   * call only. Rejects when the connection is lost, the answer is too large, or takes too long; it is closed then.
   */
  run(request: Buffer, onFrame: (frame: Frame) => void): Promise<void>;
  /** Lets `use` send request after request, with nobody else's in between. `use` must use what it is handed, or wait for ever. */
  alone<T>(use: (run: Talk["run"]) => Promise<T>): Promise<T>;
  readonly open: boolean;
  close(): void;
}

export interface TalkLimits {
  /** Milliseconds for one request. */
  readonly timeoutMs: number;
  /** Bytes of one answer. */
  readonly answerBytes: number;
}

export class TalkLost extends Error {
  override readonly name = "TalkLost";
}

/**
 * @param socket logged in and idle, without a reader.
 * @param onNotification a channel that was listened to has something to say.
 */
export function createTalk(socket: Socket, limits: TalkLimits, onNotification: () => void = () => {}): Talk {
  const reader = new FrameReader("backend", { maxMessage: limits.answerBytes });
  let turn: Promise<void> = Promise.resolve();
  let current: { onFrame(frame: Frame): void; resolve(): void; reject(error: Error): void } | null = null;
  let bytes = 0;
  let open = true;

  function end(why: string): void {
    open = false;
    socket.destroy();
    const waiting = current;
    current = null;
    waiting?.reject(new TalkLost(why));
  }

  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.answerBytes) return end("the answer is too large");
    try {
      reader.push(chunk);
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        if (frame.type === 0x41) {
          if (current === null) bytes = 0;
          onNotification();
          continue;
        }
        if (current === null) {
          // Settings and notices may come unasked; an answer to nothing may not.
          if (frame.type !== 0x53 && frame.type !== 0x4e) return end("an answer to nothing");
          continue;
        }
        current.onFrame(frame);
        if (frame.type !== 0x5a) continue;
        const { resolve } = current;
        current = null;
        bytes = 0;
        resolve();
      }
    } catch {
      end("the answer cannot be read");
    }
  });
  socket.on("error", () => end("the connection broke"));
  // Sockets to servers stay half open: this one has nothing more to say.
  socket.on("end", () => end("the server closed the connection"));
  socket.on("close", () => end("the connection was closed"));
  socket.resume();
  // Questions must not keep a process alive that has nothing else to do.
  socket.unref();

  function send(request: Buffer, onFrame: (frame: Frame) => void): Promise<void> {
    if (!open) return Promise.reject(new TalkLost("the connection is closed"));
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => end("no answer in time"), limits.timeoutMs);
      current = {
        onFrame,
        resolve() {
          clearTimeout(timer);
          resolve();
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      socket.write(request);
    });
  }

  function inTurn<T>(use: () => Promise<T>): Promise<T> {
    const mine = turn.then(use);
    turn = mine.then(
      () => undefined,
      () => undefined,
    );
    return mine;
  }

  return {
    run: (request, onFrame) => inTurn(() => send(request, onFrame)),
    alone: (use) => inTurn(() => use(send)),
    get open() {
      return open;
    },
    close() {
      if (!open) return;
      open = false;
      socket.end();
      destroyAfter(socket, 1_000);
    },
  };
}
