/** What the verifier is asked and what it answers. */

export interface VerifyOptions {
  /** The log's verifier key as text; without it the folder's own `log.vkey` is believed. */
  readonly vkey?: string;
  /** A signed checkpoint of this log that was kept elsewhere: the log must continue it. */
  readonly checkpoint?: Buffer;
  /** Checkpoints of this log from its anchors: it must continue each, or have recorded a fork. `name`: where it is from. */
  readonly anchors?: readonly { readonly name: string; readonly note: Buffer }[];
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
  /** All keys that signed, the first one first; the first one certifies the others. */
  readonly keys: readonly string[];
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
  /** What became of the anchors' checkpoints; null when none were given. `givenUp`: of a branch that a recorded fork left behind. */
  readonly anchors: {
    readonly checked: number;
    readonly givenUp: number;
    readonly newest: { readonly size: number; readonly time: string } | null;
  } | null;
  readonly forks: readonly ForkReport[];
  /** The oldest records were removed by retention: how many; null: none. */
  readonly pruned: number | null;
  readonly firstBadPlace: BadPlace | null;
}

/** A `log.forked` record: the log went on from `size` leaves after a restore, although `largest` had been anchored. */
export interface ForkReport {
  readonly index: number;
  readonly time: string;
  readonly reason: string;
  readonly size: number;
  readonly largest: number;
}

/** Ends a verification: the first bad place. */
export class Bad extends Error {
  readonly place: BadPlace;
  constructor(file: string, offset: number, leaf: number | null, problem: string, torn = false) {
    super(problem);
    this.place = { file, offset, leaf, problem, torn };
  }
}
