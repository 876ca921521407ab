/**
 * A map bounded by bytes. Two generations: what was used since the last change of generations stays, the rest goes at once,
 * so a hit costs no bookkeeping.
 */
export class ByteCache<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #youngBytes = 0;
  #oldBytes = 0;
  #generation: number;
  readonly #size: (key: string, value: V) => number;

  /** @param bytes upper bound of what is held; @param size an entry's bytes, its key included */
  constructor(bytes: number, size: (key: string, value: V) => number) {
    this.#generation = bytes / 2;
    this.#size = size;
  }

  get bytes(): number {
    return this.#youngBytes + this.#oldBytes;
  }

  /** Another bound, from now on; what is too much for it goes. */
  resize(bytes: number): void {
    this.#generation = bytes / 2;
    if (this.#oldBytes > this.#generation) {
      this.#old = new Map();
      this.#oldBytes = 0;
    }
    if (this.#youngBytes > this.#generation) {
      this.#young = new Map();
      this.#youngBytes = 0;
    }
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.#oldBytes -= this.#size(key, old);
      this.set(key, old);
    }
    return old;
  }

  /** Entries larger than a generation are not kept. */
  set(key: string, value: V): void {
    const size = this.#size(key, value);
    if (size > this.#generation) return;
    const before = this.#young.get(key);
    if (before !== undefined) {
      this.#youngBytes -= this.#size(key, before);
      this.#young.delete(key);
    }
    if (this.#youngBytes + size > this.#generation) {
      this.#old = this.#young;
      this.#oldBytes = this.#youngBytes;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, value);
    this.#youngBytes += size;
  }
}
