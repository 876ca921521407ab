/** The approvals of a running gateway: on its audit log, in its store, told by its webhooks. */
import type pino from "pino";
import { type Approvals, createApprovals, createWebhooks, type Webhooks } from "../../approvals/index.ts";
import { type AuditLog, webhookSignature } from "../../audit/index.ts";
import type { Settings } from "../../config/index.ts";
import type { OpenedStore } from "./store.ts";

export interface OpenedApprovals {
  readonly approvals: Approvals;
  readonly webhooks: Webhooks;
  close(): Promise<void>;
}

/** Rejects with StoreUnavailable. */
export async function openApprovals(
  settings: Pick<Settings, "approvals" | "audit">,
  { store, sealer }: OpenedStore,
  audit: AuditLog,
  publicUrl: () => string | null,
  logger: pino.Logger,
): Promise<OpenedApprovals> {
  const webhooks = createWebhooks(settings.approvals.webhooks, {
    sign: webhookSignature,
    failed: (name, why, lost) =>
      logger.warn({ webhook: name, why, lost }, "a webhook was not told of an approval"),
  });
  const approvals = await createApprovals({
    store,
    sealer,
    settings: settings.approvals,
    node: settings.audit.node,
    publicUrl,
    logger,
    notify: (event, approval) => webhooks.tell(event, approval),
    async record({ type, fields, sealed }) {
      audit.event(type, fields, sealed);
      await new Promise<void>((done, fail) =>
        audit.whenSafe(settings.audit.durability, { auditSafe: done, auditFailed: fail }),
      );
    },
  });
  return {
    approvals,
    webhooks,
    async close() {
      await approvals.close();
      await webhooks.close();
    },
  };
}
