/** Where the log is streamed to: plain data, with secrets read already, so that it can be handed to a worker. */
import type { SecretSource } from "../../facts/secret.ts";
import type { ExportFormat } from "./record.ts";

export interface StreamTarget {
  /** Names the cursor file: a-z, 0-9 and -. */
  readonly name: string;
  readonly kind: "webhook" | "otlp" | "syslog";
  /** http(s) URL; of syslog: tls://, tcp:// or udp:// with host and port. */
  readonly url: string;
  readonly format: ExportFormat;
  /** Value of the Authorization header; null: none. */
  readonly authorization: string | null;
  /** PEM of the authorities to trust; null: the system's. */
  readonly ca: string | null;
  /** Where an export that has no cursor yet begins. */
  readonly start: "beginning" | "now";
}

export interface StreamSettings {
  /** The log's own folder. */
  readonly dir: string;
  readonly target: StreamTarget;
  /** Postern's version, for the records' `product`. */
  readonly version: string;
  /** Most records, and about how many bytes of them, in one request. */
  readonly batch?: { readonly records: number; readonly bytes: number };
  readonly pollMs?: number;
  /** First and longest pause after a failure. */
  readonly retryMs?: { readonly first: number; readonly most: number };
  /** A request or a connection that takes longer has failed. */
  readonly timeoutMs?: number;
}

/** As postern.yaml has it: the secret is read when the export starts. */
export interface ExportSettings extends Omit<StreamTarget, "authorization"> {
  readonly authorization: SecretSource | null;
}
