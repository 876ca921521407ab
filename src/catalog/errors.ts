/** Why there is no catalog to decide by. `code` is stable; `message` holds nothing that the server wrote. */
export type CatalogErrorCode = "catalog-unavailable" | "catalog-too-large" | "catalog-unreadable";

export class CatalogError extends Error {
  override readonly name: string = "CatalogError";
  readonly code: CatalogErrorCode;
  constructor(code: CatalogErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** No snapshot has been loaded yet, or the last one is known to be stale and no new one could be had. */
export class CatalogUnavailable extends CatalogError {
  override readonly name: string = "CatalogUnavailable";
  constructor(message = "the database's catalog is not loaded") {
    super("catalog-unavailable", message);
  }
}

/** The database has more of something than the limit allows. */
export function tooLarge(what: string, limit: number): CatalogError {
  return new CatalogError("catalog-too-large", `the database has more than ${limit} ${what}`);
}

/** The server answered with something other than was asked for. */
export function unreadable(what: string): CatalogError {
  return new CatalogError("catalog-unreadable", `the server's answer about ${what} cannot be read`);
}
