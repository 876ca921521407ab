/** postern.yaml → validated, typed settings (SPEC.md section 2). */
import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import type { ApprovalSettings } from "../approvals/settings.ts";
import type { ExportSettings } from "../audit/export/settings.ts";
import type { AnchorSettings, AuditSettings } from "../audit/settings.ts";
import type { SecretSource } from "../facts/secret.ts";
import type { GatewaySettings } from "../gateway/settings.ts";
import type { ProviderSettings } from "../identity/settings.ts";
import type { TokenSettings } from "../identity/tokens/settings.ts";
import type { McpSettings } from "../mcp/settings.ts";
import { buildApprovals } from "./build/approvals.ts";
import { buildAnchors, buildAudit } from "./build/audit.ts";
import { type Context, take } from "./build/context.ts";
import { buildDatabases } from "./build/databases.ts";
import { buildExports, buildIndex, type IndexSettings } from "./build/exports.ts";
import { checkGroups } from "./build/groups.ts";
import {
  buildIdentity,
  buildProviders,
  buildTokens,
  type IdentitySettings,
  providerNames,
} from "./build/identity.ts";
import { buildListen, buildTls } from "./build/listen.ts";
import { buildMcp } from "./build/mcp.ts";
import { buildPolicy, type PolicyPlace } from "./build/policy.ts";
import { buildStore, type StoreSettings } from "./build/store.ts";
import { buildStoreKeys } from "./build/storekeys.ts";
import { expectedText, explain } from "./explain.ts";
import { FileFault, readText } from "./files.ts";
import { knownKeys } from "./keys.ts";
import { ConfigError, formatPath, type Path, type Problem } from "./problem.ts";
import {
  admin as adminSchema,
  limits as limitsSchema,
  protocol as protocolSchema,
  root,
  tracing as tracingSchema,
} from "./schema/root.ts";
import { maxFileBytes, readSource, type Source } from "./source.ts";

export { ConfigError, formatProblem, type Problem } from "./problem.ts";

export interface Settings {
  readonly gateway: GatewaySettings;
  /** Address of console, API, health and metrics; null: not served. */
  readonly http: { readonly host: string; readonly port: number } | null;
  /** Origin under which browsers reach it (https://postern.example.com); null: its own address. */
  readonly publicUrl: string | null;
  readonly providers: readonly ProviderSettings[];
  /** Postern's own tokens. */
  readonly tokens: TokenSettings;
  readonly identity: IdentitySettings;
  /** Whether statements become spans. */
  readonly tracing: boolean;
  /** null: there is no MCP endpoint. */
  readonly mcp: McpSettings | null;
  /** Keys for what Postern must store; null: one of its own. */
  readonly storeKeys: readonly SecretSource[] | null;
  readonly audit: AuditSettings;
  /** Where the policy lies: an absolute path, or a built-in policy's name. null: none. */
  readonly policy: PolicyPlace | null;
  /** Where the audit log is streamed to. */
  readonly exports: readonly ExportSettings[];
  /** What the audit log's search index holds. */
  readonly index: IndexSettings;
  /** Where checkpoints go besides the audit log. */
  readonly anchors: readonly AnchorSettings[];
  /** Where nodes keep what they share. */
  readonly store: StoreSettings;
  /** What waits for a person. */
  readonly approvals: ApprovalSettings;
  readonly admin: {
    readonly admins: readonly string[];
    readonly auditors: readonly string[];
    readonly approvers: readonly string[];
  };
  /** Absolute path of the file. */
  readonly file: string;
  /** "sha256:" and the hex digest of the file's text. */
  readonly digest: string;
  /** What is accepted but will surprise: no effect yet, never used, expired. */
  readonly warnings: readonly Problem[];
}

/**
 * Reads and checks a configuration file. `path` may be relative to the working folder; paths inside the file are relative to
 * the file's folder. Named files are read and secrets resolved once, so that what is missing is known now.
 * Throws ConfigError with every problem found, never anything else.
 */
export async function loadConfig(path: string, env: NodeJS.ProcessEnv = process.env): Promise<Settings> {
  let text: string;
  try {
    // The byte order mark stays: the digest is of the file as it is.
    text = await readText(resolve(path), maxFileBytes, { keepMark: true });
  } catch (error) {
    const why = error instanceof FileFault ? error.message : "cannot be read";
    throw new ConfigError([
      {
        file: path,
        line: 1,
        column: 1,
        key: "",
        what: `the file ${why}`,
        expected: "a readable postern.yaml",
      },
    ]);
  }
  return parseConfig(text, path, env);
}

/** As loadConfig, from a text; `file` names it in problems and says where relative paths start. */
export async function parseConfig(
  text: string,
  file: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Settings> {
  const source = readSource(text, file);
  if (!source.usable) throw new ConfigError(inOrder(source.problems));
  const problems: Problem[] = [...source.problems];
  const warnings: Problem[] = [];
  if (typeof source.value !== "object" || source.value === null || Array.isArray(source.value)) {
    const what = source.value === null ? "the file is empty" : "the file is not a mapping of keys to values";
    const place = {
      file,
      line: 1,
      column: 1,
      key: "",
      what,
      expected: "a postern.yaml that starts with version: 1",
    };
    throw new ConfigError([...problems, place]);
  }

  const checks: (() => Promise<void>)[] = [];
  const context: Context = {
    folder: dirname(resolve(file)),
    env,
    raw: source.value,
    problem: (path, what, expected, at = "value") =>
      problems.push(problemAt(source, path, at, what, expected)),
    warning: (path, what, expected) => warnings.push(problemAt(source, path, "key", what, expected)),
    later: (check) => checks.push(check),
  };
  const shape = root.safeParse(source.value, { error: expectedText });
  for (const fault of explain(shape.error?.issues ?? [], source.value, knownKeys))
    context.problem(fault.path, fault.what, fault.expected, fault.atKey ? "key" : "value");

  const names = providerNames(context);
  const { listeners, http, publicUrl } = buildListen(context);
  const tls = await buildTls(context);
  const providers = await buildProviders(context);
  const tokens = buildTokens(context);
  const identity = buildIdentity(context);
  const mcp = buildMcp(context, providers, http !== null);
  const storeKeys = buildStoreKeys(context);
  const databases = await buildDatabases(context, names);
  const audit = buildAudit(context);
  const policy = buildPolicy(context);
  const exports = await buildExports(context);
  const index = buildIndex(context);
  const store = buildStore(context);
  const approvals = buildApprovals(context, names);
  const anchors = buildAnchors(context, audit?.dir ?? null);
  const limits = take(context, ["limits"], limitsSchema);
  const protocol = take(context, ["protocol"], protocolSchema);
  const admin = take(context, ["admin"], adminSchema);
  if (limits !== null && limits.statement_bytes > limits.message_bytes)
    context.problem(
      ["limits", "statement_bytes"],
      "is more than limits.message_bytes",
      "at most limits.message_bytes",
    );
  for (const role of ["admins", "auditors", "approvers"] as const)
    if (admin !== null) checkGroups(context, ["admin", role], admin[role], names);
  await runAll(checks);

  if (
    problems.length > 0 ||
    audit === null ||
    tokens === null ||
    limits === null ||
    protocol === null ||
    admin === null
  )
    throw new ConfigError(inOrder(problems));
  if (store === null || approvals === null) throw new ConfigError(inOrder(problems));
  return {
    gateway: {
      listeners,
      tls,
      databases,
      protocol: { functionCall: protocol.function_call },
      limits: {
        statementBytes: limits.statement_bytes,
        messageBytes: limits.message_bytes,
        connections: limits.connections,
        connectionsPerPrincipal: limits.connections_per_principal,
        startupSeconds: limits.startup_seconds,
        idleSeconds: limits.idle_seconds,
        holdSeconds: limits.hold_seconds,
        sessionSeconds: limits.session_seconds ?? null,
        warnSeconds: limits.warn_seconds,
        finishSeconds: limits.finish_seconds,
        refusals: {
          same: limits.refusals.same,
          session: limits.refusals.session,
          principal: limits.refusals.principal,
          pauseSeconds: limits.refusals.pause_seconds,
        },
      },
    },
    http,
    publicUrl,
    providers,
    tokens,
    identity,
    mcp,
    tracing: take(context, ["tracing"], tracingSchema)?.opentelemetry ?? false,
    storeKeys,
    audit,
    policy,
    exports,
    index,
    anchors,
    store,
    approvals,
    admin,
    file: resolve(file),
    digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
    warnings: inOrder(warnings),
  };
}

function problemAt(source: Source, path: Path, at: "key" | "value", what: string, expected: string): Problem {
  return { file: source.file, ...source.place(path, at), key: formatPath(path), what, expected };
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** A few at a time: a thousand databases must not start a thousand programs at once. */
async function runAll(checks: readonly (() => Promise<void>)[]): Promise<void> {
  const queue = [...checks];
  const worker = async () => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) await check();
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}
