/**
 * The doors on the http listener: REST and console, logins and `/oauth`, MCP. They are loaded where the configuration names a listener, and
 * MCP's where it is on: a gateway without them needs a third less memory at rest.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type pino from "pino";
import {
  builtConsole,
  createConsoleSessions,
  createRest,
  type HttpListener,
  lifecycleRoutes,
  startHttp,
} from "../../api/index.ts";
import type { Approvals } from "../../approvals/index.ts";
import type { Anchoring, AuditLog } from "../../audit/index.ts";
import { startAuditReader } from "../../audit/read/reader.ts";
import type { Settings } from "../../config/index.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Gateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import { createProtection, type Protection } from "../../identity/protection.ts";
import type { PosternTokens } from "../../identity/tokens/index.ts";
import type { Revocations } from "../../identity/tokens/revoked.ts";
import type { Sealer, Store } from "../../store/index.ts";
import type { OpenedApprovals } from "./approvals.ts";
import { approvalMetrics, gatewayMetrics } from "./metrics.ts";
import { openOauth } from "./oauth.ts";
import type { ActivePolicy } from "./policy.ts";
import { anchorStates, connectToken, policyTexts, warningsOf } from "./restparts.ts";
import type { Trail } from "./trail.ts";

export interface DoorRooms {
  /** As they were at the start. */
  readonly settings: Settings;
  /** As they are in force. */
  current(): Settings;
  readonly logger: pino.Logger;
  readonly version: string;
  publicUrl(): string;
  readonly audit: AuditLog;
  readonly anchoring: Pick<Anchoring, "states" | "unanchored">;
  readonly trail: Trail;
  readonly store: Store;
  readonly sealer: Sealer;
  readonly approvals: Approvals;
  readonly webhooks: OpenedApprovals["webhooks"];
  readonly tokens: PosternTokens;
  readonly revocations: Revocations;
  readonly identity: Identity;
  /** Calls back when the providers were exchanged; gives what stops that. */
  onProviders(listener: () => void): () => void;
  readonly protection: Protection;
  readonly gateway: Gateway;
  readonly policy: ActivePolicy | null;
}

export interface Doors {
  readonly http: HttpListener;
  close(): Promise<void>;
}

/** Rejects with what startHttp throws; what was opened by then is closed again. */
export async function openDoors(listener: NonNullable<Settings["http"]>, rooms: DoorRooms): Promise<Doors> {
  await using opened = new AsyncDisposableStack();
  const { settings, current, logger, version, publicUrl, audit, store, policy } = rooms;
  const { approvals, identity, gateway, revocations, tokens } = rooms;
  const consoleSessions = createConsoleSessions(store, { secure: () => publicUrl().startsWith("https:") });
  /** Shut out since they logged in, or come from a provider that nobody trusts any more. */
  const revoked = (principal: Principal) =>
    !revocations.fresh || revocations.find(principal, "api") !== null || !identity.trusts(principal);
  const reader = startAuditReader(audit, { dir: settings.audit.dir, keys: settings.audit.keys });
  opened.defer(() => reader.close());
  const rest = createRest({
    logger,
    approvals,
    protection: rooms.protection,
    samlProtection: createProtection(settings.identity.lockout),
    reader,
    auditDir: settings.audit.dir,
    logKey: () => readFileSync(join(settings.audit.keys, "log.vkey"), "utf8").trim(),
    anchors: () => anchorStates(rooms.anchoring),
    ...(policy === null ? {} : { policy: policyTexts(policy.policies, () => current().policy) }),
    issueToken: (caller, wish) => connectToken(tokens, caller, wish),
    tls: settings.gateway.tls !== null,
    mcp: settings.mcp !== null,
    warnings: () => warningsOf(policy?.policies.current ?? null, audit, store),
    version,
    node: settings.audit.node,
    ...(settings.store.kind === "postgres" ? { peerSealer: rooms.sealer } : {}),
    identity,
    gateway,
    audit,
    store,
    consoleSessions,
    databases: settings.gateway.databases,
    providers: () => current().providers,
    roles: () => settings.admin,
    publicUrl,
    stepUpSeconds: settings.approvals.stepUpMs / 1000,
    revoked,
    onRevoked(listener) {
      const stops = [revocations.onChange(listener), rooms.onProviders(listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    more: lifecycleRoutes({ gateway, identity, tokens, revocations, audit, protection: rooms.protection }),
    saml: { providers: () => identity.saml },
  });
  const oauth = openOauth({
    settings: current,
    identity,
    protection: rooms.protection,
    tokens,
    revocations,
    store,
    audit,
    gateway,
    publicUrl,
  });
  const mcp =
    settings.mcp === null
      ? null
      : (await import("./mcp.ts")).openMcp(settings.mcp, { ...rooms, consoleSessions, revoked });
  opened.defer(async () => mcp?.close());
  const http = await startHttp(
    listener,
    {
      rest,
      publicUrl,
      mounts: [oauth, ...(mcp?.mounts ?? [])],
      consoleDir: builtConsole,
      version,
      readiness: () => ({
        audit: audit.failure === null,
        gateway: gateway.accepting,
        store: store.failure === null,
      }),
      metrics: () => [
        ...gatewayMetrics(gateway, identity, audit, rooms.anchoring, rooms.trail),
        ...approvalMetrics(approvals.stats, rooms.webhooks.stats, store.failure),
      ],
      onError: (error: Error) => logger.error({ err: error }, "http listener"),
    },
    settings.gateway.tls,
  );
  opened.defer(() => http.close());
  const stack = opened.move();
  return { http, close: () => stack.disposeAsync() };
}
