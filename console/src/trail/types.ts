/** What the audit part of the REST API answers. Every string in here may be hostile. */
import type { RunStory as ToldRun } from "../generated/api.ts";

export type {
  AuditHit,
  AuditPage,
  AuditRequest,
  Checkpoint,
  PlacedRecord,
  RunList,
  RunStatement,
  RunSummary,
  StatementPart,
  Undone,
} from "../generated/api.ts";

export type Json = Readonly<Record<string, unknown>>;
export type RunPass = ToldRun["passes"][number];

export interface ShapeLife {
  readonly fingerprint: string;
  readonly sql: string | null;
  readonly firstStep: number;
  readonly lastStep: number;
  readonly count: number;
}

export interface ShapeChange {
  readonly from: string;
  readonly to: string;
  readonly step: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** How the SQL of a run changed (src/audit/read/evolution.ts). */
export interface Evolution {
  readonly shapes: readonly ShapeLife[];
  readonly changes: readonly ShapeChange[];
}

/** The story of one agent run (src/audit/read/run.ts). */
export type RunStory = Omit<ToldRun, "evolution"> & { readonly evolution: Partial<Evolution> };
