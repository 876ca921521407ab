/** Writing checkpoints: https://c2sp.org/tlog-checkpoint in a https://c2sp.org/signed-note, with two extension lines. */
import { type KeyObject, sign } from "node:crypto";
import { stampNow } from "./record/clock.ts";
import { parseVerifierKey, type VerifierKey } from "./verify/note.ts";

export interface Signer {
  readonly origin: string;
  /** The signed note for a tree of `size` leaves with `root`, in a segment whose running hash stands at `chain`. */
  note(size: number, root: Buffer, chain: Buffer): Buffer;
  /** Signs with another key of the same name from now on: the log has certified it. Throws Error as createSigner does. */
  use(vkey: string, signing: KeyObject): void;
}

/** Throws Error when `vkey` is not a verifier key. */
export function createSigner(vkey: string, signing: KeyObject): Signer {
  let { name, id } = readKey(vkey);
  let key = signing;
  return {
    origin: name,
    note(size, root, chain) {
      const text = `${name}\n${size}\n${root.toString("base64")}\nchain ${chain.toString("base64")}\ntime ${stampNow()}\n`;
      const signature = Buffer.concat([id, sign(null, Buffer.from(text, "utf8"), key)]);
      return Buffer.from(`${text}\n\u2014 ${name} ${signature.toString("base64")}\n`, "utf8");
    },
    use(nextVkey, next) {
      const read = readKey(nextVkey);
      if (read.name !== name) throw new Error("the new key has another name");
      ({ name, id } = read);
      key = next;
    },
  };
}

function readKey(vkey: string): VerifierKey {
  const parsed = parseVerifierKey(vkey);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

/** A note as a segment line. */
export function checkpointLine(note: Buffer): string {
  return `C ${note.toString("base64")}\n`;
}
