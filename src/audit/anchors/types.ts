/** A place outside of the log that keeps its checkpoints: one such copy shows truncation and roll-back (AUDIT.md). */

/** A checkpoint on its way to the anchors. */
export interface AnchoredNote {
  /** The log's name. */
  readonly origin: string;
  /** Leaves it was signed for. */
  readonly size: number;
  /** The signed note's text. */
  readonly note: string;
}

export interface Anchor {
  /** Safe to print and to count by: "log", "file:/srv/anchors", "webhook:host", "postgres". */
  readonly name: string;
  /** Keeps a checkpoint, durably as far as the place can. Rejects with an Error whose message holds no secret and no address. */
  put(checkpoint: AnchoredNote, signal: AbortSignal): Promise<void>;
  /** The checkpoints of `origin` that were put last, newest first; null: this place cannot be read back. */
  readonly recent: ((origin: string, signal: AbortSignal) => Promise<Buffer[]>) | null;
  /** Lets go of what is held open. Never rejects. */
  close(): Promise<void>;
}

/** Something went wrong with an anchor; the message may be logged. */
export class AnchorError extends Error {
  override readonly name = "AnchorError";
}

/** How many of the latest checkpoints are looked at. */
export const recentNotes = 16;

/** The words for a failure that tell no address: an anchor's own message, else the system's code. */
export function why(error: unknown): string {
  if (error instanceof AnchorError) return error.message;
  if (error instanceof Error) {
    if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
    if ("code" in error && typeof error.code === "string") return error.code;
    if (error.cause !== undefined) return why(error.cause);
  }
  return "failed";
}
