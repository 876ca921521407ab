import type { WireSocket } from "../ports.ts";
import { type Over, protocolRefusal, type Refusal } from "./refusal.ts";

/** Most bytes kept of a client that has not authenticated: the largest message (65,535 bytes) and a little behind it. */
export const maxBuffered = 80 * 1024;

/**
 * Reads a socket on demand: bytes are asked for with `take`, and while nobody asks the socket is paused, so that a
 * client cannot make us hold more than `maxBuffered` (and what Node reads ahead, bounded by the socket's highWaterMark).
 */
export class Inbox {
  readonly #socket: WireSocket;
  readonly #chunks: Buffer[] = [];
  #buffered = 0;
  #ended: boolean;
  #failure: Refusal | Over | null = null;
  #waiter: { wanted: number; resolve(bytes: Buffer | null): void; reject(error: Error): void } | null = null;

  constructor(socket: WireSocket) {
    this.#socket = socket;
    this.#ended = socket.readableEnded;
    // Paused before the listener is added: adding one to a stream that is not would set it flowing.
    socket.pause();
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  /** Bytes that have come and were not taken. */
  get buffered(): number {
    return this.#buffered + this.#socket.readableLength;
  }

  /** Whether the client has said that nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * The next `length` bytes, once they are here. Only one call may wait at a time.
   * @returns null when the client closed its side before the first of them.
   * Throws Refusal (PROTOCOL) when it closed in the middle or sent more than may be kept.
   */
  take(length: number): Promise<Buffer | null> {
    if (this.#waiter !== null) throw new Error("inbox: already waiting");
    if (length === 0) return Promise.resolve(Buffer.alloc(0));
    return new Promise((resolve, reject) => {
      this.#waiter = { wanted: length, resolve, reject };
      this.#serve();
    });
  }

  /** Stops listening and gives the bytes that were not taken; the socket stays paused. */
  detach(): Buffer {
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.pause();
    return this.#cut(this.#buffered);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#buffered + chunk.length > maxBuffered) {
      this.#failure = protocolRefusal("too many bytes before authentication");
      this.#chunks.length = 0;
      this.#buffered = 0;
    } else {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
    }
    this.#serve();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#serve();
  };

  #serve(): void {
    const waiter = this.#waiter;
    if (waiter === null) {
      this.#socket.pause();
      return;
    }
    const enough = this.#buffered >= waiter.wanted;
    if (this.#failure === null && !enough && !this.#ended) {
      this.#socket.resume();
      return;
    }
    this.#waiter = null;
    this.#socket.pause();
    if (this.#failure !== null) waiter.reject(this.#failure);
    else if (enough) waiter.resolve(this.#cut(waiter.wanted));
    else if (this.#buffered === 0) waiter.resolve(null);
    else waiter.reject(protocolRefusal("the connection was closed in the middle of a packet"));
  }

  /** Takes the first bytes off. A byte at a time costs one list entry each, joined once. */
  #cut(length: number): Buffer {
    const first = this.#chunks[0];
    if (length === 0 || first === undefined) return Buffer.alloc(0);
    const all = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#buffered);
    this.#chunks.length = 0;
    this.#buffered -= length;
    if (this.#buffered > 0) this.#chunks.push(all.subarray(length));
    return all.subarray(0, length);
  }
}
