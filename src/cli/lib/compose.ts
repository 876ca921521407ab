/** Joins the rooms into a running gateway; `postern serve` and `postern demo` both start here. */
import type pino from "pino";
import type { HttpListener } from "../../api/index.ts";
import type { Approvals } from "../../approvals/index.ts";
import { type AuditLog, makeAnchors, openAuditLog } from "../../audit/index.ts";
import type { Settings } from "../../config/index.ts";
import { type Gateway, startGateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import { createProtection } from "../../identity/protection.ts";
import { createPosternTokens } from "../../identity/tokens/index.ts";
import { openRevocations } from "../../identity/tokens/revoked.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import { keepAnchored, tellOpenNews } from "./anchor.ts";
import { openApprovals } from "./approvals.ts";
import { withinDescriptors } from "./descriptors.ts";
import { openIdentity } from "./identity.ts";
import { openPolicy, readPolicy } from "./policy.ts";
import { compareSettings } from "./reload.ts";
import { startSpans } from "./spans.ts";
import { openSettingsStore } from "./store.ts";
import { startTrail } from "./trail.ts";
import { packageVersion } from "./version.ts";

export interface ComposedGateway {
  readonly gateway: Gateway;
  readonly identity: Identity;
  readonly audit: AuditLog;
  readonly store: Store;
  readonly approvals: Approvals;
  /** null: the configuration names no http listener. */
  readonly http: HttpListener | null;
  /**
   * Takes over from `next` what can change while running: the TLS certificate, the policy, and the identity providers when the databases
   * stay as they are; providers that are gone go in any case, and what was begun with their tokens ends. Gives the keys that changed,
   * and those that wait for a restart.
   * Rejects (IdentityConfigError, ConfigError, a bad certificate) with the old settings still in force.
   */
  reload(
    next: Settings,
  ): Promise<{ readonly applied: readonly string[]; readonly waiting: readonly string[] }>;
  /** Lets sessions end (at most `graceMs` milliseconds), then closes the audit log. Safe to call twice. */
  stop(graceMs: number): Promise<void>;
}

function recordPolicy(audit: AuditLog, next: CompiledPolicy, previous: CompiledPolicy | null): void {
  audit.event("policy.changed", {
    digest: next.digest,
    previous: previous?.digest ?? null,
    observe: next.observe,
    rules: next.rules.map((rule) => rule.name),
    labels: next.labels.map((label) => label.label),
  });
}

/** The http listener's own origin, as a browser on this machine reaches it. */
function ownUrl(address: { readonly host: string; readonly port: number } | null, tls: boolean): string {
  const { host, port } = address ?? { host: "127.0.0.1", port: 0 };
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return new URL(`${tls ? "https" : "http"}://${name}:${port}`).origin;
}

/**
 * Opens the audit log, then the store, then identity, then the listeners: nothing is accepted that could not be recorded.
 * Throws StoreUnavailable and what openAuditLog, openPolicy, createIdentity, startGateway and startHttp throw; what was opened by then is closed again.
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
  const trail = await startTrail(settings, logger, version);
  opened.defer(() => trail.close());
  audit.event("config.changed", { digest: settings.digest, previous: null, applied: ["*"], waiting: [] });
  const policy = openPolicy(settings.policy, settings.audit.keys);
  if (policy !== null) recordPolicy(audit, policy.policies.current, null);
  const kept = await openSettingsStore(settings);
  const { store } = kept;
  opened.defer(() => store.close());
  let current = settings;
  const providersChanged = new Set<() => void>();
  let listening: HttpListener | null = null;
  const publicUrl = () =>
    settings.publicUrl ?? ownUrl(listening?.address ?? settings.http, settings.gateway.tls !== null);
  const { approvals, webhooks, ...asking } = await openApprovals(
    settings,
    kept,
    audit,
    () => (settings.http === null ? null : publicUrl()),
    logger,
  );
  opened.defer(() => asking.close());
  const tokens = createPosternTokens({
    store,
    saltKey: kept.saltKey,
    settings: settings.tokens,
    maxActors: settings.identity.maxDelegationDepth,
  });
  const revocations = await openRevocations(store);
  opened.defer(() => revocations.close());
  const identity = await openIdentity(settings.providers, {
    tokens,
    revocations,
    store,
    publicUrl,
    maxDelegationDepth: settings.identity.maxDelegationDepth,
  });
  const protection = createProtection(settings.identity.lockout);
  opened.defer(() => identity.close());
  const gateway = await startGateway(withinDescriptors(settings.gateway, logger), {
    identity,
    protection,
    audit,
    auditSettings: settings.audit,
    logger,
    policy,
    store,
    approvals,
    revocations,
  });
  let drained = false;
  opened.defer(async () => {
    if (!drained) await gateway.drain(0);
  });
  const spans = await startSpans(audit, settings.tracing, version, logger);
  opened.defer(() => spans?.close());
  // The doors for browsers, REST and MCP clients are a third of the program: without a listener they are not even loaded.
  let http: HttpListener | null = null;
  if (settings.http !== null) {
    const { openDoors } = await import("./doors.ts");
    const doors = await openDoors(settings.http, {
      settings,
      current: () => current,
      logger,
      version,
      publicUrl,
      audit,
      anchoring,
      trail,
      store,
      sealer: kept.sealer,
      approvals,
      webhooks,
      tokens,
      revocations,
      identity,
      onProviders(listener) {
        providersChanged.add(listener);
        return () => providersChanged.delete(listener);
      },
      protection,
      gateway,
      policy,
    });
    opened.defer(() => doors.close());
    http = doors.http;
    listening = http;
  }
  const running = opened.move();

  let stopping: Promise<void> | null = null;
  return {
    gateway,
    identity,
    audit,
    store,
    approvals,
    http,
    async reload(next) {
      const { tls, providers, applied: taken, waiting } = compareSettings(current, next);
      // Whatever cannot be taken over is found before anything is.
      const fresh = policy === null || next.policy === null ? null : readPolicy(next.policy);
      if (providers !== null) {
        await identity.replace(providers);
        current = { ...current, providers };
        gateway.lifecycle.judge();
        for (const tell of providersChanged) tell();
      }
      if (tls !== null) {
        gateway.reloadTls(tls);
        http?.reloadTls(tls);
      }
      const applied = [...taken];
      if (policy !== null && fresh !== null && fresh.digest !== policy.policies.current.digest) {
        recordPolicy(audit, fresh, policy.policies.current);
        policy.policies.current = fresh;
        applied.push("policy");
      }
      audit.event("config.changed", { digest: next.digest, previous: current.digest, applied, waiting });
      current = {
        ...current,
        digest: next.digest,
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
