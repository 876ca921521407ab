/** What the verifier is asked and what it answers. */

export interface VerifyOptions {
  /** The log's verifier key as text; without it the folder's own `log.vkey` is believed. */
  readonly vkey?: string;
  /** A signed checkpoint of this log that was kept elsewhere: the log must continue it. */
  readonly checkpoint?: Buffer;
  /** The log's tail key (docs/audit-format.md), which its operator has: then batches that no checkpoint covers are checked too. */
  readonly tailKey?: Buffer;
  /** Called now and then with the number of leaves read. */
  readonly progress?: (leaves: number) => void;
}

export interface BadPlace {
  /** Path below the log's folder; "" for what was handed in. */
  readonly file: string;
  readonly offset: number;
  /** Index of the leaf at or behind the place; null where no leaf is meant. */
  readonly leaf: number | null;
  readonly problem: string;
  /** The file only ends too early: a write in progress or cut off by a crash, which the next open repairs. */
  readonly torn: boolean;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly origin: string | null;
  /** The key that was used, and whether it came from outside the folder. */
  readonly key: string | null;
  readonly keyFrom: "given" | "folder";
  /** Leaves under the last good checkpoint, and their root (base64). */
  readonly size: number;
  readonly root: string | null;
  /** Time of the last good checkpoint, as signed. */
  readonly time: string | null;
  /** All leaves read, those behind the last checkpoint included. */
  readonly leaves: number;
  readonly checkpoints: number;
  readonly sealedFrames: number;
  readonly segments: number;
  readonly bytes: number;
  /** What no checkpoint covers yet: well-formed, but proven by nothing a stranger can check. */
  readonly unsignedTail: { readonly leaves: number; readonly bytes: number } | null;
  /** Whether the checkpoint kept elsewhere was found in the log; null when none was given. */
  readonly continues: boolean | null;
  readonly firstBadPlace: BadPlace | null;
}

/** Ends a verification: the first bad place. */
export class Bad extends Error {
  readonly place: BadPlace;
  constructor(file: string, offset: number, leaf: number | null, problem: string, torn = false) {
    super(problem);
    this.place = { file, offset, leaf, problem, torn };
  }
}
