/** A verb that cannot go on: why, what to do, and the exit code (SPEC section 8). */
export class CliError extends Error {
  override readonly name = "CliError";
  /** 1: a finding (refused); 2: usage or configuration; 3: the gateway or provider could not be reached. */
  readonly exitCode: 1 | 2 | 3;
  readonly hint: string | null;

  constructor(exitCode: 1 | 2 | 3, message: string, hint: string | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint;
  }
}
