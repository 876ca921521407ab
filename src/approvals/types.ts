/** What other rooms hold of the approvals, and what the approvals need of them. */
import type { Approval, ApprovalKind, ApprovalScope, EffectPreview, Requester } from "../facts/approval.ts";
import type { ApprovalEvent } from "../facts/audit.ts";
import type { Principal } from "../facts/principal.ts";
import type { Sealer, Store } from "../store/index.ts";
import type { AccessWish, ApprovalAsk } from "./ask.ts";
import type { GrantSource } from "./grants.ts";
import type { Approver } from "./maydecide.ts";
import type { ApprovalSettings, OfferedGroup, WebhookEvent } from "./settings.ts";

export interface ApprovalsDeps {
  readonly store: Store;
  /** Seals what the store holds; null or left out: it is kept as it is (tests). */
  readonly sealer?: Sealer | null;
  readonly settings: ApprovalSettings;
  /** This node's name, shown to people. */
  readonly node: string;
  /** Where the console is; null: no http listener. */
  readonly publicUrl: () => string | null;
  /**
   * Puts an event on the audit log; resolved: it is durable there. When it rejects, what it stands for is not done (a request, a vote,
   * a use).
   */
  readonly record: (event: ApprovalEvent) => void | Promise<void>;
  /** Tells the outside (webhooks). Never throws. */
  readonly notify?: ((event: WebhookEvent, approval: Approval) => void) | null;
  readonly logger?: { warn(facts: object, message: string): void } | null;
  readonly now?: () => number;
}

export interface Approvals {
  /**
   * Asks people. An equal ticket that waits already is given back instead of a second one. With `breakGlass` nobody is asked now: what
   * comes back is of kind `review`, the use is on record, and the statement may run at once.
   * Rejects with ApprovalRefused, StoreUnavailable, and what `record` rejects with: then the statement must not run.
   */
  request(ask: ApprovalAsk): Promise<Approval>;
  /**
   * Waits until it is no longer pending, wherever it was decided. Rejects with the signal's reason, ApprovalError NOT_FOUND, or
   * StoreUnavailable when the store is still away at its end.
   */
  settled(id: string, signal: AbortSignal): Promise<Approval>;
  /**
   * Takes one use of an approved statement, for good: on all nodes together it is given as often as people allowed. null: it may not run
   * (used up, over, another binding and shape, another requester). Rejects with StoreUnavailable and what `record` rejects with: it may
   * not run then either.
   */
  claim(
    id: string,
    binding: string,
    requester: Requester,
    use?: {
      readonly shape?: string | null;
      readonly session?: string | null;
      readonly request?: string | null;
    },
  ): Promise<Approval | null>;
  /** An approved, unused one for this very statement (ticket), or for its shape; the next step is `claim`. */
  findApproved(binding: string, shape: string | null, requester: Requester): Promise<Approval | null>;
  /** The requester is gone: what waits for it, or was approved for its wait and not used, never runs. Never rejects. */
  leave(id: string, why: "disconnect" | "cancel" | "restart"): Promise<void>;
  get(id: string): Promise<Approval | null>;
  /** Pending ones oldest first, decided ones newest first. */
  list(query: {
    readonly state: "pending" | "decided";
    readonly kind?: ApprovalKind;
    readonly requester?: { readonly subject: string; readonly issuer: string };
    /** Only those of which something may still come. */
    readonly live?: true;
    readonly after?: string | null;
    readonly limit: number;
  }): Promise<{ readonly items: readonly Approval[]; readonly next: string | null }>;
  /** Rejects with ApprovalError, StoreUnavailable, and what `record` rejects with. */
  decide(
    id: string,
    approver: Approver,
    verdict: "approve" | "deny",
    options?: { readonly reason?: string | null; readonly scope?: ApprovalScope | null },
  ): Promise<Approval>;
  /** Rejects with ApprovalError NOT_FOUND or NOT_PENDING, and StoreUnavailable. */
  setPreview(id: string, preview: EffectPreview): Promise<void>;
  /** What this principal may ask for by `requestAccess`. */
  offered(principal: Principal): readonly OfferedGroup[];
  /** Rejects as request(). */
  requestAccess(principal: Principal, wish: AccessWish): Promise<Approval>;
  /**
   * Takes back what was approved: by an administrator (`admin`, which the door has checked), by who may decide on it, or by the requester.
   * Rejects with ApprovalError NOT_FOUND, NOT_PENDING (nothing is in force), NOT_APPROVER or REASON_REQUIRED.
   */
  revoke(id: string, by: Approver & { readonly admin?: boolean }, reason: string): Promise<Approval>;
  readonly grants: GrantSource;
  /** Of every node. */
  changed(listener: (approval: Approval) => void): () => void;
  readonly stats: ApprovalStats;
  /** What this node's clients still wait for is gone. Never rejects. */
  close(): Promise<void>;
}

export interface ApprovalStats {
  /** Now, on all nodes. */
  readonly pending: number;
  readonly grants: number;
  /** By this node since its start. */
  readonly requested: number;
  readonly refused: number;
  readonly approved: number;
  readonly denied: number;
  readonly expired: number;
  readonly gone: number;
  readonly used: number;
  readonly breakGlass: number;
}
