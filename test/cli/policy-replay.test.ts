import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuditLog, uuidv7 } from "../../src/audit/index.ts";
import type { SessionRecord, StatementRecord } from "../../src/facts/audit.ts";
import { allowed, open, type Place, place, safe, sessionRecord, statementRecord } from "../audit/helpers.ts";
import { folder, postern } from "./support.ts";

let at: Place;
let policies: ReturnType<typeof folder>;

interface Asked {
  readonly statement: Partial<StatementRecord>;
  readonly decision?: {
    readonly verdict: "allow" | "deny";
    readonly rule: string | null;
    readonly code: string | null;
  };
  readonly masked?: readonly string[];
  readonly origins?: readonly string[];
  readonly session?: Partial<SessionRecord>;
}

function record(log: AuditLog, asked: Asked): void {
  const session = log.session({ ...sessionRecord, ...asked.session });
  const request = uuidv7();
  const intent = log.intent(session, {
    request,
    statement: log.statement({
      ...statementRecord,
      columns: [],
      functions: [],
      labels: [],
      ...asked.statement,
    }),
    protocol: "extended",
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: JSON.stringify({ sql: "select 1", parameters: [] }),
    parameters: "[]",
    decision: log.decision({ ...allowed, ...asked.decision, masked: asked.masked ?? [] }),
  });
  if (asked.origins === undefined) return;
  log.outcome(session, {
    request,
    intent,
    status: "ok",
    sqlstate: null,
    tag: "SELECT 0",
    columns: log.columns(asked.origins.map((origin) => ({ name: "c", type: "text", origin, masked: false }))),
    rows: 0,
    bytes: 0,
    complete: true,
    digest: null,
    rowsAffected: null,
    durationUs: 1,
    firstRowUs: null,
  });
}

beforeAll(async () => {
  at = place();
  policies = folder();
  policies.write(
    "p.yaml",
    `version: 1
labels:
  - { label: pii.email, columns: ["shop.*.*.email"] }
rules:
  - { name: read, when: 'statement.effects == ["read"]', then: allow }
  - { name: write, when: '"write" in statement.effects && !statement.unbounded_write', then: approve, approvers: { groups: [s] } }
`,
  );
  policies.write("q.yaml", "version: 1\nrules: [{ name: all, when: true, then: allow }]\n");
  const log = await open(at);
  record(log, { statement: { sql: "select id from orders" }, origins: ["public.orders.id"] });
  record(log, {
    statement: {
      sql: "select email from c",
      columns: ["public.c.email"],
      form: { clauses: [], statements: 1, uses: {} },
    },
    origins: ["public.c.email"],
  });
  record(log, { statement: { sql: "drop table t", kind: "ddl", command: "DROP TABLE", effects: ["ddl"] } });
  record(log, {
    statement: { sql: "update t set a = $1", kind: "update", effects: ["write"], writes: ["public.t"] },
  });
  record(log, { statement: { sql: "select old", effects: null, reads: null, columns: null } });
  const denied = { verdict: "deny", rule: null, code: "NO_RULE" } as const;
  record(log, { statement: { sql: "select b" }, decision: denied });
  record(log, { statement: { sql: "select b" }, decision: denied });
  record(log, {
    statement: { sql: "call" },
    decision: { verdict: "deny", rule: null, code: "FUNCTION_CALL" },
  });
  const other = { principal: { ...sessionRecord.principal, subject: "other" } };
  record(log, { statement: { effects: ["ddl"] }, session: other });
  await safe(log, "process");
  await log.close();
});
afterAll(() => {
  at.remove();
  policies.remove();
});

const replay = (...args: string[]) =>
  postern(["policy", "replay", "--dir", at.settings.dir, "--against", `${policies.path}/p.yaml`, ...args]);

test("what would change, alike ones together", async () => {
  const ran = await replay("--subject", "mary", "--fail-on-change");
  expect(ran.stderr).toBe("");
  expect(ran.code).toBe(1);
  const lines = ran.stdout.split("\n");
  const under = (title: string) => {
    const start = lines.findIndex((line) => line.startsWith(title));
    expect(start).toBeGreaterThanOrEqual(0);
    return lines.slice(start + 1, lines.indexOf("", start));
  };
  expect(under("newly denied (1)").join()).toContain(
    "drop table t — was allow by agents-read, now deny (NO_RULE)",
  );
  expect(under("newly allowed (2)")).toEqual([
    "      2×  mary (agent) on shop: select b — was deny, now allow by read",
  ]);
  expect(under("newly masked (1)").join()).toContain("now allow by read: public.c.email");
  const open = under("undetermined (2)").join("\n");
  expect(open).toContain("select old — was allow by agents-read: it was not analysed");
  expect(open).toContain("the record does not hold statement.unbounded_write: approve or deny");
  expect(lines.at(-2)).toMatch(/^8 statements: 1 unchanged, .*1 outside policy/);
});

test("as JSON, with a summary", async () => {
  const ran = await replay("--json", "--subject", "mary");
  expect(ran.code).toBe(0);
  const lines = ran.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({
    statements: 8,
    unreadable: 0,
    "newly denied": 1,
    "newly masked": 1,
    undetermined: 2,
  });
  expect(lines.map((line) => line.kind)).toEqual(expect.arrayContaining(["newly allowed", "undetermined"]));
  expect(ran.stdout).not.toContain("never in the log");
});

test("times and databases", async () => {
  const last = async (...args: string[]) => (await replay(...args)).stdout.trimEnd().split("\n").at(-1);
  expect(await last("--since", "1h")).toMatch(/^9 statements: /);
  expect(await last("--until", "1h")).toBe("0 statements");
  expect(await last("--database", "other")).toBe("0 statements");
  expect((await replay("--since", "yesterday")).code).toBe(2);
});

test("a policy that changes nothing", async () => {
  const ran = await postern([
    ...["policy", "replay", "--dir", at.settings.dir, "--against", `${policies.path}/q.yaml`],
    ...["--subject", "other", "--fail-on-change"],
  ]);
  expect(ran).toMatchObject({ code: 0, stdout: "1 statement: 1 unchanged\n" });
});

test("usage and mistakes", async () => {
  expect((await postern(["policy", "replay", "--dir", at.settings.dir])).stderr).toContain(
    "--against is missing",
  );
  const bad = policies.write("bad.yaml", "version: 3\n");
  const ran = await postern(["policy", "replay", "--dir", at.settings.dir, "--against", bad]);
  expect(ran).toMatchObject({ code: 2, stderr: `${bad}:1:10 version: is 3; expected 1\n` });
});
