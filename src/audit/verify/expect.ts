/** Checkpoints kept elsewhere, held against the tree as it grows. */
import { type Checkpoint, claimedSize, openCheckpoint, type VerifierKey } from "./note.ts";
import { Bad, type ForkReport } from "./report.ts";
import type { CompactRange } from "./tree.ts";

export type ExpectedKind =
  /** Given by whoever verifies: the log must continue it. */
  | "given"
  /** Found beside the segments. */
  | "beside"
  /** From an anchor: the log must continue it, or have recorded why not. */
  | "anchor";

interface Expectation {
  readonly kind: ExpectedKind;
  /** Where it is from, for the report. */
  readonly file: string;
  readonly note: Buffer;
  readonly size: number;
  state: "open" | "met" | "unmet";
  checkpoint: Checkpoint | null;
}

export class Expectations {
  private readonly all: Expectation[] = [];
  private at = 0;
  /** Size of the next one that is due; Infinity when there is none. */
  due = Number.POSITIVE_INFINITY;

  add(kind: ExpectedKind, file: string, note: Buffer): void {
    this.all.push({ kind, file, note, size: claimedSize(note), state: "open", checkpoint: null });
  }

  /** All are added: now they are taken in the order of their sizes. */
  begin(): void {
    this.all.sort((a, b) => a.size - b.size);
    this.due = this.all[0]?.size ?? Number.POSITIVE_INFINITY;
  }

  /** Compares those that are due with the tree. `ring`: the keys of the log so far. Throws Bad. */
  meet(tree: CompactRange, ring: readonly VerifierKey[]): void {
    let root: Buffer | null = null;
    for (let e = this.all[this.at]; e !== undefined && e.size <= tree.size; e = this.all[++this.at]) {
      this.read(e, ring);
      if (e.size < tree.size) continue;
      root ??= tree.root();
      e.state = e.checkpoint?.root.equals(root) === true ? "met" : "unmet";
    }
    this.due = this.all[this.at]?.size ?? Number.POSITIVE_INFINITY;
  }

  private read(e: Expectation, ring: readonly VerifierKey[]): void {
    const read = openCheckpoint(e.note, ring, e.kind !== "beside");
    if (!read.ok) throw new Bad(e.file, 0, null, `${of(e)}${read.problem}`);
    e.checkpoint = read.value;
  }

  /** The tree is whole: `size` leaves under its last checkpoint, `leaves` in all. Throws Bad for what does not fit. */
  judge(size: number, ring: readonly VerifierKey[], forks: readonly ForkReport[]): void {
    // Of pruned records whose hashes are gone, too, a later checkpoint from elsewhere that was met stands for the earlier ones.
    const newest = this.all.findLast((e) => e.kind !== "beside" && e.state === "met")?.size ?? -1;
    for (const e of this.all) {
      if (e.checkpoint === null) this.read(e, ring);
      const { checkpoint } = e;
      if (checkpoint === null) continue;
      const { time } = checkpoint;
      const fork = forks.find((f) => time <= f.time && checkpoint.size <= f.largest);
      const given =
        fork === undefined ? "" : `; record ${fork.index} says that a fork gave it up: ${fork.reason}`;
      if (checkpoint.size > size) {
        if (e.kind === "anchor" && fork !== undefined) e.state = "unmet";
        else
          throw new Bad(
            e.file,
            0,
            size,
            `${of(e)}the log is signed for ${size} leaves, a checkpoint of ${time} for ${checkpoint.size}: cut off or rolled back${given}`,
          );
      } else if (e.state === "unmet" && (e.kind !== "anchor" || fork === undefined))
        throw new Bad(
          e.file,
          0,
          checkpoint.size,
          `${of(e)}the first ${checkpoint.size} leaves are not those the checkpoint of ${time} was signed for${given}`,
        );
      else if (
        e.state === "open" &&
        (e.kind === "given" || (e.kind === "anchor" && newest < e.size && fork === undefined))
      )
        throw new Bad(
          e.file,
          0,
          checkpoint.size,
          `${of(e)}its records were pruned, and their hashes are gone`,
        );
    }
  }

  /** Whether the one given was met; null when none was given. */
  get continues(): boolean | null {
    const given = this.all.find((e) => e.kind === "given");
    return given === undefined ? null : given.state === "met";
  }

  /** What became of the anchors' checkpoints; null when there were none to compare. */
  anchors(): {
    readonly checked: number;
    readonly givenUp: number;
    readonly newest: { readonly size: number; readonly time: string } | null;
  } | null {
    const anchors = this.all.filter((e) => e.kind === "anchor");
    if (anchors.length === 0) return null;
    const met = anchors.filter((e) => e.state === "met");
    const newest = met.at(-1)?.checkpoint;
    return {
      checked: met.length,
      givenUp: anchors.filter((e) => e.state === "unmet").length,
      newest: newest == null ? null : { size: newest.size, time: newest.time },
    };
  }
}

function of(e: Expectation): string {
  return e.kind === "given"
    ? "the checkpoint given: "
    : e.kind === "anchor"
      ? "an anchor's checkpoint: "
      : "";
}
