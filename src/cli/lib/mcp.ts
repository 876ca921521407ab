/** The MCP endpoint of a running gateway, for the http listener. */
import type { AuditLog } from "../../audit/index.ts";
import { type AuditReader, startAuditReader } from "../../audit/read/reader.ts";
import type { Settings } from "../../config/index.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Activity, McpDeps } from "../../mcp/index.ts";

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

/** Two issuers may know the same subject. */
function isOwn(leaf: Leaf, { subject, issuer }: Principal): boolean {
  const principal = member(leaf, "principal");
  return principal.subject === subject && principal.issuer === issuer;
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
