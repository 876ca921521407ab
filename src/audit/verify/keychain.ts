/** Which key a checkpoint of the log must be signed with, as its reading goes on (docs/audit-format.md section 4). */
import { type Checkpoint, openCheckpoint, type Read, type VerifierKey } from "./note.ts";
import { nextKey } from "./rotations.ts";

export class KeyChain {
  /** Every key so far, the first one first; a next key that is not certified yet stands last. */
  readonly ring: VerifierKey[];
  private current: VerifierKey;
  private next: VerifierKey | null = null;
  /** A checkpoint of the current key covers the record that names the next one. */
  private certified = false;

  /** `ring`: the keys so far, at least one. */
  constructor(ring: readonly VerifierKey[]) {
    const last = ring.at(-1);
    if (last === undefined) throw new RangeError("no key");
    this.ring = [...ring];
    this.current = last;
  }

  get name(): string {
    return this.current.name;
  }

  /** Takes a `key.rotated` leaf. Gives what is wrong with it. */
  rotated(previous: string, next: string): string | null {
    if (previous !== this.current.text) return "a change of the key that does not begin at the present key";
    const key = nextKey(next, this.current);
    if (!key.ok) return `a change of the key: ${key.problem}`;
    if (this.next !== null) this.ring.pop();
    this.next = key.value;
    this.certified = false;
    this.ring.push(key.value);
    return null;
  }

  /** Reads a checkpoint that stands in the log here. */
  open(note: Buffer): Read<Checkpoint> {
    const { next } = this;
    const read = openCheckpoint(note, next !== null && this.certified ? [this.current, next] : this.current);
    if (!read.ok) return read;
    if (next !== null && read.value.signer === next.text) {
      this.current = next;
      this.next = null;
    } else this.certified = next !== null;
    return read;
  }
}
