/** What went wrong with a write, for the one line that is said of it. */

/** A write that failed or fell short; `cause` is the error of the system call. */
export class WriteFailed extends Error {
  constructor(cause: unknown) {
    super("write failed", { cause });
  }
}

/** The system's code ("ENOSPC", "EIO"); says nothing of paths. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error && error.message.startsWith("short write") ? "ENOSPC" : "EIO";
}
