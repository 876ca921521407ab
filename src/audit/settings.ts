import type { Durability } from "../facts/audit.ts";

export interface AuditSettings {
  /** Absolute folder of the logs. */
  readonly dir: string;
  /** Absolute folder of the signing and sealing keys. */
  readonly keys: string;
  readonly cluster: string;
  readonly node: string;
  readonly durability: Durability;
  readonly parameters: "keep" | "digest" | "drop";
  readonly results: { readonly digest: boolean; readonly captureRows: number };
}
