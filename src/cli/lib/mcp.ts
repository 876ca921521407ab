/** The MCP endpoint of a running gateway, for the http listener. */
import { isDeepStrictEqual } from "node:util";
import type { Hono } from "hono";
import type pino from "pino";
import type { ApiEnv, ConsoleSessions } from "../../api/index.ts";
import type { Approvals } from "../../approvals/index.ts";
import type { AuditLog } from "../../audit/index.ts";
import { type AuditReader, startAuditReader } from "../../audit/read/reader.ts";
import type { Settings } from "../../config/index.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Gateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import type { Protection } from "../../identity/protection.ts";
import type { PosternTokens } from "../../identity/tokens/index.ts";
import { type Activity, facadeRoutes, type McpDeps, type McpSettings, mcpRoutes } from "../../mcp/index.ts";
import type { Sealer, Store } from "../../store/index.ts";

export interface McpRooms extends FacadeRooms {
  readonly settings: Pick<Settings, "mcp" | "providers" | "audit">;
  readonly gateway: Gateway;
  readonly identity: Identity;
  readonly protection: Protection;
  readonly approvals: Approvals;
  readonly sealer: Sealer;
  readonly version: string;
  readonly logger: pino.Logger;
}

/** The endpoint and, where it is on, its authorization server, to be mounted on the http listener. */
export function openMcp(settings: McpSettings, rooms: McpRooms) {
  const { gateway, identity, approvals, publicUrl, version, logger } = rooms;
  const activity = activityOf(rooms.audit, rooms.settings);
  const { recent } = activity;
  const endpoint = mcpRoutes<ApiEnv>({
    gateway,
    identity,
    protection: rooms.protection,
    approvals,
    tasks: { store: rooms.store, sealer: rooms.sealer },
    settings,
    publicUrl,
    activity: recent,
    version,
    logger,
  });
  const facade = openFacade(rooms);
  return { mounts: facade === null ? [endpoint] : [endpoint, facade], close: () => activity.close() };
}

/** What a caller did, from the audit trail: the reader is started with the first question. */
export function activityOf(
  audit: AuditLog,
  settings: Pick<Settings, "audit">,
): { readonly recent: NonNullable<McpDeps["activity"]>; close(): Promise<void> } {
  let reader: AuditReader | null = null;
  return {
    async recent(principal, limit) {
      reader ??= startAuditReader(audit, { dir: settings.audit.dir, keys: null, timeoutMs: 20_000 });
      const { subject, issuer, kind, groups } = principal;
      const filters = { subject, type: "statement.intent" };
      const { hits } = await reader.ask(
        { subject, issuer, kind, groups },
        { kind: "search", filters, limit },
      );
      return hits
        .filter(({ leaf }) => isOwn(leaf, principal))
        .map(({ leaf, outcome, undone }) => told(leaf, outcome, undone !== null))
        .reverse();
    },
    async close() {
      await reader?.close();
    },
  };
}

type Leaf = Readonly<Record<string, unknown>>;

/** Two issuers may know the same subject, and several agents act in one person's name. */
function isOwn(leaf: Leaf, { subject, issuer, actor }: Principal): boolean {
  const principal = member(leaf, "principal");
  return (
    principal.subject === subject &&
    principal.issuer === issuer &&
    isDeepStrictEqual(
      principal.actor,
      actor.map((one) => ({ subject: one.subject, issuer: one.issuer })),
    )
  );
}

function told(leaf: Leaf, outcome: Leaf | null, undone: boolean): Activity {
  const result = outcome === null ? {} : member(outcome, "result");
  const status = text(outcome?.status);
  return {
    time: text(leaf.time) ?? "",
    database: text(member(leaf, "database").name) ?? "",
    sql: text(member(leaf, "statement").sql),
    verdict: text(member(leaf, "decision").verdict) ?? "",
    code: text(member(leaf, "decision").code),
    status: undone && status === "ok" ? "rolled back" : status,
    rows: typeof result.rows === "number" ? result.rows : null,
    request: text(leaf.request) ?? "",
  };
}

function member(leaf: Leaf, name: string): Leaf {
  const value = leaf[name];
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export interface FacadeRooms {
  readonly settings: Pick<Settings, "mcp" | "providers">;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly tokens: PosternTokens;
  readonly consoleSessions: ConsoleSessions;
  publicUrl(): string;
  /** Logged in, but revoked since. */
  revoked(principal: Principal): boolean;
}

/** The authorization server for MCP clients; null: it is off. */
export function openFacade(rooms: FacadeRooms): ((app: Hono<ApiEnv>) => void) | null {
  const { settings, store, audit, tokens, consoleSessions, publicUrl, revoked } = rooms;
  const facade = settings.mcp?.facade ?? null;
  if (facade === null) return null;
  const saml = settings.providers.some(({ name, type }) => name === facade.provider && type === "saml");
  return facadeRoutes<ApiEnv>({
    settings: facade,
    origins: settings.mcp?.origins ?? [],
    store,
    publicUrl,
    login(returnTo) {
      const query = new URLSearchParams({ provider: facade.provider, return: returnTo });
      return `${publicUrl()}${saml ? "/saml/login" : "/login"}?${query}`;
    },
    async session(cookies) {
      const session = await consoleSessions.find(cookies);
      return session === null || revoked(session.principal) ? null : session;
    },
    issue: (principal, request) => tokens.issue(principal, request),
    record({ principal: { subject, issuer, kind, groups }, client, verdict }) {
      const action = `mcp.client.${verdict}`;
      audit.event("admin.action", {
        action,
        principal: { subject, issuer, kind, groups },
        client_id: client,
      });
    },
  });
}
