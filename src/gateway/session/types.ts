/** What a session is to the rest of the gateway. */
import type pino from "pino";
import type { AuditLog, ColumnsContext, DecisionContext, StatementContext } from "../../audit/index.ts";
import type { AuditSettings } from "../../audit/settings.ts";
import type { Principal } from "../../facts/principal.ts";
import type { MaskKeys } from "../../masking/index.ts";
import type { BudgetKeeper } from "../../policy/index.ts";
import type { SqlReader } from "../../sql/index.ts";
import type { Judging } from "../analyst/registry.ts";
import type { CancelKeys } from "../cancel.ts";
import type { SessionDescription } from "../describe.ts";
import type { ApprovalDesk } from "../hold/desk.ts";
import type { GatewaySettings } from "../settings.ts";
import type { LargeMessages } from "../statement/gather.ts";
import type { Shape } from "../statement/names.ts";
import type { Counters } from "../statement/state.ts";
import type { UpstreamPool } from "../upstream/pool.ts";

/** What sessions share. */
export interface SessionDeps {
  readonly settings: GatewaySettings;
  readonly auditSettings: Pick<AuditSettings, "durability" | "parameters" | "results" | "analysis">;
  readonly audit: AuditLog;
  readonly reader: SqlReader;
  readonly allowed: DecisionContext;
  readonly contexts: WeakMap<Shape, StatementContext>;
  readonly columnsCache: Map<string, ColumnsContext>;
  /** What all clients send at the same time. */
  readonly large: LargeMessages;
  readonly cancelKeys: CancelKeys;
  readonly pools: ReadonlyMap<string, UpstreamPool>;
  /** null: no policy; every statement is forwarded and recorded. */
  readonly judging: Judging | null;
  /** null: nobody can be asked; what needs approval is refused. */
  readonly approvals: ApprovalDesk | null;
  readonly maskKeys: MaskKeys;
  /** How often principals break parsers. */
  readonly parserBreaks: BudgetKeeper;
  readonly logger: pino.Logger;
}

export interface Session {
  readonly id: string;
  readonly principal: Principal;
  readonly database: string;
  readonly started: number;
  readonly counters: Counters;
  /** performance.now() of the last byte from the client or ReadyForQuery. */
  readonly lastActive: number;
  /** Nothing is outstanding and no transaction is open. */
  readonly idle: boolean;
  /** Ends the session with a FATAL error as soon as no statement is running and no transaction is open; `now`: whatever is running. */
  end(reason: EndReason, now: boolean): void;
  /** What it is doing now. */
  describe(): SessionDescription;
  /** When its time is over, in seconds since the epoch, and what says so. */
  readonly deadline: Deadline;
  /** Whom its tokens stood for: the one it began with, and those it was renewed with. */
  readonly principals: readonly Principal[];
  /** Takes no more statements, and ends once what runs is answered; an open transaction is rolled back. Call it again until it has ended. */
  expire(reason: EndReason): void;
  /** Looks again at the groups that its principal has for a while. */
  refreshGrants(): void;
  /** Cancels what runs and ends at once; the outcome of what ran is still recorded. */
  cutOff(reason: EndReason): void;
  /** Tells the client something, if nothing is running now. false: not now. */
  notice(message: string, hint: string): boolean;
  /** Goes on until this principal's token ends; it was found to be the same one. */
  renew(principal: Principal): void;
  readonly closed: Promise<void>;
}

export interface Deadline {
  readonly at: number;
  readonly cause: "token" | "certificate" | "limit";
}

export interface EndReason {
  readonly sqlstate: string;
  readonly message: string;
  /** For the record. */
  readonly reason: string;
  /** The gateway itself ends: what waits for people is gone with it. */
  readonly restart?: boolean;
}

/** A refusal before the session began: told to the client, recorded as a failed login or start. */
export class SessionRefused extends Error {
  readonly sqlstate: string;
  readonly code: string;
  override readonly cause: string;
  constructor(sqlstate: string, code: string, message: string, cause: string) {
    super(message);
    this.sqlstate = sqlstate;
    this.code = code;
    this.cause = cause;
  }
}
