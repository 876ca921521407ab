import type { Durability } from "../facts/audit.ts";
import type { SecretSource } from "../facts/secret.ts";

/** A place outside of the log that keeps its checkpoints. */
export type AnchorSettings =
  /** The gateway's own log. */
  | { readonly kind: "log" }
  /** An absolute folder, best on another machine's disk. */
  | { readonly kind: "file"; readonly dir: string }
  /** An https URL; `secret` keys the signature header, null: none is sent. */
  | { readonly kind: "webhook"; readonly url: string; readonly secret: SecretSource | null }
  /** A connection URL of a role that may insert into (and read) `postern_anchors`. */
  | { readonly kind: "postgres"; readonly url: SecretSource };

export interface AuditSettings {
  /** Absolute folder of the logs. */
  readonly dir: string;
  /** Absolute folder of the signing and sealing keys. */
  readonly keys: string;
  readonly cluster: string;
  readonly node: string;
  readonly durability: Durability;
  readonly parameters: "keep" | "digest" | "drop";
  /** `captureRows`: delivered rows kept of each result; Number.MAX_SAFE_INTEGER: all. */
  readonly results: { readonly digest: boolean; readonly captureRows: number };
  /** `lazy`: statements are analysed only where the policy asks for it; left out: `always`. */
  readonly analysis?: "always" | "lazy";
  /** Segments older than this are pruned; null or absent: none. */
  readonly retentionSeconds?: number | null;
}
