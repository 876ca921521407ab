/** The state that the steps of a statement's walk share: one object a session. */
import type {
  AuditLog,
  Capture,
  ColumnsContext,
  DecisionContext,
  ResultDigest,
  SessionContext,
  StatementContext,
} from "../../audit/index.ts";
import type { Durability, TransactionState } from "../../facts/audit.ts";
import type { MaskPlan } from "../../facts/effects.ts";
import type { MaskKeys, MaskOutput, SourceDigest } from "../../masking/index.ts";
import type { SqlReader } from "../../sql/index.ts";
import type { Watch, WireSocket } from "../ports.ts";
import type { Limits } from "../settings.ts";
import type { Claims } from "./claims.ts";
import type { Fate } from "./fate.ts";
import type { Gate } from "./forward.ts";
import type { Collecting, LargeMessages } from "./gather.ts";
import type { Holding, Pass } from "./holding.ts";
import type { Guarding } from "./judgement.ts";
import type { Names, Shape } from "./names.ts";
import type { OwnExchange } from "./own.ts";
import type { Expected, ReplyQueue } from "./queue.ts";
import type { Refusal } from "./refuse.ts";

/** What is counted of the result that is being delivered. */
export interface Result {
  rows: number;
  bytes: number;
  columns: ColumnsContext | null;
  /** performance.now() of the first row; 0: none yet. */
  firstRow: number;
  readonly digest: ResultDigest;
  /** Over the rows before they were masked; null: none was. */
  source: SourceDigest | null;
  /** Keeps the rows; null: the settings want none kept, undefined: none came yet. */
  capture: Capture | null | undefined;
}

export interface Counters {
  statements: number;
  denied: number;
  errors: number;
  bytesIn: number;
  bytesOut: number;
}

export interface Walk {
  readonly client: WireSocket;
  readonly server: WireSocket;
  readonly toServer: Gate;
  readonly toClient: Gate;
  readonly audit: AuditLog;
  readonly reader: SqlReader;
  readonly limits: Limits;
  readonly durability: Durability;
  readonly parameters: "keep" | "digest" | "drop";
  readonly digestResults: boolean;
  readonly functionCall: boolean;
  readonly context: SessionContext;
  readonly claims: Claims;
  readonly allowed: DecisionContext;
  /** The records' pre-serialised part for each shape of statement. */
  readonly contexts: WeakMap<Shape, StatementContext>;
  /** The records' pre-serialised result columns, by the bytes of the RowDescription. */
  readonly columnsCache: Map<string, ColumnsContext>;
  readonly large: LargeMessages;
  readonly counters: Counters;
  /** null: no policy is loaded; every statement is forwarded and recorded. */
  readonly guard: Guarding | null;
  /** Who is told beside the stream; null: a client of the wire. */
  readonly watch: Watch | null;
  readonly maskKeys: MaskKeys;
  readonly maskOutput: MaskOutput;
  /** The records' pre-serialised columns of results that are masked, by their plan. */
  readonly maskedColumns: WeakMap<MaskPlan, ColumnsContext>;
  /** At least as durable as this must be what the message at hand has on the log; null: as `durability` says. */
  asked: Durability | null;
  /** performance.now() when the server last answered a statement. */
  concluded: number;
  /** The message at hand was proven to read only: it need not wait for its record to be durable, but its answer must. */
  beside: boolean;
  /** An outcome was recorded that must be durable before the client learns of it. */
  unsaid: boolean;
  /** Number of the batch in which the last statement was sent on. */
  lastRun: number;
  /** An exchange of the gateway's own with the server, whose answer is not the client's. */
  own: OwnExchange | null;
  /** To be called once the server has answered everything. */
  drained: (() => void) | null;
  /** Bytes of a row that are still to be swallowed. */
  backendSwallow: number;
  /** The client was told of a limit, but the server's transaction does not know: it must be made to fail. */
  mustAbort: Refusal | null;

  readonly queue: ReplyQueue;
  readonly names: Names;
  /** Name of the statement that does not exist, for poison. */
  readonly poison: string;
  /** From the last ReadyForQuery. */
  transaction: TransactionState;
  /** Number of the batch that is being filled: messages up to a Sync or Query, which ReadyForQuery answers. */
  batch: number;
  /** An error or refusal in this extended batch: everything up to Sync is swallowed, as the server would skip it. */
  skipping: boolean;
  /** The server is reading COPY data: CopyDone has not been sent yet. */
  copyIn: boolean;
  /** A refusal ended the copy; the client's remaining data is swallowed. */
  copyRefused: boolean;
  /** client_encoding is UTF8 and standard_conforming_strings is on: the text means to the server what it means to us. */
  utf8: boolean;
  conforming: boolean;
  /** One of the two has changed in the transaction that is under way, whose end may change it back. */
  touched: boolean;
  /** Batch in which something may have changed the two; known at its ReadyForQuery. -1: none. */
  unsettledBatch: number;
  /** Texts that were read in the batch that is being filled. */
  texts: number;
  /** Messages of the extended protocol were sent behind the last ReadyForQuery: a transaction may be open. */
  unsynced: boolean;
  /** The client is not read from because too many of its messages have no answer yet. */
  crowded: boolean;
  /** A Sync came while the server was copying, and no copy data since. It was not forwarded. */
  copySync: boolean;
  /** A stall is over; the client's bytes are looked at again once the server's have been handed on. */
  wake: boolean;

  /** Chunks of the client that wait until `stall` is over. */
  readonly stalled: Buffer[];
  stalledBytes: number;
  /** The message that waits for people; null: none does. */
  hold: Holding | null;
  /** People have agreed to the messages up to the next Flush or Sync; null: nobody was asked. */
  pass: Pass | null;
  /** What stands up to the next Flush or Sync has been looked at. */
  gathered: boolean;
  /** It is to be looked at as far as it has come. */
  gatherOver: boolean;
  /** When the session's time is over: seconds since the epoch. */
  deadline(): number;
  /** The server process of this session. */
  readonly serverPid: number;
  /** The client cannot wait for people. */
  readonly tickets: boolean;
  /** Why the client wants to go ahead without them; null: it does not. */
  readonly breakGlass: string | null;
  /** Why nothing more is read from the client's stream for now. */
  stall: Stall | null;
  /** A cancel request for this session that the server has not taken yet. */
  cancelling: number;

  frontend: Collecting | null;
  /** Bytes of a CopyData that are still to be forwarded as they come. */
  frontendStream: number;
  /** Bytes of an oversized message that are still to be swallowed. */
  frontendSwallow: number;
  backend: Collecting | null;
  backendStream: number;
  /** Message type of what streams. */
  backendStreamType: number;

  readonly result: Result;
  /** What was done in the transaction that is under way. */
  readonly fate: Fate;
  /** The client has sent Terminate. */
  leaving: boolean;
  /** The session's time is over: nothing new is taken, only what ends what runs. */
  closing: boolean;
  /** An outcome could not be recorded: the session ends once the client has what came before. */
  auditLost: boolean;
  /** The server has sent a FATAL error: it closes the connection. */
  fatal: boolean;
  /** Terminate was received, and everything before it handed on. */
  onLeaving(): void;
  /** A text broke a parser: too many of these end the session. */
  poisoned(): void;
  /** Cancels what the server is doing for this session. */
  cancel(): void;
  /** Tells the operator of something that must not pass unseen. */
  alarm(message: string, facts: Readonly<Record<string, unknown>>): void;
  /** Tells the operator of a failure that ends nothing. */
  notice(error: unknown): void;
  /** Ends the session: FATAL to the client if it can still read it. */
  fail(refusal: { sqlstate: string; message: string; hint?: string }, reason: string): void;
  /** Goes on with the client's bytes once nothing stalls them. */
  resume(): void;
  /** Reads the client again, unless something does not keep up. */
  readOn(): void;
  /** Runs a step that comes later, not from the sockets; not when the session has ended. */
  guarded(step: () => void): void;
  /** ReadyForQuery was delivered and nothing is outstanding. */
  onIdle(): void;
}

export type Stall =
  /** Until the server has answered this message. */
  | { readonly until: "answered"; readonly entry: Expected }
  /** Until a large text has been read beside the event loop. */
  | { readonly until: "read" }
  /** Until the server has been asked what the next message would do. */
  | { readonly until: "judged" }
  /** Until a cancel request that is under way has reached the server. */
  | { readonly until: "cancelled" }
  /** Until people have decided on the message that is held. */
  | { readonly until: "approval" }
  /** Until what stands before the next Flush or Sync has come. */
  | { readonly until: "gathered" };

/** A refusal of a whole message, before it has a request id. */
export type Reason = Omit<Refusal, "request">;
