/**
 * Message framing (PostgreSQL manual, "Messaging Overview"): a type byte, an Int32 length that counts itself, a body.
 * Start-up packets have no type byte and are not read here; see startup.ts.
 */
import { ProtocolError } from "./errors.ts";

/** PostgreSQL's PQ_SMALL_MESSAGE_LIMIT and PQ_LARGE_MESSAGE_LIMIT; limits are on the length field, which counts itself. */
const small = 10_000;
const large = 0x3ffffffe;
/** PG_MAX_AUTH_TOKEN_LENGTH: passwords, tokens, OAUTHBEARER messages. */
const authentication = 65_535 + 4;
/** What libpq takes of a backend message that is not on its list of long types. */
const libpqShort = 30_000;

function table(entries: readonly [types: string, limit: number][]): Readonly<Record<number, number>> {
  const limits: Record<number, number> = {};
  for (const [types, limit] of entries) for (const type of types) limits[type.charCodeAt(0)] = limit;
  return limits;
}

/** Greatest value of the length field by type byte, client to server (SocketBackend in PostgreSQL's postgres.c). */
export const frontendLimits: Readonly<Record<number, number>> = table([
  ["QFPBd", large],
  ["ECDHSXcf", small],
  ["p", authentication],
]);

/**
 * Greatest value of the length field by type byte, server to client (libpq's VALID_LONG_MESSAGE_TYPE).
 * ParameterDescription: a statement that is only prepared may have more than the 65535 parameters that can be bound, as many as
 * its text has room to name.
 */
export const backendLimits: Readonly<Record<number, number>> = table([
  ["TDdVENA", large],
  ["t", 4 + 2 + 4 * 0x10_0000],
  ["RvKSZCIn123sGHWc", libpqShort],
]);

export interface Frame {
  /** The type byte. */
  readonly type: number;
  /** A view, valid until the next push. */
  readonly body: Buffer;
}

/** Give back memory of a large message as soon as the next chunk comes. */
const keepScratch = 64 * 1024;
const noBytes = Buffer.alloc(0);

/**
 * Cuts a byte stream into messages. Any chunking of a stream gives the same messages.
 * A message within one chunk is a view on it; only one that spans chunks is copied, once, into a scratch buffer that
 * grows by doubling and never faster than bytes arrive, so that a length alone allocates nothing.
 */
export class FrameReader {
  readonly #limits: Readonly<Record<number, number>>;
  readonly #side: "frontend" | "backend";
  readonly #maxMessage: number;
  #chunk: Buffer = noBytes;
  #chunkAt = 0;
  #scratch: Buffer = noBytes;
  #scratchAt = 0;
  #scratchEnd = 0;
  #failure: ProtocolError | null = null;

  /**
   * @param side who sends: "frontend" reads a client's messages, "backend" a server's.
   * @param options.maxMessage bytes a message may have in all (type byte apart), where its type's own limit is greater.
   */
  constructor(side: "frontend" | "backend", options: { maxMessage?: number } = {}) {
    this.#side = side;
    this.#limits = side === "frontend" ? frontendLimits : backendLimits;
    this.#maxMessage = options.maxMessage ?? large;
  }

  /** Bytes that were pushed and not given out. */
  get buffered(): number {
    return this.#scratchEnd - this.#scratchAt + (this.#chunk.length - this.#chunkAt);
  }

  /**
   * Takes the next bytes of the stream. They must not change until all messages were taken or the next push.
   * Bodies given out earlier are no longer valid.
   */
  push(chunk: Buffer): void {
    if (this.#scratchAt === this.#scratchEnd) {
      this.#scratchAt = 0;
      this.#scratchEnd = 0;
      if (this.#scratch.length > keepScratch) this.#scratch = noBytes;
    }
    if (this.#chunkAt < this.#chunk.length) this.#fill(this.#chunk.length - this.#chunkAt);
    this.#chunk = chunk;
    this.#chunkAt = 0;
  }

  /**
   * Gives the next whole message, or null until more bytes come.
   * Throws ProtocolError for an unknown type, a length below 4 or above its limit ("54000" above `maxMessage`), and the
   * same error from then on: behind it no message boundary is known.
   */
  next(): Frame | null {
    if (this.#failure !== null) throw this.#failure;
    if (this.#scratchAt < this.#scratchEnd) return this.#nextFromScratch();
    const chunk = this.#chunk;
    const at = this.#chunkAt;
    const left = chunk.length - at;
    if (left < 5) {
      // A type that cannot be is refused at its first byte, not once a length has come.
      if (left > 0) this.#limitOf(chunk[at] as number);
      return null;
    }
    const total = this.#measure(chunk, at);
    if (left < total) return null;
    this.#chunkAt = at + total;
    const frame = { type: chunk[at] as number, body: chunk.subarray(at + 5, at + total) };
    if (left === total) {
      this.#chunk = noBytes;
      this.#chunkAt = 0;
    }
    return frame;
  }

  /** Gives the bytes that no message was made of, and forgets them. For handing a socket on. */
  takeRest(): Buffer {
    const scratch = this.#scratch.subarray(this.#scratchAt, this.#scratchEnd);
    const chunk = this.#chunk.subarray(this.#chunkAt);
    this.#scratch = noBytes;
    this.#scratchAt = 0;
    this.#scratchEnd = 0;
    this.#chunk = noBytes;
    this.#chunkAt = 0;
    return scratch.length === 0 ? chunk : Buffer.concat([scratch, chunk]);
  }

  #nextFromScratch(): Frame | null {
    if (!this.#have(5)) {
      this.#limitOf(this.#scratch[this.#scratchAt] as number);
      return null;
    }
    const total = this.#measure(this.#scratch, this.#scratchAt);
    if (!this.#have(total)) return null;
    const at = this.#scratchAt;
    this.#scratchAt = at + total;
    return { type: this.#scratch[at] as number, body: this.#scratch.subarray(at + 5, at + total) };
  }

  /** Tops the scratch buffer up to `needed` bytes from the chunk, and not beyond: what follows is read in place. */
  #have(needed: number): boolean {
    const missing = needed - (this.#scratchEnd - this.#scratchAt);
    if (missing <= 0) return true;
    const available = this.#chunk.length - this.#chunkAt;
    this.#fill(Math.min(missing, available), needed);
    return available >= missing;
  }

  /** @param enough bytes the scratch buffer need never exceed: the message that is being put together. */
  #fill(bytes: number, enough = Number.POSITIVE_INFINITY): void {
    if (bytes === 0) return;
    const used = this.#scratchEnd - this.#scratchAt;
    if (this.#scratchEnd + bytes > this.#scratch.length) {
      // A new buffer, never a move in place: bodies given out since the last push are views on the old one.
      const grown = Buffer.allocUnsafeSlow(Math.max(Math.min(used * 2, enough), used + bytes, 256));
      this.#scratch.copy(grown, 0, this.#scratchAt, this.#scratchEnd);
      this.#scratch = grown;
      this.#scratchAt = 0;
      this.#scratchEnd = used;
    }
    this.#chunk.copy(this.#scratch, this.#scratchEnd, this.#chunkAt, this.#chunkAt + bytes);
    this.#scratchEnd += bytes;
    this.#chunkAt += bytes;
    if (this.#chunkAt === this.#chunk.length) {
      this.#chunk = noBytes;
      this.#chunkAt = 0;
    }
  }

  #fail(error: ProtocolError): never {
    this.#failure = error;
    throw error;
  }

  #limitOf(type: number): number {
    const limit = this.#limits[type];
    if (limit === undefined) this.#fail(new ProtocolError(`invalid ${this.#side} message type ${type}`));
    return limit;
  }

  /** Gives the bytes of the whole message at `at`, of which five are there. */
  #measure(b: Buffer, at: number): number {
    const limit = this.#limitOf(b[at] as number);
    const length =
      (((b[at + 1] as number) << 24) |
        ((b[at + 2] as number) << 16) |
        ((b[at + 3] as number) << 8) |
        (b[at + 4] as number)) >>>
      0;
    if (length < 4 || length > limit) this.#fail(new ProtocolError("invalid message length"));
    if (length > this.#maxMessage)
      this.#fail(new ProtocolError(`message of more than ${this.#maxMessage} bytes`, "54000"));
    return length + 1;
  }
}
