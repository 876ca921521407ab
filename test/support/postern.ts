/** A gateway in this process with a test issuer and a log in a temporary folder, in front of a real PostgreSQL. */
import { createSecretKey } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import {
  type ApprovalSettings,
  type Approvals,
  createApprovals,
  defaultApprovalSettings,
  type GrantSource,
} from "../../src/approvals/index.ts";
import type { AuditIo } from "../../src/audit/files.ts";
import { type AuditLog, openAuditLog } from "../../src/audit/index.ts";
import type { AuditSettings } from "../../src/audit/settings.ts";
import { type Gateway, startGateway } from "../../src/gateway/index.ts";
import type {
  DatabaseSettings,
  GatewaySettings,
  Hardened,
  Limits,
  ListenerSettings,
} from "../../src/gateway/settings.ts";
import { createIdentity, type Identity } from "../../src/identity/index.ts";
import type { KindRule } from "../../src/identity/settings.ts";
import { createPosternTokens, type PosternTokens } from "../../src/identity/tokens/index.ts";
import { openRevocations, type Revocations } from "../../src/identity/tokens/revoked.ts";
import { createBudgets, loadPolicy } from "../../src/policy/index.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { startTestIdp } from "./idp.ts";

export const testLimits: Limits = {
  statementBytes: 4 * 1024 * 1024,
  messageBytes: 64 * 1024 * 1024,
  connections: 100,
  connectionsPerPrincipal: 50,
  startupSeconds: 10,
  idleSeconds: 3600,
  holdSeconds: 300,
};

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface TestOptions {
  readonly server: ServerAddress;
  readonly dbname: string;
  /** The database's name for clients, default "shop". */
  readonly name?: string;
  readonly limits?: Partial<Limits>;
  readonly audit?: Partial<AuditSettings>;
  readonly functionCall?: boolean;
  readonly replication?: boolean;
  readonly reset?: "discard_all" | "close";
  readonly hardened?: Hardened;
  /** Text of a policy file. */
  readonly policy?: string;
  readonly kinds?: readonly KindRule[];
  /** People can be asked; `true`: under the default settings, with a store in memory. */
  readonly approvals?:
    | true
    | {
        readonly settings?: Partial<ApprovalSettings>;
        readonly store?: Store;
        readonly node?: string;
        /** In the place of the approvals' own. */
        readonly grants?: GrantSource;
      };
  /** Takes every line of the gateway's log, at the finest level. */
  readonly log?: (line: string) => void;
  /** System calls of the log. */
  readonly io?: AuditIo;
  /** What nodes share; with it there are Postern tokens and revocations. The caller closes it. */
  readonly store?: Store;
  /** An issuer that several gateways trust; the caller closes it. */
  readonly idp?: Awaited<ReturnType<typeof startTestIdp>>;
  readonly auth?: ListenerSettings["auth"];
}

export interface Leaf {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface TestPostern {
  readonly host: string;
  readonly port: number;
  readonly gateway: Gateway;
  readonly audit: AuditLog;
  readonly auditSettings: AuditSettings;
  readonly idp: Awaited<ReturnType<typeof startTestIdp>>;
  readonly identity: Identity;
  /** null: without a store. */
  readonly tokens: PosternTokens | null;
  readonly revocations: Revocations | null;
  /** Puts another policy in force, as a reload does. */
  setPolicy(text: string): void;
  /** Throws when the test asked for none. */
  readonly approvals: Approvals;
  /** A token of a member of "testers", the only group with a login. */
  token(claims?: Record<string, unknown>): Promise<string>;
  /** Every leaf written so far, oldest first. */
  records(): Promise<Leaf[]>;
  stop(): Promise<void>;
}

export function testDatabase(options: TestOptions): DatabaseSettings {
  const { server } = options;
  return {
    name: options.name ?? "shop",
    server: {
      host: server.host,
      port: server.port,
      dbname: options.dbname,
      tls: { mode: "disable", ca: null, cert: null, key: null },
    },
    replication: options.replication ?? false,
    logins: [
      {
        groups: ["testers"],
        user: server.user,
        password: { label: "test", read: async () => server.password },
        hardened: options.hardened ?? "no",
      },
    ],
    pool: { max: 50, minIdle: 0, reset: options.reset ?? "discard_all" },
  };
}

export async function startTestPostern(options: TestOptions): Promise<TestPostern> {
  const folder = mkdtempSync(join(tmpdir(), "postern-e2e-"));
  const idp = options.idp ?? (await startTestIdp());
  const auditSettings: AuditSettings = {
    dir: join(folder, "audit"),
    keys: join(folder, "keys"),
    cluster: "test",
    node: "node",
    durability: "process",
    parameters: "keep",
    results: { digest: true, captureRows: 0 },
    ...options.audit,
  };
  const audit = await openAuditLog(auditSettings, {
    version: "test",
    ...(options.io === undefined ? {} : { io: options.io }),
  });
  const { store: shared } = options;
  const tokens = shared === undefined ? null : createPosternTokens({ store: shared });
  const revocations = shared === undefined ? null : await openRevocations(shared);
  const identity = await createIdentity(
    [
      {
        name: "corp",
        type: "oidc",
        issuer: idp.issuer,
        audience: ["postern"],
        jwks: null,
        algorithms: ["RS256", "ES256", "EdDSA"],
        tokenTypes: ["at+jwt", "JWT"],
        claims: { subject: "sub", groups: "groups", email: "email", agent: "client_id" },
        kinds: options.kinds ?? [],
        client: null,
        maxTokenAge: null,
      },
    ],
    {
      ...(tokens === null ? {} : { tokens }),
      ...(revocations === null ? {} : { revocations }),
    },
  );
  const settings: GatewaySettings = {
    listeners: [
      { address: { host: "127.0.0.1", port: 0 }, auth: options.auth ?? ["password"], tls: "optional" },
    ],
    tls: null,
    databases: [testDatabase(options)],
    protocol: { functionCall: options.functionCall ?? false },
    limits: { ...testLimits, ...options.limits },
  };
  const { log } = options;
  const logger =
    log === undefined
      ? pino({ level: process.env.POSTERN_LOG ?? "silent" })
      : pino({ level: "trace" }, { write: log });
  const policies =
    options.policy === undefined
      ? null
      : { current: loadPolicy([{ file: "policy.yaml", text: options.policy }]) };
  const asking = options.approvals === true ? {} : (options.approvals ?? null);
  const store = asking === null ? null : (asking.store ?? (await memoryStore()));
  const approvals =
    asking === null || store === null
      ? null
      : await createApprovals({
          store,
          settings: { ...defaultApprovalSettings, ...asking.settings },
          node: asking.node ?? "node",
          publicUrl: () => "https://postern.test",
          record: ({ type, fields, sealed }) => {
            audit.event(type, fields, sealed);
          },
          logger,
        });
  const gateway = await startGateway(settings, {
    approvals:
      approvals === null || asking?.grants === undefined
        ? approvals
        : { ...approvals, grants: asking.grants },
    identity,
    audit,
    auditSettings,
    logger,
    store: shared ?? null,
    revocations,
    policy:
      policies === null
        ? null
        : { policies, budgets: createBudgets(), maskKey: createSecretKey(Buffer.alloc(32, 7)) },
  });
  const [address] = gateway.addresses;
  if (address === undefined || !("port" in address)) throw new Error("no listener");
  return {
    host: address.host,
    port: address.port,
    gateway,
    audit,
    auditSettings,
    idp,
    identity,
    tokens,
    revocations,
    setPolicy(text) {
      if (policies === null) throw new Error("no policy was asked for");
      policies.current = loadPolicy([{ file: "policy.yaml", text }]);
    },
    get approvals() {
      if (approvals === null) throw new Error("no approvals were asked for");
      return approvals;
    },
    token: (claims = {}) => idp.mint({ sub: "agent-7", groups: ["testers"], ...claims }),
    async records() {
      await audit.settle();
      return readLeaves(auditSettings.dir);
    },
    async stop() {
      await gateway.drain(1_000);
      await approvals?.close();
      if (asking?.store === undefined) await store?.close();
      await audit.close();
      identity.close();
      revocations?.close();
      if (options.idp === undefined) await idp.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The leaves of every log below a folder. */
export function readLeaves(dir: string): Leaf[] {
  const leaves: Leaf[] = [];
  for (const file of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    if (!/segments\/\d+\.log$/.test(file)) continue;
    for (const line of readFileSync(join(dir, file), "utf8").split("\n")) {
      if (line.startsWith("L ")) leaves.push(JSON.parse(line.slice(2)));
    }
  }
  return leaves;
}
