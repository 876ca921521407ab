/** Where masked bytes are written. */

const slabSize = 256 * 1024;
const noBytes = Buffer.alloc(0);
/** Below this a call into native code costs more than the loop. */
const loopBelow = 48;

/**
 * Bytes written one behind the other, given out by `take`. Many small results share one allocation, and none is ever
 * written to again once it was given out: sockets may hold on to it.
 */
export class MaskOutput {
  /** Write at `at`, after asking for `room`: both change when there is none left. */
  buffer: Buffer = noBytes;
  at = 0;
  #start = 0;

  /** Makes sure that `bytes` fit behind `at`. */
  room(bytes: number): void {
    if (this.buffer.length - this.at < bytes) this.#grow(bytes);
  }

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.at - this.#start;
  }

  /** Appends source[from, to). */
  copy(source: Uint8Array, from: number, to: number): void {
    const size = to - from;
    if (this.buffer.length - this.at < size) this.#grow(size);
    const { buffer } = this;
    let at = this.at;
    if (size < loopBelow) for (let i = from; i < to; i++) buffer[at++] = source[i] as number;
    else {
      buffer.set(source.subarray(from, to), at);
      at += size;
    }
    this.at = at;
  }

  /** Appends one byte. */
  byte(value: number): void {
    this.room(1);
    this.buffer[this.at++] = value;
  }

  /** Appends text of ASCII characters. */
  ascii(text: string): void {
    this.room(text.length);
    this.at += this.buffer.write(text, this.at, "latin1");
  }

  /** Appends an Int32. */
  int32(value: number): void {
    this.room(4);
    this.at += 4;
    this.patch(this.length - 4, value);
  }

  /** Writes an Int32 over what stands `mark` bytes (a former `length`) behind the last `take`. */
  patch(mark: number, value: number): void {
    const { buffer } = this;
    const at = this.#start + mark;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  /** Forgets what stands behind `mark` (a former `length`). */
  truncate(mark: number): void {
    this.at = this.#start + mark;
  }

  /** Gives what was written since the last `take`. */
  take(): Buffer {
    const taken = this.buffer.subarray(this.#start, this.at);
    this.#start = this.at;
    return taken;
  }

  #grow(bytes: number): void {
    const used = this.at - this.#start;
    // A large result grows by doubling; one that just begins gets a slab.
    const grown = Buffer.allocUnsafeSlow(Math.max(slabSize, used * 2, used + bytes));
    grown.set(this.buffer.subarray(this.#start, this.at));
    this.buffer = grown;
    this.#start = 0;
    this.at = used;
  }
}
