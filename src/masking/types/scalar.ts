/** What every type that is masked by way of its text form has to say of itself. */

/**
 * A type's masks over its canonical text. What they give is text that the type's input function takes, or null for NULL.
 * A mask that is left out is `redact`.
 */
export interface ScalarType {
  /** The constant of `redact`. */
  redact(typmod: number): string | null;
  /** The server's text in a form that is equal for equal values; null when it cannot be read. */
  normal(text: string): string | null;
  /** A value made of 32 bytes that look random. null: the type has too few values to hide any. */
  hash: ((digest: Buffer, typmod: number) => string | null) | null;
  partial?(text: string): string | null;
  keep?(text: string, first: number, last: number): string | null;
  date?(text: string, unit: "year" | "month" | "day"): string | null;
  /** Binary format of what the masks give; null when it has none. */
  binary(text: string): Buffer | null;
}
