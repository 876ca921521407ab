/** Sample data in the shapes of the REST API: what a shop's gateway would say on a busy afternoon. */
import { randomUUID } from "node:crypto";
import type { Principal } from "../../../console/src/generated/api.ts";
import type {
  Approval,
  HeldStatement,
  Me,
  Session,
  StatementEvent,
  Verdict,
} from "../../../console/src/lib/types.ts";

export function ago(seconds: number): string {
  return new Date(Date.now() - seconds * 1000).toISOString();
}

const issuer = "https://idp.example.com";

export const jane: Principal = {
  subject: "jane@example.com",
  issuer,
  provider: "corp",
  email: "jane@example.com",
  kind: "agent",
  groups: ["agents", "support"],
  actor: [{ subject: "claude-agent", issuer }],
};
export const support: Principal = {
  subject: "agent-support",
  issuer,
  provider: "corp",
  email: "agent-support@example.com",
  kind: "agent",
  groups: ["agents", "support"],
  actor: [],
};
export const reports: Principal = {
  ...support,
  subject: "agent-reports",
  email: "agent-reports@example.com",
  groups: ["agents"],
};
export const erin: Principal = {
  subject: "erin@example.com",
  issuer,
  provider: "corp",
  email: "erin@example.com",
  kind: "human",
  groups: ["employees", "engineers", "dba"],
  actor: [],
};
export const importer: Principal = {
  ...support,
  subject: "nightly-import",
  email: null,
  kind: "service",
  groups: ["etl"],
};

export const ada: Me = {
  subject: "ada@example.com",
  issuer,
  provider: "corp",
  email: "ada@example.com",
  kind: "human",
  groups: ["employees", "data-stewards", "security"],
  actor: [],
  roles: ["admin", "auditor", "approver", "user"],
  authTime: ago(180),
  stepUpFresh: true,
  csrf: "csrf-of-the-double",
  expires: new Date(Date.now() + 7 * 3600_000).toISOString(),
  databases: [{ name: "shop" }, { name: "billing" }],
  offers: [
    { database: "shop", group: "oncall", maxSeconds: 14_400 },
    { database: "billing", group: "oncall", maxSeconds: 14_400 },
  ],
  version: "0.1.0",
  node: "gw-1",
  publicUrl: "http://127.0.0.1:8432",
  addresses: { postgres: "127.0.0.1:6432", http: "http://127.0.0.1:8432" },
  warnings: [],
};

export function session(who: Principal, over: Partial<Session> = {}): Session {
  return {
    id: randomUUID(),
    node: "gw-1",
    started: ago(1840),
    lastActive: ago(4),
    principal: who,
    claimed:
      who.kind === "agent"
        ? { agent: "claude-code", model: "claude-sonnet-4.5", run: "run-7f3a", intent: "answer ticket 4711" }
        : {},
    client: { ip: "10.0.4.17", application: "node-postgres", user: who.subject, via: "wire", tls: "TLSv1.3" },
    database: "shop",
    login: who.kind === "human" ? "shop_admin" : "shop_reader",
    state: "idle",
    statement: null,
    counters: { statements: 214, denied: 3, errors: 1, bytesIn: 48_213, bytesOut: 1_284_552 },
    approval: null,
    expires: new Date(Date.now() + 42 * 60_000).toISOString(),
    ...over,
  };
}

export interface Said {
  readonly who: Principal;
  readonly sql: string;
  readonly verdict: Verdict;
  readonly command: string;
  readonly rule: string | null;
  readonly code: string | null;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly masked: readonly string[];
  readonly rows: number | null;
}

const read = {
  verdict: "allow",
  command: "SELECT",
  rule: "agents-read",
  code: null,
  writes: [],
  masked: [],
} as const;

/** What callers say, over and over. */
export const script: readonly Said[] = [
  {
    ...read,
    who: jane,
    sql: "select id, full_name, email from customers where city = $1 order by id limit $2",
    reads: ["public.customers"],
    masked: ["public.customers.email"],
    rows: 3,
  },
  {
    ...read,
    who: reports,
    sql: "SELECT month, orders, revenue FROM monthly_revenue ORDER BY month DESC LIMIT $1",
    reads: ["public.monthly_revenue"],
    rows: 12,
  },
  {
    ...read,
    who: reports,
    sql: "SELECT p.category, sum(i.quantity * i.unit_price) AS sold FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY 1 ORDER BY 2 DESC",
    reads: ["public.order_items", "public.products"],
    rows: 8,
  },
  {
    who: reports,
    sql: "DROP TABLE customers",
    verdict: "deny",
    command: "DROP TABLE",
    rule: "default",
    code: "POLICY_DEFAULT",
    reads: [],
    writes: ["public.customers"],
    masked: [],
    rows: null,
  },
  {
    ...read,
    who: support,
    sql: "SELECT id, status, ordered_at FROM orders WHERE customer_id = $1 ORDER BY ordered_at DESC",
    reads: ["public.orders"],
    rows: 5,
  },
  {
    who: jane,
    sql: "SELECT full_name FROM customers WHERE email LIKE $1",
    verdict: "deny",
    command: "SELECT",
    rule: null,
    code: "MASK_PREDICATE",
    reads: ["public.customers"],
    writes: [],
    masked: [],
    rows: null,
  },
  {
    who: support,
    sql: "UPDATE orders SET status = $1, note = $2 WHERE id = $3",
    verdict: "approve",
    command: "UPDATE",
    rule: "writes-need-a-person",
    code: null,
    reads: ["public.orders"],
    writes: ["public.orders"],
    masked: [],
    rows: 1,
  },
  {
    who: importer,
    sql: "INSERT INTO stock_levels (product_id, warehouse, quantity) VALUES ($1, $2, $3) ON CONFLICT (product_id, warehouse) DO UPDATE SET quantity = excluded.quantity",
    verdict: "allow",
    command: "INSERT",
    rule: "etl-writes",
    code: null,
    reads: [],
    writes: ["public.stock_levels"],
    masked: [],
    rows: 1,
  },
  {
    who: erin,
    sql: "EXPLAIN ANALYZE SELECT count(*) FROM orders WHERE status = $1",
    verdict: "allow",
    command: "EXPLAIN",
    rule: "engineers",
    code: null,
    reads: ["public.orders"],
    writes: [],
    masked: [],
    rows: 1,
  },
  {
    who: reports,
    sql: "SELECT password_hash FROM customers",
    verdict: "deny",
    command: "SELECT",
    rule: "secret",
    code: "COLUMN_FORBIDDEN",
    reads: ["public.customers"],
    writes: [],
    masked: [],
    rows: null,
  },
];

export function statement(said: Said, over: Partial<StatementEvent> = {}): StatementEvent {
  return {
    time: new Date().toISOString(),
    session: "0198c0de-0000-7000-8000-000000000001",
    request: randomUUID(),
    index: 0,
    principal: said.who,
    claimed: said.who.kind === "agent" ? { agent: "claude-code", run: "run-7f3a" } : {},
    database: "shop",
    login: "shop_reader",
    sql: said.sql,
    kind: said.command.toLowerCase(),
    command: said.command,
    verdict: said.verdict,
    rule: said.rule,
    code: said.code,
    reads: said.reads,
    writes: said.writes,
    masked: said.masked,
    approval: null,
    ...over,
  };
}

export function held(sql: string, over: Partial<HeldStatement> = {}): HeldStatement {
  return {
    sql,
    fingerprint: "a1b2c3d4",
    kind: "update",
    command: "UPDATE",
    effects: ["read", "write"],
    reads: ["public.orders"],
    writes: ["public.orders"],
    columns: ["public.orders.id", "public.orders.status", "public.orders.note"],
    functions: ["pg_catalog.now"],
    labels: [],
    masked: [],
    parameters: [],
    unboundedWrite: false,
    ...over,
  };
}

export function approval(
  who: Principal,
  statements: readonly HeldStatement[],
  over: Partial<Approval> = {},
): Approval {
  return {
    id: randomUUID(),
    kind: "statement",
    state: "pending",
    mode: "wait",
    created: ago(74),
    expires: new Date(Date.now() + 226_000).toISOString(),
    decided: null,
    requester: who,
    claimed: {
      agent: "claude-code",
      model: "claude-sonnet-4.5",
      run: "run-7f3a",
      intent:
        "The customer of order 4711 says the parcel never came. Cancel the order and leave a note for the warehouse.",
    },
    session: randomUUID(),
    request: randomUUID(),
    node: "gw-1",
    database: "shop",
    login: "shop_writer",
    via: "wire",
    application: "node-postgres",
    ip: "10.0.4.17",
    statements,
    searchPath: '"$user", public',
    transaction: null,
    access: null,
    demands: [],
    url: null,
    votes: [],
    missing: [{ rule: "writes-need-a-person", groups: ["data-stewards"], count: 1 }],
    policy: "sha256:6f1c0d9a1f1f5c1b8a6f2f0d9f3d1c7b5a4e3d2c1b0a9f8e7d6c5b4a39281706",
    rules: ["writes-need-a-person"],
    message: "Writes of agents need a person.",
    limits: { rows: 1000, bytes: 10_485_760, timeoutMs: 30_000, affectedRows: 100, perMinute: null },
    estimate: { rows: 1, cost: 8.31 },
    warnings: [],
    preview: null,
    scope: { kind: "once" },
    usesLeft: 1,
    binding: "9f2c4f0e7d1b".padEnd(64, "0"),
    can: { approve: true, deny: true, why: null, code: null, stepUp: false },
    ...over,
  };
}

/** An inbox as it could be. */
export function inbox(): readonly Approval[] {
  const orders = held(
    "UPDATE orders SET status = $1, note = note || $2, updated_at = now() WHERE id = $3 AND status <> 'delivered'",
    {
      parameters: [
        { type: "text", text: "cancelled" },
        { type: "text", text: " / parcel lost, customer O'Brien called on 22 November" },
        { type: "int8", text: "4711" },
      ],
    },
  );
  const erase = held(
    "DELETE FROM support_tickets WHERE opened_at < now() - interval '2 years' RETURNING id",
    {
      kind: "delete",
      command: "DELETE",
      reads: ["public.support_tickets"],
      writes: ["public.support_tickets"],
      columns: ["public.support_tickets.id", "public.support_tickets.opened_at"],
    },
  );
  return [
    approval(support, [orders], {
      warnings: [
        {
          code: "TRIGGER",
          text: "A trigger will fire: orders_audit_trail (AFTER UPDATE).",
          object: "public.orders",
        },
        {
          code: "IN_TRANSACTION",
          text: "The session is inside a transaction of 14 s that holds row locks.",
          object: null,
        },
      ],
      transaction: {
        open: true,
        ageMs: 14_200,
        locks: ["RowExclusiveLock on public.orders", "RowShareLock on public.customers"],
      },
    }),
    approval(jane, [erase], {
      created: ago(31),
      expires: new Date(Date.now() + 48_000).toISOString(),
      claimed: {
        agent: "claude-code",
        model: "claude-sonnet-4.5",
        run: "run-81bc",
        intent: "Clean up tickets that retention no longer allows.",
      },
      estimate: { rows: 18_240, cost: 2410.7 },
      limits: { rows: 1000, bytes: 10_485_760, timeoutMs: 30_000, affectedRows: null, perMinute: null },
      warnings: [
        {
          code: "CASCADE",
          text: "Rows of ticket_messages go with it (ON DELETE CASCADE).",
          object: "public.ticket_messages",
        },
        {
          code: "FOREIGN_KEY",
          text: "ticket_refunds refers to this table.",
          object: "public.ticket_refunds",
        },
      ],
      votes: [
        {
          approver: { subject: "omar@example.com", issuer, provider: "corp", email: "omar@example.com" },
          verdict: "approve",
          reason: "Retention run agreed in OPS-311.",
          time: ago(12),
          scope: { kind: "once" },
          authenticated: ago(140),
        },
      ],
      missing: [{ rule: "deletes-need-two", groups: ["data-stewards", "dpo"], count: 1 }],
      rules: ["deletes-need-two", "writes-need-a-person"],
    }),
    approval(erin, [], {
      kind: "access",
      mode: "ticket",
      created: ago(420),
      expires: new Date(Date.now() + 3_000_000).toISOString(),
      claimed: {},
      statements: [],
      login: "",
      estimate: null,
      message: null,
      access: {
        group: "oncall",
        seconds: 3600,
        reason: "Pager: checkout latency. I need to read pg_stat_activity and the orders of the last hour.",
      },
      missing: [{ rule: "access", groups: ["security"], count: 1 }],
      rules: [],
    }),
    approval(
      reports,
      [
        held("REFRESH MATERIALIZED VIEW CONCURRENTLY monthly_revenue", {
          kind: "utility",
          command: "REFRESH MATERIALIZED VIEW",
          writes: ["public.monthly_revenue"],
          parameters: [],
        }),
      ],
      {
        mode: "ticket",
        created: ago(900),
        expires: new Date(Date.now() + 600_000).toISOString(),
        claimed: { agent: "codex", intent: "The weekly report shows old numbers." },
        estimate: null,
        warnings: [
          {
            code: "NOT_ROLLED_BACK",
            text: "Its effect cannot be tried out: it does not run inside a transaction that is rolled back.",
            object: null,
          },
        ],
        can: {
          approve: false,
          deny: false,
          why: "Your groups are not among data-platform.",
          code: "NOT_APPROVER",
          stepUp: false,
        },
        missing: [{ rule: "refresh", groups: ["data-platform"], count: 1 }],
      },
    ),
  ];
}

/** What was decided before. */
export function decided(): readonly Approval[] {
  const note = held("INSERT INTO support_tickets (customer_id, subject, body) VALUES ($1, $2, $3)", {
    kind: "insert",
    command: "INSERT",
    parameters: [
      { type: "int8", text: "1" },
      { type: "text", text: "Parcel" },
      { type: "text", text: null },
    ],
  });
  const vote = {
    approver: { subject: "ada@example.com", issuer, provider: "corp", email: "ada@example.com" },
    verdict: "approve",
    reason: null,
    time: ago(3000),
    scope: { kind: "once" },
    authenticated: ago(3100),
  } as const;
  return [
    approval(support, [note], {
      state: "used",
      created: ago(3050),
      decided: ago(3000),
      expires: ago(2700),
      votes: [vote],
      missing: [],
      usesLeft: 0,
    }),
    approval(
      jane,
      [
        held("UPDATE customers SET email = $1", {
          unboundedWrite: true,
          parameters: [{ type: "text", text: "nobody@example.com" }],
        }),
      ],
      {
        state: "denied",
        created: ago(7200),
        decided: ago(7100),
        expires: ago(6900),
        votes: [
          {
            ...vote,
            verdict: "deny",
            reason: "No WHERE clause: this would overwrite every customer's address.",
            time: ago(7100),
          },
        ],
        missing: [],
      },
    ),
    approval(reports, [held("VACUUM orders", { kind: "utility", command: "VACUUM" })], {
      state: "gone",
      created: ago(9000),
      decided: ago(8960),
      expires: ago(8700),
    }),
  ];
}
