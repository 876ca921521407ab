/** Joins the rooms into a running gateway; `postern serve` and `postern demo` both start here. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type pino from "pino";
import {
  type ApiEnv,
  builtConsole,
  createConsoleSessions,
  createRest,
  type HttpListener,
  lifecycleRoutes,
  startHttp,
} from "../../api/index.ts";
import type { Approvals } from "../../approvals/index.ts";
import { type AuditLog, makeAnchors, openAuditLog } from "../../audit/index.ts";
import { startAuditReader } from "../../audit/read/reader.ts";
import type { Settings } from "../../config/index.ts";
import type { Principal } from "../../facts/principal.ts";
import { type Gateway, startGateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import { createProtection } from "../../identity/protection.ts";
import { createPosternTokens } from "../../identity/tokens/index.ts";
import { openRevocations } from "../../identity/tokens/revoked.ts";
import { mcpRoutes } from "../../mcp/index.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import { keepAnchored, tellOpenNews } from "./anchor.ts";
import { openApprovals } from "./approvals.ts";
import { openIdentity } from "./identity.ts";
import { activityOf, openFacade } from "./mcp.ts";
import { approvalMetrics, gatewayMetrics } from "./metrics.ts";
import { openOauth } from "./oauth.ts";
import { openPolicy, readPolicy } from "./policy.ts";
import { compareSettings } from "./reload.ts";
import { anchorStates, connectToken, policyTexts, warningsOf } from "./restparts.ts";
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
   * stay as they are. Gives the keys that changed, and those that wait for a restart.
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
  const gateway = await startGateway(settings.gateway, {
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
  const consoleSessions = createConsoleSessions(store, { secure: () => publicUrl().startsWith("https:") });
  /** Shut out since they logged in, or come from a provider that nobody trusts any more. */
  const revoked = (principal: Principal) =>
    !revocations.fresh ||
    revocations.find(principal, "api") !== null ||
    !current.providers.some(({ name }) => name === principal.provider);
  const reader = startAuditReader(audit, { dir: settings.audit.dir, keys: settings.audit.keys });
  opened.defer(() => reader.close());
  const rest = createRest({
    logger,
    approvals,
    protection,
    samlProtection: createProtection(settings.identity.lockout),
    reader,
    auditDir: settings.audit.dir,
    logKey: () => readFileSync(join(settings.audit.keys, "log.vkey"), "utf8").trim(),
    anchors: () => anchorStates(anchoring),
    ...(policy === null ? {} : { policy: policyTexts(policy.policies, () => current.policy) }),
    issueToken: (caller, wish) => connectToken(tokens, caller, wish),
    tls: settings.gateway.tls !== null,
    mcp: settings.mcp !== null,
    warnings: () => warningsOf(policy?.policies.current ?? null, audit, store),
    version,
    node: settings.audit.node,
    ...(settings.store.kind === "postgres" ? { peerSealer: kept.sealer } : {}),
    identity,
    gateway,
    audit,
    store,
    consoleSessions,
    databases: settings.gateway.databases,
    providers: () => current.providers,
    roles: () => settings.admin,
    publicUrl,
    stepUpSeconds: settings.approvals.stepUpMs / 1000,
    revoked,
    onRevoked: (listener) => revocations.onChange(listener),
    more: lifecycleRoutes({ gateway, identity, tokens, revocations, audit }),
    saml: { providers: () => identity.saml },
  });
  const oauth = openOauth({
    settings: () => current,
    identity,
    tokens,
    revocations,
    store,
    audit,
    gateway,
    publicUrl,
  });
  const spans = await startSpans(audit, settings.tracing, version, logger);
  opened.defer(() => spans?.close());
  const activity = activityOf(audit, settings);
  opened.defer(() => activity.close());
  const mcp =
    settings.mcp === null
      ? null
      : mcpRoutes<ApiEnv>({
          gateway,
          identity,
          approvals,
          tasks: { store, sealer: kept.sealer },
          settings: settings.mcp,
          publicUrl,
          activity: activity.recent,
          version,
          logger,
        });
  const facade = openFacade({
    settings,
    store,
    audit,
    tokens,
    consoleSessions,
    publicUrl,
    revoked,
  });
  const deps = {
    rest,
    mounts: [oauth, mcp, facade].filter((mount) => mount !== null),
    consoleDir: builtConsole,
    version,
    readiness: () => ({
      audit: audit.failure === null,
      gateway: gateway.accepting,
      store: store.failure === null,
    }),
    metrics: () => [
      ...gatewayMetrics(gateway, identity, audit, anchoring, trail),
      ...approvalMetrics(approvals.stats, webhooks.stats, store.failure),
    ],
    onError: (error: Error) => logger.error({ err: error }, "http listener"),
  };
  const http = settings.http === null ? null : await startHttp(settings.http, deps, settings.gateway.tls);
  listening = http;
  if (http !== null) opened.defer(() => http.close());
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
      const { tls, providers, applied, waiting } = compareSettings(current, next);
      // Whatever cannot be taken over is found before anything is.
      const fresh = policy === null || next.policy === null ? null : readPolicy(next.policy);
      if (providers !== null) await identity.replace(providers);
      if (tls !== null) {
        gateway.reloadTls(tls);
        http?.reloadTls(tls);
      }
      if (policy !== null && fresh !== null && fresh.digest !== policy.policies.current.digest) {
        recordPolicy(audit, fresh, policy.policies.current);
        policy.policies.current = fresh;
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
