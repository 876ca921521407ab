/** `mcp:` of postern.yaml, checked. */

export interface FacadeSettings {
  /** The identity provider that people log in at: its name in postern.yaml. */
  readonly provider: string;
  /** How long a token lives, seconds. */
  readonly tokenSeconds: number;
  /** Clients may register themselves (RFC 7591). */
  readonly registration: boolean;
  /** Clients may name themselves by the https address of their metadata document. */
  readonly documents: boolean;
}

export interface McpSettings {
  /** Rows of a result unless the caller says otherwise, and the most it may say. */
  readonly rows: number;
  readonly maxRows: number;
  /** Characters of a result's rows, about. */
  readonly resultCharacters: number;
  /** Longest time of one statement. */
  readonly timeoutMs: number;
  /** One of these must be in a JWT's `aud`, beside what its provider asks for; []: that is enough. */
  readonly audience: readonly string[];
  /** All of these must be in a JWT's `scope` or `scp`. */
  readonly scopes: readonly string[];
  /** Web pages that may call, beside the gateway's own: "https://host". */
  readonly origins: readonly string[];
  /** Issuers that clients are sent to for tokens. */
  readonly authorizationServers: readonly string[];
  /** null: the gateway is no authorization server. */
  readonly facade: FacadeSettings | null;
}

export const defaultMcpSettings: McpSettings = {
  rows: 100,
  maxRows: 1000,
  resultCharacters: 48 * 1024,
  timeoutMs: 45_000,
  audience: [],
  scopes: [],
  origins: [],
  authorizationServers: [],
  facade: null,
};
