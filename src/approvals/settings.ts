/** What postern.yaml says of approvals. Times in milliseconds unless the name says otherwise. */
import type { SecretSource } from "../facts/secret.ts";

/** What a webhook may be told of. */
export const webhookEvents = ["requested", "decided", "expired", "break_glass", "access", "revoked"] as const;
export type WebhookEvent = (typeof webhookEvents)[number];

export interface WebhookSettings {
  /** For logs and metrics: "slack-1". */
  readonly name: string;
  /** https, or http on loopback. A secret with some receivers. */
  readonly url: SecretSource;
  /** Keys the `postern-signature` header; null: not signed. */
  readonly secret: SecretSource | null;
  readonly shape: "generic" | "slack" | "teams";
  readonly events: readonly WebhookEvent[];
}

/** Who may ask for a group for a while, on which databases, and who decides. */
export interface AccessOffer {
  /** The groups that can be asked for: "group" or "provider:group". */
  readonly groups: readonly string[];
  /** Names of databases; "*": all. */
  readonly databases: readonly string[];
  readonly approvers: {
    readonly groups: readonly string[];
    readonly count: number;
    readonly withinMs: number;
  };
  readonly maxSeconds: number;
  /** Groups whose members may ask; null: everybody who can authenticate. */
  readonly requesters: readonly string[] | null;
}

/** One group of an offer, as somebody who may ask for it is told. */
export interface OfferedGroup {
  readonly group: string;
  /** Names of databases; "*": all. */
  readonly databases: readonly string[];
  readonly maxSeconds: number;
}

export interface ApprovalSettings {
  /** How old a person's interactive login may be when they decide. */
  readonly stepUpMs: number;
  /** Approvals of one principal that may wait at a time. */
  readonly maxPendingPerPrincipal: number;
  readonly requestsPerMinute: number;
  /** After so many denials of one shape within `denialWindowMs` the same is refused for as long, without asking anybody. */
  readonly denials: number;
  readonly denialWindowMs: number;
  /** How far "for this shape" may reach. */
  readonly shape: { readonly maxUses: number; readonly maxSeconds: number };
  /** How long a decided approval is kept. */
  readonly keepMs: number;
  readonly access: readonly AccessOffer[];
  readonly webhooks: readonly WebhookSettings[];
}

const minute = 60_000;

export const defaultApprovalSettings: ApprovalSettings = {
  stepUpMs: 10 * minute,
  maxPendingPerPrincipal: 5,
  requestsPerMinute: 30,
  denials: 3,
  denialWindowMs: 10 * minute,
  shape: { maxUses: 100, maxSeconds: 8 * 3600 },
  keepMs: 90 * 24 * 60 * minute,
  access: [],
  webhooks: [],
};
