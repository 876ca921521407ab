/** A log with realistic records, in a folder of its own. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditLog, ResultDigest, type SessionContext, uuidv7 } from "../../src/audit/index.ts";
import { type OpenOptions, openAuditLog } from "../../src/audit/open.ts";
import type { AuditSettings } from "../../src/audit/settings.ts";
import type { Durability, SessionRecord, StatementRecord } from "../../src/facts/audit.ts";

export interface Place {
  readonly root: string;
  readonly settings: AuditSettings;
  /** The log's own folder. */
  readonly dir: string;
  remove(): void;
}

export function place(durability: Durability = "process", folder = tmpdir()): Place {
  const root = mkdtempSync(join(folder, "postern-audit-test-"));
  const settings = {
    dir: join(root, "audit"),
    keys: join(root, "keys"),
    cluster: "test",
    node: "gw-1",
    durability,
    parameters: "keep",
    results: { digest: true, captureRows: 0 },
    retentionSeconds: null,
  } as const;
  return {
    root,
    settings,
    dir: join(root, "audit", "gw-1", "0"),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export function open(at: Place, options: Partial<OpenOptions> = {}): Promise<AuditLog> {
  return openAuditLog(at.settings, { version: "0.0.0-test", ...options });
}

export const sessionRecord: SessionRecord = {
  session: "0198a000-0000-7000-8000-000000000001",
  principal: {
    subject: "mary",
    issuer: "https://idp.example.com",
    email: "mary@example.com",
    kind: "agent",
    groups: ["agents", "analysts"],
    actor: [{ subject: "agent-7", issuer: null }],
    provider: "corp",
    claims: { secret: "never in the log" },
    token: { jti: "t-1", sha256: "ab".repeat(32), issued: 1_795_000_000, expires: 1_795_003_600 },
  },
  client: { ip: "127.0.0.1", port: 5123, tls: "TLSv1.3", application: "psql", user: "whoever", via: "wire" },
  claimed: { agent: "report-bot", run: "run-42", intent: "find the big spenders" },
  database: { name: "shop", login: "shop_reader", backend: 4711, server_version: "18.4" },
};

export const statementRecord: StatementRecord = {
  sql: "select email from customers where id = $1",
  fingerprint: "f00d",
  kind: "select",
  command: "SELECT",
  effects: ["read"],
  reads: ["public.customers"],
  writes: [],
  columns: null,
  functions: null,
  labels: null,
};

export const allowed = {
  verdict: "allow",
  rule: "agents-read",
  rules: ["agents-read"],
  code: null,
  policy: null,
  masked: [],
  limits: {},
} as const;

export function safe(log: AuditLog, level: Durability): Promise<void> {
  return new Promise((auditSafe, auditFailed) => log.whenSafe(level, { auditSafe, auditFailed }));
}

export interface Sent {
  readonly request: string;
  readonly index: number;
}

/** Queues one intent. */
export function intend(
  log: AuditLog,
  session: SessionContext,
  sql = "select email from customers where id = 7",
): Sent {
  const request = uuidv7();
  const index = log.intent(session, {
    request,
    statement: log.statement(statementRecord),
    protocol: "extended",
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: JSON.stringify({ sql, parameters: ["7"] }),
    parameters: '[{"type":"int4"}]',
    decision: log.decision(allowed),
  });
  return { request, index };
}

/** Queues the outcome of `sent`: one row of 12 bytes. */
export function conclude(log: AuditLog, session: SessionContext, sent: Sent): number {
  const digest = new ResultDigest();
  const row = Buffer.from("D\0\0\0\x0b\0\x01\0\0\0\x01\x30", "latin1");
  digest.update(row, 0, row.length);
  return log.outcome(session, {
    request: sent.request,
    intent: sent.index,
    status: "ok",
    sqlstate: null,
    tag: "SELECT 1",
    columns: log.columns([{ name: "email", type: "text", origin: "public.customers.email", masked: true }]),
    rows: 1,
    bytes: row.length,
    complete: true,
    digest,
    rowsAffected: null,
    durationUs: 1234,
    firstRowUs: 800,
  });
}

/** A small closed log with process- and disk-mode parts, in two segments and two runs of the writer. */
export async function writeSample(at: Place): Promise<void> {
  for (let run = 0; run < 2; run++) {
    const log = await open(at, run === 0 ? { limits: { segmentBytes: 4000 } } : {});
    const session = log.session(sessionRecord);
    log.sessionStart(session);
    const first = intend(log, session);
    await safe(log, "process");
    conclude(log, session, first);
    const second = intend(log, session);
    await safe(log, run === 0 ? "process" : "disk");
    conclude(log, session, second);
    conclude(log, session, second);
    await log.settle();
    log.sessionEnd(session, { reason: "client left", statements: 2, bytesIn: 1, bytesOut: 2, durationMs: 3 });
    await log.close();
  }
}

export interface Line {
  readonly tag: string;
  readonly text: string;
  readonly at: number;
}

export function segments(at: Place): string[] {
  return readdirSync(join(at.dir, "segments")).sort();
}

/** All lines of a log, in order. */
export function lines(at: Place): Line[] {
  return segments(at).flatMap((name) => {
    let offset = 0;
    return readFileSync(join(at.dir, "segments", name), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const found = { tag: line[0] ?? "", text: line.slice(2), at: offset };
        offset += Buffer.byteLength(line) + 1;
        return found;
      });
  });
}

/** All leaves of a log as objects. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into records of every shape
export function leaves(at: Place): any[] {
  return lines(at)
    .filter((l) => l.tag === "L")
    .map((l) => JSON.parse(l.text));
}
