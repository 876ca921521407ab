/** The login that `postern login` has kept. */

export interface StoredLogin {
  /** Origin of the gateway's http listener. */
  readonly url: string;
  /** PEM file with the authorities of its certificates; null: the system's. */
  readonly ca: string | null;
  /** A token that is good for a minute at least. Rejects with CliError. */
  token(): Promise<string>;
}

/** null: nobody is logged in. Throws CliError for a login that cannot be read. */
export async function storedLogin(): Promise<StoredLogin | null> {
  const { listProfiles } = await import("../account/profile.ts");
  if (listProfiles().length === 0) return null;
  const { openAccount } = await import("../account/tokens.ts");
  const { place, access } = openAccount(undefined);
  return { url: place.url, ca: place.ca, token: access };
}
