/** The login that `postern login` has kept. */

export interface StoredLogin {
  /** Origin of the gateway's http listener. */
  readonly url: string;
  /** PEM file with the authorities of its certificates; null: the system's. */
  readonly ca: string | null;
  token(): Promise<string>;
}

/** null: nobody is logged in. */
export async function storedLogin(): Promise<StoredLogin | null> {
  return null;
}
