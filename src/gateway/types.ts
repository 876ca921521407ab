/** The gateway as its owner sees it: what it is given, and what it gives. */
import type { KeyObject } from "node:crypto";
import type { Duplex } from "node:stream";
import type pino from "pino";
import type { Approvals, Approver } from "../approvals/index.ts";
import type { AuditLog } from "../audit/index.ts";
import type { AuditSettings } from "../audit/settings.ts";
import type { EffectPreview } from "../facts/approval.ts";
import type { Identity } from "../identity/index.ts";
import type { Protection } from "../identity/protection.ts";
import type { Revocations } from "../identity/tokens/revoked.ts";
import type { BudgetKeeper, CompiledPolicy } from "../policy/index.ts";
import type { Store } from "../store/types.ts";
import type { Judging } from "./analyst/registry.ts";
import type { InnerClient } from "./client/inner.ts";
import type { SessionDescription } from "./describe.ts";
import type { AccessDesk } from "./desk.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { AuthFailure } from "./ports.ts";
import type { Session } from "./session/types.ts";
import type { TlsSettings } from "./settings.ts";

export interface GatewayRooms {
  readonly identity: Identity;
  /** Waits after failed logins, shared with the HTTP side; absent: none. */
  readonly protection?: Protection;
  readonly audit: AuditLog;
  readonly auditSettings: Pick<AuditSettings, "durability" | "parameters" | "results" | "analysis">;
  readonly logger: pino.Logger;
  /** null: no policy; every statement is forwarded and recorded. */
  readonly policy: PolicyRooms | null;
  /** Who asks people; null or left out: nobody can be asked, and what needs approval is refused. */
  readonly approvals?: Approvals | null;
  /** What nodes share; absent: there is one node, and it ends its own sessions only. */
  readonly store?: Store | null;
  readonly revocations?: Revocations | null;
}

/** What deciding needs from outside. */
export interface PolicyRooms {
  /** Replaced on reload: open sessions go on under the new one. */
  readonly policies: { readonly current: CompiledPolicy };
  readonly budgets: BudgetKeeper;
  /** Key of `hash` masks: equal values stay equal as long as it is the same. */
  readonly maskKey: KeyObject;
}

export interface GatewayStats {
  readonly sessions: number;
  readonly sessionsTotal: number;
  readonly statements: number;
  readonly denied: number;
  readonly errors: number;
  readonly authFailures: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Gateway {
  readonly addresses: readonly ({ host: string; port: number } | { path: string })[];
  readonly sessions: ReadonlyMap<string, Session>;
  /** false once draining has begun. */
  readonly accepting: boolean;
  stats(): GatewayStats;
  /**
   * What a statement that waits would do: run, and rolled back. Whoever calls has checked that the approver may decide on it.
   * Rejects with PreviewRefused; what could not be run says so in `refused`.
   */
  preview(approvalId: string, approver: Approver): Promise<EffectPreview>;
  /** Protected columns that logins may read in the database itself, of those that were looked at. */
  exposed(): ReturnType<Judging["exposed"]>;
  /**
   * Begins a session from within the process, under the same limits and by the same walk as on the wire. Gives the client's end of
   * the stream at once: what comes first is AuthenticationOk … ReadyForQuery, or a FATAL ErrorResponse. Destroying it cancels what runs.
   */
  attach(client: InnerClient): Duplex;
  /** Puts a refused token, shown at another door, on the record. Never throws. */
  authFailed(failure: AuthFailure): void;
  /** What callers may see and do. */
  readonly access: AccessDesk;
  /** Every open session and what it is doing, oldest first. */
  describe(): readonly SessionDescription[];
  /** Ends a session of this node at once: what runs is cancelled, FATAL 57P01. false: there is none of that id here. */
  endSession(id: string, reason: string): boolean;
  /** Deadlines, renewal, and ending sessions on any node. */
  readonly lifecycle: Lifecycle;
  /** New connections get the new certificate; sessions keep theirs. */
  reloadTls(tls: TlsSettings): void;
  /** Stops accepting, lets running transactions finish for `graceMs`, then ends what is left. Resolves when all is closed. */
  drain(graceMs: number): Promise<void>;
}
