/** What the MCP endpoint needs of the rest of the house. */
import type pino from "pino";
import type { Approver } from "../approvals/index.ts";
import type { Approval } from "../facts/approval.ts";
import type { Principal } from "../facts/principal.ts";
import type { Gateway } from "../gateway/index.ts";
import type { Protection } from "../identity/protection.ts";
import type { Sealer, Store } from "../store/index.ts";
import type { McpSettings } from "./settings.ts";

/** Tokens → principals. Rejects with an error that has a stable `code`. */
export interface McpAuthenticator {
  authenticate(
    token: string,
    context: { readonly ip: string; readonly via: "mcp"; readonly audience: "mcp" },
  ): Promise<Principal>;
}

/** What is asked of the room where people decide. All reject when its store cannot be reached. */
export interface McpApprovals {
  get(id: string): Promise<Approval | null>;
  /** Resolves when it is no longer pending; rejects when `signal` is aborted. */
  settled(id: string, signal: AbortSignal): Promise<Approval>;
  /** Takes back what the caller asked for; rejects with ApprovalError NOT_PENDING where nothing is in force. */
  revoke(id: string, by: Approver, reason: string): Promise<Approval>;
}

/** Where tasks are kept, so that any node can go on with them. */
export interface McpTaskStore {
  readonly store: Store;
  /** Seals statements and results; null: they are kept as they are (tests). */
  readonly sealer: Sealer | null;
}

/** One statement of the caller's own, from the audit trail. */
export interface Activity {
  readonly time: string;
  readonly database: string;
  /** Literals stripped. */
  readonly sql: string | null;
  readonly verdict: string;
  readonly code: string | null;
  readonly status: string | null;
  readonly rows: number | null;
  readonly request: string;
}

export interface McpDeps {
  readonly gateway: Pick<Gateway, "attach" | "access" | "authFailed">;
  readonly identity: McpAuthenticator;
  /** Makes whoever fails too often wait, here and at the other doors; left out: nobody waits. */
  readonly protection?: Protection;
  /** null: there are no approvals here. */
  readonly approvals: McpApprovals | null;
  /** null: held statements are told of plainly, also to clients that follow tasks. */
  readonly tasks: McpTaskStore | null;
  readonly settings: McpSettings;
  /** Where clients reach the http listener, without a slash at its end; null: not known yet. */
  publicUrl(): string | null;
  /** What the caller's principal did last, newest first; null: nobody keeps it. */
  readonly activity: ((principal: Principal, limit: number) => Promise<readonly Activity[]>) | null;
  readonly version: string;
  readonly logger: pino.Logger;
}

/** Who calls, and over which connection. */
export interface Caller {
  readonly principal: Principal;
  readonly ip: string;
  readonly port: number;
  /** TLS version; null: plain. */
  readonly tls: string | null;
  /** What the client's HTTP library says of itself. */
  readonly userAgent: string | null;
  readonly traceparent: string | null;
  /** Answers the JSON-RPC request of this id with this result, in the place of what the tool gives. */
  answerWith(id: string | number, result: Readonly<Record<string, unknown>>): void;
}
