/** Putting a message together from several chunks: geometric growth, never a concatenation for each chunk (PROTOCOL.md 2.2). */

export interface Collecting {
  buffer: Buffer;
  used: number;
  /** Bytes that must still come before the message can be looked at. */
  missing: number;
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
    const grown = Buffer.allocUnsafe(Math.max(used, collecting.buffer.length * 2));
    collecting.buffer.copy(grown, 0, 0, collecting.used);
    collecting.buffer = grown;
  }
  chunk.copy(collecting.buffer, collecting.used);
  collecting.used = used;
  collecting.missing -= chunk.length;
  return collecting.missing <= 0 ? collecting.buffer.subarray(0, used) : null;
}
