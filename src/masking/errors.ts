/**
 * Why rows cannot be masked. `message` holds no bytes of the row.
 *
 * - `MASK_PLAN`: the plan does not fit the columns (asserted before the first row)
 * - `MASK_MALFORMED`: a row, or copied text, that cannot be read as the plan says
 * - `MASK_TOO_LARGE`: more than a message may hold, or more than may be held in memory
 */
export class MaskError extends Error {
  override readonly name = "MaskError";
  readonly code: "MASK_PLAN" | "MASK_MALFORMED" | "MASK_TOO_LARGE";

  constructor(code: MaskError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
