/** The store did not do what it was asked, or nobody knows whether it did: whoever asked must refuse. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  readonly code = "STORE_UNAVAILABLE";
}

/** The words for a failure that tell no address and no value: SQLSTATE, the system's or SQLite's code. */
export function storeFault(error: unknown): string {
  if (error instanceof StoreUnavailable) return error.message;
  if (error instanceof Error) {
    if ("errcode" in error && typeof error.errcode === "number") return `SQLite code ${error.errcode}`;
    if ("code" in error && typeof error.code === "string" && /^[A-Z0-9_]{3,40}$/.test(error.code))
      return error.code;
  }
  return "no answer in time, or the connection was lost";
}
