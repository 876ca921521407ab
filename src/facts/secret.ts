/** A secret that is read when it is needed, never stored in settings. */
export interface SecretSource {
  /** Where it comes from, safe to print: "env SHOP_PASSWORD", "file /run/secrets/x". */
  readonly label: string;
  /** Reads the secret anew. Rejects with an Error whose message holds no secret. */
  read(): Promise<string>;
  /**
   * Where user and password are made together, for a time (Vault's database engine): both. A connection with such a login is closed after
   * use, since its user will be taken away. Rejects as read.
   */
  readLogin?(): Promise<{ readonly user: string; readonly password: string }>;
}
