/** What takes exported records. */
import type { ExportRecord } from "./record.ts";

/** The receiver did not take the records: they are sent again. The message holds no record, secret or address. */
export class SinkError extends Error {
  override readonly name = "SinkError";
  /** What the receiver asked to wait, in milliseconds; null: it did not say. */
  readonly retryAfterMs: number | null;
  /** The request was too large: fewer records at a time may pass. */
  readonly tooLarge: boolean;
  constructor(message: string, retryAfterMs: number | null = null, tooLarge = false) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.tooLarge = tooLarge;
  }
}

export interface Sink {
  /** Resolves when the receiver has acknowledged all of them. Rejects with SinkError. */
  send(records: readonly ExportRecord[]): Promise<void>;
  /** What the receiver took and threw away, as it says (OTLP's partial success). */
  readonly rejected: number;
  close(): void;
}
