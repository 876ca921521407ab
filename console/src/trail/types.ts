/** What the audit part of the REST API answers beyond lib/types.ts. Every string in here may be hostile. */
import type { Approval } from "../lib/types.ts";

export type Json = Readonly<Record<string, unknown>>;

/** A record with its place. */
export interface PlacedRecord {
  /** As stored; long values put back from their blobs. */
  readonly record: Json;
  readonly index: number;
  readonly log?: string;
  readonly id: string;
}

/** One statement of a client's message. */
export interface StatementPart {
  readonly intent: PlacedRecord | null;
  /** null: none on the record yet. */
  readonly outcome: PlacedRecord | null;
  /** The exact text; null where the reader may not see it, or its seal does not open. */
  readonly sql: string | null;
  /** Exact values; null as for sql. */
  readonly parameters: unknown;
  readonly sentence?: string;
  /** Done, and then undone by its transaction (or nobody saw whether). */
  readonly undone?: Undone | null;
  /** Why the seal was not opened, where that is known. */
  readonly sealed?: string | null;
}

export interface Undone {
  readonly fate: "rolled_back" | "unknown";
  readonly cause: string;
  readonly sqlstate: string | null;
  readonly by: number;
}

export interface RequestDetail {
  readonly request: string;
  readonly parts: readonly StatementPart[];
  readonly session?: Json | null;
  readonly approval?: Approval | string | null;
}

export interface CheckpointAnswer {
  readonly log: string;
  /** The signed note. */
  readonly note: string;
  readonly size: number;
  readonly root: string;
  readonly time: string;
  /** The log's first verifier key. */
  readonly key: string;
  readonly anchors?: readonly Json[];
}

export interface ProofAnswer {
  /** The proof file that `postern audit verify-proof` takes. */
  readonly proof: string;
  readonly index: number;
  readonly log: string;
}

export interface RunSummary {
  readonly run: string;
  readonly first: string;
  readonly last: string;
  readonly statements: number;
  readonly subject?: string | null;
  readonly agent?: string | null;
}

export interface RunStatement {
  readonly step: number;
  readonly pass: number;
  readonly log: string;
  readonly index: number;
  readonly time: string;
  readonly request: string | null;
  readonly database: string | null;
  readonly sql: string | null;
  readonly exact: string | null;
  readonly parameters: unknown;
  readonly fingerprint: string | null;
  readonly fresh: boolean;
  readonly verdict: string | null;
  readonly rule: string | null;
  readonly code: string | null;
  readonly status: string | null;
  readonly undone: Undone | null;
  readonly sqlstate: string | null;
  readonly rows: number | null;
  readonly affected: number | null;
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly labels: readonly string[] | null;
  readonly masked: readonly string[];
}

export interface RunPass {
  readonly pass: number;
  readonly session: string;
  readonly subject: string | null;
  readonly kind: string | null;
  readonly claimed: Readonly<Record<string, string>>;
  readonly prompt: string | null;
  readonly first: string;
  readonly last: string;
  readonly statements: number;
}

export interface ShapeLife {
  readonly fingerprint: string;
  readonly sql: string | null;
  readonly firstStep: number;
  readonly lastStep: number;
  readonly count: number;
  readonly passes: readonly number[];
}

export interface ShapeChange {
  readonly from: string;
  readonly to: string;
  readonly step: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** The story of one agent run (src/audit/read/run.ts). */
export interface RunStory {
  readonly run: string;
  readonly first: string | null;
  readonly last: string | null;
  readonly passes: readonly RunPass[];
  readonly statements: readonly RunStatement[];
  readonly read: Readonly<Record<string, readonly number[]>>;
  readonly changed: Readonly<Record<string, { readonly steps: readonly number[]; readonly rows: number }>>;
  readonly masked: readonly string[];
  readonly refused: readonly number[];
  readonly failed: readonly number[];
  readonly undone: readonly number[];
  readonly unread: readonly number[];
  readonly evolution: {
    readonly shapes: readonly ShapeLife[];
    readonly changes: readonly ShapeChange[];
  };
  readonly events: readonly {
    readonly time: string;
    readonly type: string;
    readonly log: string;
    readonly index: number;
  }[];
}
