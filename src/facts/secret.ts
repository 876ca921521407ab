/** A secret that is read when it is needed, never stored in settings. */
export interface SecretSource {
  /** Where it comes from, safe to print: "env SHOP_PASSWORD", "file /run/secrets/x". */
  readonly label: string;
  /** Reads the secret anew. Rejects with an Error whose message holds no secret. */
  read(): Promise<string>;
}
