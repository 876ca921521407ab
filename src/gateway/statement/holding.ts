/** What is known of a message that waits for people, and of one that they have agreed to. */
import type { Approval } from "../../facts/approval.ts";
import type { ApprovalDesk } from "../hold/desk.ts";
import type { Judgement } from "./judgement.ts";
import type { PreparedStatement } from "./names.ts";
import type { Reason } from "./state.ts";

/** What a Bind gives its statement. The buffers are the message's own. */
export interface BoundValues {
  readonly parameters: readonly (Buffer | null)[];
  readonly parameterFormats: readonly number[];
  readonly resultFormats: readonly number[];
}

export interface HeldPart {
  readonly statement: PreparedStatement;
  /** Its text, and those of the statements and cursors that it names. */
  readonly texts: readonly string[];
  readonly judgement: Judgement;
  /** null: it came in a Query. */
  readonly bound: BoundValues | null;
}

/** One Query, or everything from a Bind to the next Flush or Sync. */
export interface HeldMessage {
  readonly protocol: "simple" | "extended";
  readonly parts: readonly HeldPart[];
  /** Why it cannot wait: something before it in its implicit transaction has run. null: it can. */
  readonly ticket: "begun" | null;
}

/** What the records say of an approval that was used. */
export interface ApprovalUse {
  readonly id: string;
  readonly approvers: readonly { readonly subject: string; readonly issuer: string }[];
  /** Nobody was asked; people look at it afterwards. */
  readonly breakGlass: boolean;
}

/** A message may run, once: people have agreed to it. */
export interface Pass {
  readonly approval: ApprovalUse;
  /** Digest of the policy under which it was asked for. */
  readonly policy: string;
  /** The audit trail's request; null: a statement of the message has it already. */
  request: string | null;
  /** What was agreed to, part by part. */
  readonly parts: readonly { readonly key: string; readonly judged: string }[];
  next: number;
}

export interface HoldRefusal {
  readonly reason: Reason;
  readonly request: string;
}

export type HoldAnswer =
  | ({ readonly kind: "refused" } & HoldRefusal)
  /** People have agreed: the message is judged once more before it is claimed. */
  | { readonly kind: "recheck" }
  | { readonly kind: "pass"; readonly pass: Pass };

/** One message of a session that waits. */
export interface Holding {
  readonly desk: ApprovalDesk;
  readonly message: HeldMessage;
  readonly request: string;
  /** What its rates were charged for; given back if it does not run. */
  readonly charged: readonly Judgement[];
  /** performance.now() when it began. */
  readonly since: number;
  /** Of everything that can be told without asking: the same message, judged the same way, has the same. */
  readonly key: string;
  binding: string;
  approval: Approval | null;
  /** null: it is still open. */
  answer: HoldAnswer | null;
  /** Its owner has gone: whatever comes, it does not run. */
  readonly gone: AbortController;
  /** What its owner is told then. */
  told: Reason | null;
  timers: NodeJS.Timeout[];
  readonly watch: Watch;
}

/** Follows the messages behind the held one, so that a Terminate among them is noticed. */
export interface Watch {
  /** How many of the stalled chunks were looked at. */
  chunks: number;
  /** Bytes of the message at hand that are still to come. */
  skip: number;
  readonly header: Buffer;
  headerBytes: number;
  /** Bytes that were stalled when it began. */
  base: number;
}
