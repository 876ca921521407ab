/** REST and login: the parts of a running gateway that they stand on, and their routes. */
import type { Context, Hono } from "hono";
import type pino from "pino";
import type { Approvals } from "../approvals/index.ts";
import type { AuditLog } from "../audit/index.ts";
import type { AuditReader } from "../audit/read/reader.ts";
import type { Principal } from "../facts/principal.ts";
import type { Gateway } from "../gateway/index.ts";
import type { DatabaseSettings } from "../gateway/settings.ts";
import type { Identity, SamlProvider } from "../identity/index.ts";
import type { Protection } from "../identity/protection.ts";
import type { ProviderSettings } from "../identity/settings.ts";
import type { CompiledPolicy } from "../policy/index.ts";
import type { Store } from "../store/types.ts";
import { type Callers, createCallers } from "./caller.ts";
import type { ConsoleSessions } from "./console-sessions.ts";
import type { ApiEnv, Caller } from "./env.ts";
import { createHub, type Hub, type HubDeps } from "./live/hub.ts";
import { type Peers, type PeersDeps, startPeers } from "./live/peers.ts";
import { type LoginChoice, loginChoices, loginRoutes } from "./login/routes.ts";
import { samlLogin } from "./login/saml.ts";
import { openApi } from "./openapi.ts";
import type { RoleGroups } from "./roles.ts";
import { approvalRoutes, maySee } from "./routes/approvals.ts";
import { approvalChanged } from "./routes/approvals-told.ts";
import { asking, auditRoutes } from "./routes/audit.ts";
import { connectRoutes } from "./routes/connect.ts";
import { eventRoutes } from "./routes/events.ts";
import { meRoutes } from "./routes/me.ts";
import { policyRoutes } from "./routes/policy.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { statsRoutes } from "./routes/stats.ts";
import { mountRoutes, type Route } from "./routing.ts";
import { tellSession } from "./told.ts";

/** What REST is given. Functions are asked anew: their answers change when the configuration is reloaded. */
export interface RestParts {
  readonly version: string;
  readonly node: string;
  readonly identity: Pick<Identity, "authenticate" | "login">;
  readonly gateway: Pick<
    Gateway,
    "access" | "preview" | "addresses" | "sessions" | "describe" | "endSession" | "lifecycle"
  >;
  readonly audit: AuditLog;
  readonly store: Store;
  readonly consoleSessions: ConsoleSessions;
  readonly databases: readonly DatabaseSettings[];
  providers(): readonly ProviderSettings[];
  roles(): RoleGroups;
  /** Origin under which browsers reach the http listener, without a slash at the end. */
  publicUrl(): string;
  readonly logger: pino.Logger;
  /** Left out: nothing is held for approval. */
  readonly approvals?: Approvals;
  /** A short-lived Postern token for a caller; `expires` in seconds since the epoch. Rejects with ApiError. Left out: none are issued. */
  readonly issueToken?: (
    caller: Caller,
    wish: { readonly database: string | null; readonly seconds: number | null },
  ) => Promise<{ readonly token: string; readonly expires: number }>;
  /** Clients must use TLS on the wire. */
  readonly tls: boolean;
  /** The MCP endpoint is served. */
  readonly mcp?: boolean;
  /** Logins by SAML; left out: none. */
  readonly saml?: { providers(): readonly SamlProvider[] };
  /** The active policy; left out: there is none. `files`: their texts; none when they are not those of the policy any more. */
  readonly policy?: {
    current(): CompiledPolicy;
    files(): readonly { readonly name: string; readonly text: string }[];
  };
  /** Folder of the logs, for replay; left out: it is not read. */
  readonly auditDir?: string;
  /** Reads the audit trail; left out: it is not told. */
  readonly reader?: Pick<AuditReader, "ask">;
  /** The log's first verifier key. */
  logKey(): string;
  /** Where checkpoints are kept besides the log. */
  anchors(): {
    anchor: string;
    anchored: number;
    unanchored: number;
    failing: boolean;
    ageSeconds: number | null;
  }[];
  /** A person who decides must have logged in at most so long ago. */
  readonly stepUpSeconds: number;
  /** Makes whoever fails too often wait. */
  readonly protection: Protection;
  /** The same at the end of logins by SAML, to which any page can send its visitors' browsers; left out: `protection`. */
  readonly samlProtection?: Protection;
  /** Whether a principal was shut out since its session began; left out: nobody ever is. */
  readonly revoked?: (principal: Principal) => boolean;
  /** Calls back when somebody was shut out; gives what stops that. */
  readonly onRevoked?: (listener: () => void) => () => void;
  /** Routes of other parts that belong to REST and its OpenAPI document. */
  readonly more?: readonly Route[];
  /** What an operator should know: told to auditors. */
  readonly warnings?: () => string[];
  /** Seals what nodes tell each other of their sessions; left out: the store is this node's alone. */
  readonly peerSealer?: PeersDeps["sealer"];
}

/** What the routes stand on. */
export interface RestDeps extends RestParts {
  /** Other nodes' sessions; null: there are no other nodes. */
  readonly peers: Peers | null;
  readonly login: { providers(): readonly LoginChoice[] };
  /** A session is over: live views whose caller may no longer read end now, not with the next heartbeat. */
  judgeLive(): void;
  /** Puts a failed login on the record. */
  loginFailed(context: Context<ApiEnv>, code: string, cause: string): void;
}

export interface Rest {
  readonly callers: Callers;
  readonly hub: Hub;
  readonly routes: readonly Route[];
  mount(app: Hono<ApiEnv>): void;
  close(): Promise<void>;
}

export function createRest(parts: RestParts): Rest {
  const { audit, gateway, identity, revoked } = parts;
  const { peerSealer: sealer, node } = parts;
  const peers =
    sealer === undefined
      ? null
      : startPeers({
          store: parts.store,
          sealer,
          node,
          own: () => gateway.describe().map((one) => tellSession(one, node)),
        });
  const hub = createHub({
    node: parts.node,
    audit,
    range: rangeOf(parts),
    sessionOf: (id) => gateway.sessions.get(id)?.describe() ?? null,
  });
  const deps: RestDeps = {
    ...parts,
    peers,
    judgeLive: hub.judge,
    login: { providers: () => loginChoices(parts.providers()) },
    loginFailed(context, code, cause) {
      audit.authFailed({
        code,
        cause,
        ip: context.get("ip"),
        port: context.env?.incoming?.socket.remotePort ?? 0,
        tls: null,
        user: null,
        database: null,
        application: context.req.header("user-agent")?.slice(0, 200) ?? null,
        tokenSha256: null,
        via: "api",
      });
    },
  };
  const callers = createCallers({
    identity,
    audit,
    sessions: parts.consoleSessions,
    roles: parts.roles,
    publicUrl: parts.publicUrl,
    protection: parts.protection,
    ...(revoked === undefined ? {} : { revoked }),
  });
  const stopApprovals = parts.approvals?.changed((approval) =>
    hub.tell("approval", (caller) =>
      maySee(caller, approval) ? JSON.stringify(approvalChanged(approval, caller, deps)) : null,
    ),
  );
  const stopRevoked = parts.onRevoked?.(() => hub.judge());
  const policy = policyRoutes(deps);
  const routes = [
    ...meRoutes(deps),
    ...sessionRoutes(deps),
    ...eventRoutes(hub),
    // Before the routes whose paths would take theirs for an id.
    ...statsRoutes(deps),
    ...auditRoutes(deps),
    ...policy.routes,
    ...approvalRoutes(deps),
    ...connectRoutes(deps),
    ...(parts.more ?? []),
  ];
  return {
    callers,
    hub,
    routes,
    mount(app) {
      let document: string | null = null;
      app.get("/api/openapi.json", () => {
        document ??= JSON.stringify(openApi(parts.version));
        return new Response(document, {
          headers: { "content-type": "application/json", "cache-control": "public, max-age=300" },
        });
      });
      loginRoutes(deps)(app);
      if (parts.saml !== undefined)
        samlLogin(deps, parts.saml, parts.samlProtection ?? parts.protection)(app);
      mountRoutes(app, routes);
    },
    async close() {
      stopApprovals?.();
      stopRevoked?.();
      hub.close();
      await peers?.close();
      await policy.close();
    },
  };
}

/** This node's own log, by the reader of the trail. */
function rangeOf({ reader, audit }: RestParts): HubDeps["range"] {
  if (reader === undefined) return null;
  // Its folder below audit.dir: <node>/<worker>, as its origin ends.
  const log = audit.origin.split("/").slice(1).join("/");
  return async (caller, from, count) => {
    const { entries } = await reader.ask(asking(caller), { kind: "range", log, from, count });
    return entries;
  };
}
