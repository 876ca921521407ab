import { ProtocolError } from "./errors.ts";

/** Builds one protocol message. Grows by doubling; `finish` fills in the length. */
export class Writer {
  #buffer: Buffer;
  #at: number;
  readonly #lengthAt: number;

  /** @param type the message's type byte; null for start-up packets, which have none. */
  constructor(type: number | null, sizeHint = 64) {
    this.#buffer = Buffer.allocUnsafe(Math.max(sizeHint + 5, 16));
    this.#at = 0;
    if (type !== null) this.byte(type);
    this.#lengthAt = this.#at;
    this.#at += 4;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, needed));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }

  byte(value: number): this {
    this.#room(1);
    this.#buffer[this.#at++] = value;
    return this;
  }

  /** Int16, signed or unsigned. */
  int16(value: number): this {
    if (!Number.isInteger(value) || value < -0x8000 || value > 0xffff)
      throw new ProtocolError("a 16-bit field of a message is out of range", "54000");
    this.#room(2);
    this.#buffer[this.#at++] = value >>> 8;
    this.#buffer[this.#at++] = value;
    return this;
  }

  /** Int32, signed or unsigned. */
  int32(value: number): this {
    if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff)
      throw new ProtocolError("a 32-bit field of a message is out of range", "54000");
    this.#room(4);
    this.#buffer[this.#at++] = value >>> 24;
    this.#buffer[this.#at++] = value >>> 16;
    this.#buffer[this.#at++] = value >>> 8;
    this.#buffer[this.#at++] = value;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  /** String: UTF-8 and a NUL. Throws ProtocolError when the text holds a NUL: the peer would read another message. */
  string(text: string): this {
    if (text.includes("\0")) throw new ProtocolError("a string of a message holds a NUL");
    const length = Buffer.byteLength(text, "utf8");
    this.#room(length + 1);
    this.#buffer.write(text, this.#at, length, "utf8");
    this.#at += length;
    this.#buffer[this.#at++] = 0;
    return this;
  }

  /** A String given as bytes. Throws ProtocolError when they hold a NUL. */
  stringBytes(bytes: Buffer): this {
    if (bytes.includes(0)) throw new ProtocolError("a string of a message holds a NUL");
    return this.bytes(bytes).byte(0);
  }

  /** A value with its Int32 length in front; null is -1. */
  value(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).bytes(value);
  }

  /** A count (Int16, at most 65535) and as many Int16. */
  int16List(values: readonly number[]): this {
    this.int16(values.length);
    for (const value of values) this.int16(value);
    return this;
  }

  finish(): Buffer {
    this.#buffer.writeInt32BE(this.#at - this.#lengthAt, this.#lengthAt);
    return this.#buffer.subarray(0, this.#at);
  }
}
