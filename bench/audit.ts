/**
 * What a record costs: CPU per event (process.cpuUsage, all threads) of the audit log alone, for process and disk
 * durability and batches of 1 to 128 events. A batch is what one turn of the event loop gathers. `node bench/audit.ts [events]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuditLog, ResultDigest, uuidv7 } from "../src/audit/index.ts";
import { verifyLog } from "../src/audit/verify/index.ts";
import type { Durability } from "../src/facts/audit.ts";

const events = Number(process.argv[2] ?? 200_000);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), "postern-bench-audit-"));

function micros(value: number): string {
  return value.toFixed(2).padStart(8);
}

async function run(name: string, durability: Durability, batch: number, count: number): Promise<void> {
  const dir = join(folder, name);
  const log = await openAuditLog(
    {
      dir,
      keys: join(dir, "keys"),
      cluster: "bench",
      node: "bench",
      durability,
      parameters: "keep",
      results: { digest: true, captureRows: 0 },
    },
    { version: "bench" },
  );
  const session = log.session({
    session: uuidv7(),
    principal: {
      subject: "agent-7",
      issuer: "https://idp.example.com",
      email: null,
      kind: "agent",
      groups: ["agents"],
      actor: [],
      provider: "corp",
      claims: {},
      token: { jti: uuidv7(), sha256: "0".repeat(64), issued: 1_700_000_000, expires: 1_700_003_600 },
    },
    client: {
      ip: "127.0.0.1",
      port: 54321,
      tls: "TLSv1.3",
      application: "pgbench",
      user: "agent",
      via: "wire",
    },
    claimed: {},
    database: { name: "shop", login: "shop_reader", backend: 4711, server_version: "18.4" },
  });
  const statement = log.statement({
    sql: "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    fingerprint: "a1b2c3d4e5f60718",
    kind: "select",
    command: "SELECT",
    effects: null,
    reads: null,
    writes: null,
    columns: null,
    functions: null,
    labels: null,
  });
  const decision = log.decision({
    verdict: "allow",
    rule: null,
    rules: [],
    code: null,
    policy: null,
    masked: [],
    limits: {},
  });
  const columns = log.columns([{ name: "abalance", type: "int4", origin: null, masked: false }]);
  const digest = new ResultDigest();
  const row = Buffer.from("D\0\0\0\x0c\0\x01\0\0\0\x01\x30", "latin1");
  let left = count;
  let n = 0;
  const pairs = Math.max(1, batch / 2);
  // Intents of a turn wait for the log; their outcomes come in a later turn, as the server's replies do.
  const turn = (done: () => void): void => {
    if (left <= 0) {
      done();
      return;
    }
    const open: { request: string; intent: number }[] = [];
    let waiting = 0;
    for (let i = 0; i < pairs; i++) {
      const request = uuidv7();
      n++;
      const intent = log.intent(session, {
        request,
        statement,
        protocol: "extended",
        index: 0,
        transaction: "I",
        name: "P0_1",
        portal: "",
        sealed: `{"sql":"SELECT abalance FROM pgbench_accounts WHERE aid = $1","parameters":["${n}"]}`,
        parameters: '[{"type":"int4"}]',
        decision,
      });
      open.push({ request, intent });
      left -= 2;
    }
    const finish = (): void => {
      for (const { request, intent } of open) {
        digest.reset();
        digest.update(row, 0, row.length);
        log.outcome(session, {
          request,
          intent,
          status: "ok",
          sqlstate: null,
          tag: "SELECT 1",
          columns,
          rows: 1,
          bytes: row.length,
          complete: true,
          digest,
          rowsAffected: null,
          durationUs: 123,
          firstRowUs: 100,
        });
      }
    };
    const safe = {
      auditSafe(): void {
        waiting--;
        if (waiting > 0) return;
        // The outcomes share a batch with the next turn's intents; with one event a batch they have their own.
        finish();
        if (batch === 1) setImmediate(() => setImmediate(() => turn(done)));
        else turn(done);
      },
      auditFailed(error: Error): void {
        throw error;
      },
    };
    for (let i = 0; i < pairs; i++) {
      waiting++;
      log.whenSafe(durability, safe);
    }
  };
  const go = (): Promise<void> => new Promise((resolve) => turn(resolve));
  left = Math.min(20_000, count / 4);
  await go();
  await log.settle();
  left = count;
  const cpu = process.cpuUsage();
  const start = performance.now();
  await go();
  await log.settle();
  const used = process.cpuUsage(cpu);
  const wall = performance.now() - start;
  await log.close();
  const before = process.cpuUsage();
  const report = verifyLog(join(dir, "bench", "0"));
  const check = process.cpuUsage(before);
  const checked = (check.user + check.system) / 1000;
  const line = [
    name.padEnd(14),
    `${micros((used.user + used.system) / count)} us CPU/event (${micros(used.user / count)} user)`,
    `${Math.round((count / wall) * 1000)} events/s`.padStart(18),
    `verify ${report.ok ? Math.round((report.leaves / checked) * 1000) : "FAILED"} events/s of CPU`,
    `${Math.round(report.bytes / report.leaves)} bytes/event`,
  ];
  console.log(line.join("  "));
  rmSync(dir, { recursive: true });
}

try {
  for (const batch of process.env.B ? [+process.env.B] : [1, 4, 64])
    await run(`process x${batch}`, "process", batch, events);
  // Two events a statement: 16 and 128 are 8 and 64 statements at a time.
  for (const batch of process.env.B ? [] : [1, 4, 16, 64, 128])
    await run(`disk x${batch}`, "disk", batch, batch === 1 ? events / 40 : events / 10);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
