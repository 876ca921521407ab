/** Approvals over a store in memory or one handed in, with everything they put on record. */
import {
  type ApprovalAsk,
  type Approvals,
  type ApprovalsDeps,
  type Approver,
  createApprovals,
  defaultApprovalSettings,
  requesterOf,
} from "../../src/approvals/index.ts";
import type { ApprovalEvent } from "../../src/facts/audit.ts";
import type { ApproverDemand } from "../../src/facts/decision.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";

export const nowSeconds = () => Math.floor(Date.now() / 1000);

export function principal(subject: string, more: Partial<Principal> = {}): Principal {
  return {
    subject,
    issuer: "https://idp.example",
    email: `${subject}@example.com`,
    kind: "human",
    groups: [],
    actor: [],
    provider: "corp",
    claims: {},
    token: { jti: null, sha256: "0".repeat(64), issued: null, expires: nowSeconds() + 3600 },
    ...more,
  };
}

export const agent = principal("robot", { kind: "agent", email: null, groups: ["agents"] });

export function steward(subject = "ann", more: Partial<Principal> = {}): Approver {
  return {
    principal: principal(subject, { groups: ["data-stewards"], ...more }),
    authTime: nowSeconds() - 5,
  };
}

export function demand(more: Partial<ApproverDemand> = {}): ApproverDemand {
  return {
    rule: "writes-need-a-person",
    groups: ["data-stewards"],
    count: 1,
    withinMs: 60_000,
    allowDelegator: false,
    ticket: false,
    breakGlass: null,
    ...more,
  };
}

const secret = "4111 1111 1111 1111";

export function ask(more: Partial<ApprovalAsk> = {}): ApprovalAsk {
  return {
    mode: "wait",
    requester: requesterOf(agent),
    claimed: { agent: "claude", intent: "tidy up" },
    session: "s-1",
    request: "r-1",
    database: "shop",
    login: "shop_writer",
    via: "wire",
    application: "psql",
    ip: "127.0.0.1",
    statements: [
      {
        sql: `update customers set note = '${secret}' where id = $1`,
        fingerprint: "f1",
        kind: "update",
        command: "UPDATE",
        effects: ["read", "write"],
        reads: ["public.customers"],
        writes: ["public.customers"],
        columns: ["public.customers.id", "public.customers.note"],
        functions: [],
        labels: [],
        masked: [],
        parameters: [{ type: "int4", text: "7" }],
        unboundedWrite: false,
      },
    ],
    searchPath: "public",
    transaction: null,
    demands: [demand()],
    policy: "sha256:p",
    rules: ["writes-need-a-person"],
    message: null,
    limits: { rows: null, bytes: null, timeoutMs: null, affectedRows: 100, perMinute: null },
    estimate: null,
    warnings: [],
    binding: "b".repeat(64),
    shape: "c".repeat(64),
    holdMs: 30_000,
    breakGlass: null,
    ...more,
  };
}

export interface Room {
  readonly store: Store;
  readonly approvals: Approvals;
  readonly events: ApprovalEvent[];
  /** Types of events, with the verdict or why. */
  said(): string[];
  close(): Promise<void>;
}

export async function room(more: Partial<ApprovalsDeps> = {}): Promise<Room> {
  const store = more.store ?? memoryStore();
  const events: ApprovalEvent[] = [];
  const approvals = await createApprovals({
    store,
    settings: defaultApprovalSettings,
    node: "n1",
    publicUrl: () => "https://postern.example",
    record: (event) => void events.push(event),
    ...more,
  });
  return {
    store,
    approvals,
    events,
    said: () =>
      events.map(({ type, fields }) =>
        [type, fields.action ?? fields.verdict ?? fields.why].filter((word) => word != null).join(" "),
      ),
    async close() {
      await approvals.close();
      if (more.store === undefined) await store.close();
    },
  };
}

export const secretValue = secret;
