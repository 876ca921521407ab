/** A log with sessions, statements and outcomes of many kinds, in several segments; and the index's content as it can be compared and changed. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BlockStore } from "../../src/audit/index/blocks.ts";
import { rowOf } from "../../src/audit/index/check.ts";
import { type Block, blockOf, blockSize } from "../../src/audit/index/columns.ts";
import { valuesIn } from "../../src/audit/index/valuestore.ts";
import type { AuditLog, SessionContext } from "../../src/audit/index.ts";
import { uuidv7 } from "../../src/audit/index.ts";
import type { LogPlace } from "../../src/audit/read/leaves.ts";
import type { OutcomeStatus, StatementRecord } from "../../src/facts/audit.ts";
import { open, type Place, safe, sessionRecord, statementRecord } from "./helpers.ts";

export interface Say {
  readonly statement?: Partial<StatementRecord>;
  readonly verdict?: "allow" | "deny" | "approve";
  readonly rule?: string | null;
  readonly masked?: readonly string[];
  readonly exact?: string;
  readonly parameters?: readonly unknown[];
  readonly status?: OutcomeStatus | null;
  readonly sqlstate?: string | null;
  readonly rows?: number;
  readonly affected?: number | null;
}

/** One statement; gives a function that records its outcome, and its intent's index. */
export function say(
  log: AuditLog,
  session: SessionContext,
  what: Say = {},
): { index: number; request: string; end(): void } {
  const request = uuidv7();
  const statement = { ...statementRecord, ...what.statement };
  const verdict = what.verdict ?? "allow";
  const rule = what.rule === undefined ? "agents-read" : what.rule;
  const index = log.intent(session, {
    request,
    statement: log.statement(statement),
    protocol: "extended",
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: JSON.stringify({
      sql: what.exact ?? "select email from customers where id = 7",
      parameters: what.parameters ?? [],
    }),
    parameters: '[{"type":"int4"}]',
    decision: log.decision({
      verdict,
      rule,
      rules: rule === null ? [] : [rule, "also-this"],
      code: verdict === "deny" ? "POLICY_DENY" : null,
      policy: null,
      masked: what.masked ?? [],
      limits: {},
    }),
  });
  const { status = verdict === "deny" ? "denied" : "ok" } = what;
  return {
    index,
    request,
    end: () => {
      if (status === null) return;
      log.outcome(session, {
        request,
        intent: index,
        status,
        sqlstate: what.sqlstate ?? (status === "ok" ? null : "42501"),
        tag: status === "ok" ? "SELECT 1" : null,
        columns: null,
        rows: what.rows ?? 0,
        bytes: 0,
        complete: true,
        digest: null,
        rowsAffected: what.affected ?? null,
        durationUs: 10,
        firstRowUs: null,
      });
    },
  };
}

export const people = [
  sessionRecord,
  {
    ...sessionRecord,
    session: "0198a000-0000-7000-8000-00000000000b",
    principal: {
      ...sessionRecord.principal,
      subject: "bob “quoted” § ünïcode",
      groups: ["dba"],
      kind: "human" as const,
      actor: [],
      token: { ...sessionRecord.principal.token, jti: "t-2", sha256: "cd".repeat(32) },
    },
    claimed: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    database: { ...sessionRecord.database, name: "crm" },
  },
];

export const shapes: readonly Partial<StatementRecord>[] = [
  {},
  {
    sql: "update public.orders set status = $1 where customer_email = $2",
    fingerprint: "beef",
    kind: "update",
    command: "UPDATE",
    effects: ["read", "write"],
    reads: ["public.orders"],
    writes: ["public.orders"],
    columns: ["public.orders.status", 'public."Odd.Name".c'],
    functions: ["pg_catalog.lower"],
    labels: ["pii.email"],
  },
  {
    sql: 'select * from "Sales Data" s join tickets on true',
    fingerprint: "cafe",
    reads: null,
    writes: null,
    effects: null,
  },
  { sql: null, fingerprint: null, kind: null, command: null, reads: null, writes: null, effects: null },
  // Longer than a leaf: the text and the list go to blobs.
  {
    sql: `select ${Array.from({ length: 2500 }, (_, n) => `column_${n}`).join(", ")} from wide`,
    fingerprint: "10de",
    reads: Array.from({ length: 400 }, (_, n) => `public.part_${n}`),
    writes: [],
  },
];

/** Writes `rounds` rounds of every shape, by every person, with outcomes that come at once, later, and never. */
export async function writeVaried(at: Place, rounds = 3): Promise<void> {
  for (let run = 0; run < 2; run++) {
    const log = await open(at, { limits: { segmentBytes: 40_000 } });
    const late: (() => void)[] = [];
    for (const person of people) {
      const session = log.session(person);
      log.sessionStart(session);
      for (let round = 0; round < rounds; round++)
        for (const [n, statement] of shapes.entries()) {
          const said = say(log, session, {
            statement,
            verdict: n === 1 && round === 1 ? "deny" : n === 2 ? "approve" : "allow",
            rule: n === 3 ? null : `rule-${n}`,
            exact: `select 'Secret ${run}${round}${n}', 4.25, $$it's$$ -- 99`,
            parameters: [`value-${run}-${round}-${n}`, null, "42"],
            status:
              n === 4 && round === 2
                ? null
                : n === 2 && round === 1
                  ? "error"
                  : n === 1 && round === 1
                    ? "denied"
                    : "ok",
          });
          if (n % 2 === 0) said.end();
          else late.push(said.end);
          await safe(log, round === 0 ? "process" : "disk");
        }
      log.sessionEnd(session, {
        reason: "client left",
        statements: 9,
        bytesIn: 1,
        bytesOut: 2,
        durationMs: 3,
      });
    }
    for (const end of late) end();
    log.authFailed({
      code: "TOKEN_EXPIRED",
      cause: "the token expired",
      ip: "10.0.0.9",
      port: 1,
      tls: null,
      user: "x",
      database: "shop",
      application: null,
      tokenSha256: "ef".repeat(32),
    });
    log.event("admin.action", { action: "test", note: "Zürich naïve" });
    await log.close();
  }
}

export function placeOf(at: Place): LogPlace {
  return { name: "gw-1/0", dir: at.dir };
}

/** All that an index says, in an order and with names that do not depend on how it was built. */
export function indexContent(dir: string) {
  const db = new DatabaseSync(join(dir, "index.db"), { readOnly: true });
  try {
    const blocks = new BlockStore(db);
    const terms = new Map<unknown, unknown>(
      db
        .prepare("SELECT id, terms FROM part")
        .all()
        .map(({ id, terms }) => [id, terms]),
    );
    const rows: unknown[] = [];
    const values: string[] = [];
    for (const { number } of db.prepare("SELECT number FROM block ORDER BY number").all()) {
      const block = blocks.get(Number(number));
      for (let slot = 0; slot < (block?.count ?? 0); slot++) {
        const row = rowOf(block, Number(number) * blockSize + slot);
        if (row === null) continue;
        const { session, statement, own, ...rest } = row;
        rows.push({ ...rest, terms: [session, statement, own].map((part) => terms.get(part) ?? part) });
      }
      values.push(...[...valuesIn(db, Number(number))].map(({ name }) => name));
    }
    const posted = db
      .prepare("SELECT terms, span FROM posting JOIN part ON id = part ORDER BY terms, span")
      .all();
    const tables = ["tally", "touched", "frame", "block"].map((t) =>
      db.prepare(`SELECT * FROM ${t} ORDER BY 1, 2, 3`).all(),
    );
    return { rows, values: values.sort(), posted, parts: [...terms.values()].sort(), tables };
  } finally {
    db.close();
  }
}

/** Changes what the index says of record `index`. */
export function changeRow(dir: string, index: number, change: (block: Block, slot: number) => void): void {
  const db = new DatabaseSync(join(dir, "index.db"));
  try {
    const blocks = new BlockStore(db);
    const block = blocks.growing(blockOf(index));
    change(block, index % blockSize);
    blocks.flush();
  } finally {
    db.close();
  }
}
