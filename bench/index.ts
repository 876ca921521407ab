/**
 * The search index: events a second when it is built (CPU of the process, the figure that does not depend on who else uses the machine, and by
 * the clock), and milliseconds of searches. `node bench/index.ts [events]`; a million or more are indexed once only.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IndexWriter } from "../src/audit/index/writer.ts";
import { openAuditLog, ResultDigest, uuidv7 } from "../src/audit/index.ts";
import { type SearchFilters, searchLog } from "../src/audit/read/search.ts";

const events = Number(process.argv[2] ?? 200_000);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), "postern-bench-index-"));
const keys = join(folder, "keys");
const place = { name: "", dir: join(folder, "bench", "0") };
const tables = ["customers", "orders", "order_items", "products", "invoices", "tickets", "rare_table"];
const columns = ["id", "email", "status", "created_at", "total", "city", "note", "customer_id"];

async function write(): Promise<void> {
  const log = await openAuditLog(
    {
      dir: folder,
      keys,
      cluster: "bench",
      node: "bench",
      durability: "process",
      parameters: "keep",
      results: { digest: true, captureRows: 0 },
    },
    { version: "bench" },
  );
  const sessions = Array.from({ length: 100 }, (_, n) =>
    log.session({
      session: uuidv7(),
      principal: {
        subject: n === 99 ? "rare" : `agent-${n % 20}`,
        issuer: "https://idp.example.com",
        email: null,
        kind: "agent",
        groups: ["agents", `team-${n % 5}`],
        actor: [],
        provider: "corp",
        claims: {},
        token: {
          jti: `token-${n}`,
          sha256: n.toString(16).padStart(64, "0"),
          issued: 1_700_000_000,
          expires: 1_700_003_600,
        },
      },
      client: {
        ip: "127.0.0.1",
        port: 50_000 + n,
        tls: "TLSv1.3",
        application: "bench",
        user: "agent",
        via: "wire",
      },
      claimed: { agent: "report-bot", model: "some-model", run: `run-${n}` },
      database: { name: "shop", login: "shop_reader", backend: 4711 + n, server_version: "18.4" },
    }),
  );
  const statements = Array.from({ length: 200 }, (_, n) => {
    const table = n === 199 ? "rare_table" : (tables[n % (tables.length - 1)] ?? "");
    const column = columns[n % columns.length] ?? "";
    return log.statement({
      sql: `select ${column}, shape${n} from public.${table} as t where t.${columns[(n * 3) % columns.length]} = $1 and deleted is null order by created_at desc limit $2`,
      fingerprint: n.toString(16).padStart(16, "0"),
      kind: "select",
      command: "SELECT",
      effects: ["read"],
      reads: [`public.${table}`],
      writes: [],
      columns: [`public.${table}.${column}`],
      functions: [],
      labels: n % 10 === 0 ? ["pii.email"] : [],
    });
  });
  const decision = log.decision({
    verdict: "allow",
    rule: "agents-read",
    rules: ["agents-read"],
    code: null,
    policy: null,
    masked: [],
    limits: {},
  });
  const result = log.columns([
    { name: "email", type: "text", origin: "public.customers.email", masked: false },
  ]);
  const digest = new ResultDigest();
  const row = Buffer.from("D\0\0\0\x0b\0\x01\0\0\0\x01\x30", "latin1");
  for (let n = 0; n < events / 2; ) {
    const open: { readonly n: number; readonly request: string; readonly intent: number }[] = [];
    for (let i = 0; i < 500 && n < events / 2; i++, n++) {
      const session = sessions[n % 5000 === 0 ? 99 : n % 99];
      const statement = statements[n % 5000 === 0 ? 199 : n % 199];
      if (session === undefined || statement === undefined) continue;
      const request = uuidv7();
      const sealed = `{"sql":"select email from public.customers where id = ${n} limit 10","parameters":["${n}","10"]}`;
      const intent = log.intent(session, {
        request,
        statement,
        protocol: "extended",
        index: 0,
        transaction: "I",
        name: "",
        portal: "",
        sealed,
        parameters: '[{"type":"int4"}]',
        decision,
      });
      open.push({ n, request, intent });
    }
    await new Promise<void>((auditSafe, auditFailed) => log.whenSafe("process", { auditSafe, auditFailed }));
    for (const { n: number, request, intent } of open) {
      const session = sessions[number % 5000 === 0 ? 99 : number % 99];
      if (session === undefined) continue;
      digest.reset();
      digest.update(row, 0, row.length);
      log.outcome(session, {
        request,
        intent,
        status: "ok",
        sqlstate: null,
        tag: "SELECT 1",
        columns: result,
        rows: 1,
        bytes: 12,
        complete: true,
        digest,
        rowsAffected: null,
        durationUs: 123,
        firstRowUs: 100,
      });
    }
  }
  await log.close();
}

function build(name: string, withKeys: string | null, batch: number): void {
  const writer = new IndexWriter(place, { keys: withKeys });
  writer.reset();
  const cpu = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  for (let n = writer.step(batch); n > 0; n = writer.step(batch)) count += n;
  const wall = performance.now() - start;
  const used = process.cpuUsage(cpu);
  writer.close();
  const micros = (used.user + used.system) / count;
  const size = statSync(join(place.dir, "index.db")).size / count;
  console.log(
    `${name.padEnd(34)} ${micros.toFixed(1)} us CPU/event = ${Math.round(1e6 / micros)} events/s CPU, ${Math.round((count / wall) * 1000)} events/s by the clock, ${Math.round(size)} bytes/event`,
  );
}

function search(name: string, filters: SearchFilters, limit = 100): void {
  const times: number[] = [];
  let hits = 0;
  const cpu = process.cpuUsage();
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    hits = searchLog(place, filters, limit, { keys }).hits.length;
    times.push(performance.now() - start);
  }
  const used = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const each = (used.user + used.system) / times.length / 1000;
  console.log(
    `${name.padEnd(34)} ${times[2]?.toFixed(1)} ms (worst ${times[4]?.toFixed(1)}), ${each.toFixed(1)} ms CPU, ${hits} hits`,
  );
}

try {
  await write();
  // Large logs are indexed once: it is their searches that count.
  const large = events >= 1_000_000;
  if (!large) {
    build("build, small steps (live)", null, 300);
    build("the same, known values (live)", keys, 300);
    build("build, large steps", null, 20_000);
  }
  build("build, large steps, known values", keys, 20_000);
  search("subject, frequent", { subject: "agent-7" });
  search("subject, rare", { subject: "rare" });
  search("subject, none", { subject: "nobody" });
  search("token id", { token: "token-42" });
  search("table, frequent", { table: "public.customers" });
  search("table, rare", { table: "rare_table" });
  search("word, in every statement", { text: "deleted" });
  search("word, rare", { text: "shape199" });
  search("word and subject and status", { text: "shape7", subject: "agent-7", status: "ok" });
  search("words that never meet", { text: "shape7 shape8" });
  search("status, none", { status: "error" });
  search("known value", { value: String(Math.floor(events / 3)) });
  search("a run", { run: "run-42" }, 10_000);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
