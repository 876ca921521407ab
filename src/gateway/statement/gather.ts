/** Putting a message together from several chunks: geometric growth, never a concatenation for each chunk (PROTOCOL.md 2.2). */

export interface Collecting {
  buffer: Buffer;
  used: number;
  /** Bytes that must still come before the message can be looked at. */
  missing: number;
}

/** From this size on a message counts among those that are large. */
const large = 1024 * 1024;

/** Bytes of large messages that have not come whole yet, of all clients of a gateway together. */
export class LargeMessages {
  readonly #limit: number;
  readonly #held = new Map<object, number>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that are spoken for. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `owner` is about to collect a message of so many bytes, in the place of what it collected before. false: too many do. */
  take(owner: object, bytes: number): boolean {
    this.free(owner);
    if (bytes < large) return true;
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limit) return false;
    this.#held.set(owner, bytes);
    this.#bytes += bytes;
    return true;
  }

  /** The message has come, or never will. */
  free(owner: object): void {
    const bytes = this.#held.get(owner);
    if (bytes === undefined) return;
    this.#held.delete(owner);
    this.#bytes -= bytes;
  }
}

/** Starts with what `chunk` holds from `pos` on; copied, so that the chunk's memory is not kept. */
export function collect(chunk: Buffer, pos: number, missing: number): Collecting {
  const used = chunk.length - pos;
  const buffer = Buffer.allocUnsafe(Math.max(64, used + Math.min(missing, used)));
  chunk.copy(buffer, 0, pos);
  return { buffer, used, missing };
}

/** Adds a chunk. Gives everything from the message's first byte to the chunk's last once the message is whole, else null. */
export function gather(collecting: Collecting, chunk: Buffer): Buffer | null {
  const used = collecting.used + chunk.length;
  if (used > collecting.buffer.length) {
    const whole = collecting.used + collecting.missing;
    const grown = Buffer.allocUnsafe(Math.max(used, Math.min(whole, collecting.buffer.length * 2)));
    collecting.buffer.copy(grown, 0, 0, collecting.used);
    collecting.buffer = grown;
  }
  chunk.copy(collecting.buffer, collecting.used);
  collecting.used = used;
  collecting.missing -= chunk.length;
  return collecting.missing <= 0 ? collecting.buffer.subarray(0, used) : null;
}

/** chunk[from, to): the chunk itself where that is all of it, since each view costs as much as looking at a small message. */
export function piece(chunk: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
}
