/** Joins the rooms into a running gateway; `postern serve` and `postern demo` both start here. */
import type pino from "pino";
import { type HttpListener, startHttp } from "../../api/index.ts";
import { type AuditLog, makeAnchors, openAuditLog } from "../../audit/index.ts";
import type { Settings } from "../../config/index.ts";
import { type Gateway, startGateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import { keepAnchored, tellOpenNews } from "./anchor.ts";
import { openIdentity } from "./identity.ts";
import { gatewayMetrics } from "./metrics.ts";
import { compareSettings } from "./reload.ts";
import { packageVersion } from "./version.ts";

export interface ComposedGateway {
  readonly gateway: Gateway;
  readonly identity: Identity;
  readonly audit: AuditLog;
  /** null: the configuration names no http listener. */
  readonly http: HttpListener | null;
  /**
   * Takes over from `next` what can change while running: the TLS certificate, and the identity providers when the databases
   * stay as they are. Gives the keys that changed, and those that wait for a restart.
   * Rejects (IdentityConfigError, a bad certificate) with the old settings still in force.
   */
  reload(
    next: Settings,
  ): Promise<{ readonly applied: readonly string[]; readonly waiting: readonly string[] }>;
  /** Lets sessions end (at most `graceMs` milliseconds), then closes the audit log. Safe to call twice. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Opens the audit log, then identity, then the listeners: nothing is accepted that could not be recorded.
 * Throws what openAuditLog, createIdentity, startGateway and startHttp throw; what was opened by then is closed again.
 */
export async function composeGateway(settings: Settings, logger: pino.Logger): Promise<ComposedGateway> {
  await using opened = new AsyncDisposableStack();
  const version = packageVersion();
  const anchors = makeAnchors(settings.anchors, (checkpoint) =>
    logger.info({ checkpoint }, "audit checkpoint"),
  );
  const audit = await openAuditLog(settings.audit, { version, anchors, tell: tellOpenNews(logger) });
  const anchoring = keepAnchored(audit, anchors, logger);
  opened.defer(() => anchoring.stop());
  opened.defer(() => audit.close());
  audit.event("config.changed", { digest: settings.digest, previous: null, applied: ["*"], waiting: [] });
  const identity = await openIdentity(settings.providers);
  opened.defer(() => identity.close());
  const gateway = await startGateway(settings.gateway, {
    identity,
    audit,
    auditSettings: settings.audit,
    logger,
  });
  let drained = false;
  opened.defer(async () => {
    if (!drained) await gateway.drain(0);
  });
  const deps = {
    version,
    readiness: () => ({ audit: audit.failure === null, gateway: gateway.accepting }),
    metrics: () => gatewayMetrics(gateway, identity, audit, anchoring),
    onError: (error: Error) => logger.error({ err: error }, "http listener"),
  };
  const http = settings.http === null ? null : await startHttp(settings.http, deps, settings.gateway.tls);
  if (http !== null) opened.defer(() => http.close());
  const running = opened.move();

  let current = settings;
  let stopping: Promise<void> | null = null;
  return {
    gateway,
    identity,
    audit,
    http,
    async reload(next) {
      const { tls, providers, applied, waiting } = compareSettings(current, next);
      if (providers !== null) await identity.replace(providers);
      if (tls !== null) {
        gateway.reloadTls(tls);
        http?.reloadTls(tls);
      }
      audit.event("config.changed", { digest: next.digest, previous: current.digest, applied, waiting });
      current = {
        ...current,
        digest: next.digest,
        providers: providers ?? current.providers,
        gateway: { ...current.gateway, tls: tls ?? current.gateway.tls },
      };
      return { applied, waiting };
    },
    stop(graceMs) {
      // Health answers "not ready" while sessions end: the http listener closes after them.
      stopping ??= gateway
        .drain(graceMs)
        .then(() => {
          drained = true;
        })
        .finally(() => running.disposeAsync());
      return stopping;
    },
  };
}
