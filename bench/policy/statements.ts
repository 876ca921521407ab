/**
 * What understanding and deciding a statement costs on our side: CPU of the functions that the data path calls, in this
 * process, with a catalog and query trees of a real server. The server's own time is not in it.
 */
import { createSecretKey } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { encodeAsk } from "../../src/analysis/ask.ts";
import { AskReader, type AskResult } from "../../src/analysis/ask-read.ts";
import { readTouched } from "../../src/analysis/touched.ts";
import { openAuditLog } from "../../src/audit/index.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { createJudging } from "../../src/gateway/analyst/registry.ts";
import { createTalk } from "../../src/gateway/analyst/talk.ts";
import type { AuthenticatedClient } from "../../src/gateway/ports.ts";
import type { DatabaseSettings, LoginSettings } from "../../src/gateway/settings.ts";
import { prepare } from "../../src/gateway/statement/intend.ts";
import { judgeMessage } from "../../src/gateway/statement/judge/message.ts";
import { createGuarding, type Question, unsettle } from "../../src/gateway/statement/judgement.ts";
import { charge, uncountable } from "../../src/gateway/statement/limits.ts";
import { createNames } from "../../src/gateway/statement/names.ts";
import type { Walk } from "../../src/gateway/statement/state.ts";
import { connectUpstream } from "../../src/gateway/upstream/connect.ts";
import { createMaskKeys } from "../../src/masking/index.ts";
import { createBudgets, loadPolicy } from "../../src/policy/index.ts";
import { FrameReader } from "../../src/protocol/index.ts";
import { createSqlReader } from "../../src/sql/index.ts";
import { median } from "./load.ts";
import { templates } from "./texts.ts";

/** Different new statements of each form. */
const fresh = 480;
/** Before them: the compiler must have seen what a gateway sees in its first minutes. */
const warm = 1200;
/**
 * Looking at the clock takes longer than some of the parts: they are measured over some statements at once, not over more than may
 * be under way in a gateway, for what waits for its answer survives collections.
 */
const batch = 12;
const hits = 100_000;

export interface ServerPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly dbname: string;
}

/** Prints the CPU of each way to a decision. */
export async function benchStatements(place: ServerPlace, policyText: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-policy-bench-"));
  const audit = await openAuditLog(
    {
      dir: join(folder, "audit"),
      keys: join(folder, "keys"),
      cluster: "bench",
      node: "bench",
      durability: "process",
      parameters: "keep",
      results: { digest: true, captureRows: 0 },
    },
    { version: "bench" },
  );
  const login: LoginSettings = {
    groups: ["bench"],
    user: place.user,
    password: { label: "bench", read: async () => place.password },
  };
  const database: DatabaseSettings = {
    name: place.dbname,
    server: {
      host: place.host,
      port: place.port,
      dbname: place.dbname,
      tls: { mode: "disable", ca: null, cert: null, key: null },
    },
    replication: false,
    logins: [login],
    pool: { max: 5, minIdle: 0, reset: "discard_all" },
  };
  const policy = loadPolicy([{ file: "policy.yaml", text: policyText }]);
  const judging = createJudging({ current: policy }, createBudgets(), pino({ level: "silent" }));
  const reader = createSqlReader();
  const guard = createGuarding(
    "bench",
    judging,
    {
      principal,
      application: "bench",
      ip: "127.0.0.1",
      tls: null,
      claimed: {},
      parameters: new Map<string, string>(),
    } as unknown as AuthenticatedClient,
    database,
    login,
    false,
    false,
    new Map(),
  );
  // No session stands behind it whose settings could be asked for.
  guard.uncertain = false;
  // The parts of a session that reading and judging look at.
  const walk = {
    audit,
    reader,
    guard,
    durability: "process",
    parameters: "keep",
    contexts: new WeakMap(),
    names: createNames(),
    transaction: "I",
    batch: 0,
    maskKeys: createMaskKeys(createSecretKey(Buffer.alloc(32, 7))),
  } as unknown as Walk;
  const connection = await connectUpstream(database, login, new Map(), { timeoutMs: 10_000 });
  const talk = createTalk(connection.socket, { timeoutMs: 10_000, answerBytes: 1 << 26 });

  try {
    const view = await guard.analyst.ready(policy);

    /** Everything up to the decision; false: the server must be asked. */
    const decide = (text: string, questions: Question[]): boolean => {
      const prepared = reader.read(text).statements.map((one) => prepare(walk, one.text, one.shape, null));
      const verdicts = judgeMessage(walk, guard, prepared, questions);
      if (verdicts === null) return false;
      const [judgement] = verdicts.judgements;
      if (judgement?.refusal != null) throw new Error(`refused: ${judgement.refusal.message}`);
      uncountable(prepared, verdicts.judgements);
      charge(walk, verdicts.judgements);
      return true;
    };
    const encode = (question: Question): Buffer =>
      encodeAsk({
        text: question.text,
        parameterTypes: question.types,
        searchPath: guard.searchPath,
        quietLog: view.catalog.login.mayQuietLog,
      });
    const take = (question: Question, answer: Buffer): void => {
      const frames = new FrameReader("backend", { maxMessage: 1 << 26 });
      const asked = new AskReader();
      frames.push(answer);
      for (let frame = frames.next(); frame !== null; frame = frames.next())
        asked.push(frame.type, frame.body);
      const touched = understood(question, asked.result, view.catalog);
      guard.fresh.set(question.key, { kind: "touched", touched });
      guard.answers.set(question.key, { kind: "touched", touched });
    };

    for (const { name, text } of templates) {
      const spent: Record<"read" | "encode" | "answer" | "decide", number[]> = {
        read: [],
        encode: [],
        answer: [],
        decide: [],
      };
      let sizes = "";
      for (let from = 0; from < warm + fresh; from += batch) {
        const some: { text: string; answer: Buffer; questions: Question[] }[] = [];
        for (let i = from; i < from + batch; i++) {
          const one = received(text(i, 0));
          some.push({ text: one, answer: await answerTo(one), questions: [] });
        }
        const [first] = some;
        if (from === 0 && first !== undefined)
          sizes = `${Buffer.byteLength(first.text)} bytes, tree ${(first.answer.length / 1024).toFixed(0)} KiB`;
        const lap = (part: keyof typeof spent, work: (one: (typeof some)[number]) => void) => {
          const began = process.cpuUsage();
          for (const one of some) work(one);
          const { user, system } = process.cpuUsage(began);
          if (from >= warm) spent[part].push((user + system) / some.length);
        };
        lap("read", (one) => {
          guard.attempts = 0;
          if (decide(one.text, one.questions)) throw new Error("nothing to ask");
        });
        lap("encode", ({ questions }) => questions.forEach(encode));
        lap("answer", ({ questions, answer }) => {
          for (const question of questions) take(question, answer);
        });
        lap("decide", (one) => {
          if (!decide(one.text, one.questions)) throw new Error("no decision");
        });
      }
      const parts = Object.entries(spent).map(([part, batches]) => ({ part, us: median(batches) }));
      const total = parts.reduce((sum, { us }) => sum + us, 0);
      const each = parts.map(({ part, us }) => `${part} ${us.toFixed(0)}`).join(", ");
      show(`new, ${name}`, total, `${sizes}; ${each}`);
    }

    for (const { name, text } of [point, ...templates]) {
      const variants = Array.from({ length: 20_000 }, (_, i) => received(text(0, i)));
      // A shape that was pushed out of the cache is read anew once.
      for (const one of variants.slice(0, 2)) {
        const questions: Question[] = [];
        if (decide(one, questions)) continue;
        for (const question of questions) take(question, await answerTo(question.text));
        decide(one, []);
      }
      const exact = measure(hits, () => decide(variants[0] as string, []));
      let at = 0;
      const shape = measure(variants.length - 1, () => decide(variants[++at] as string, []));
      const size = `${Buffer.byteLength(variants[0] as string)} bytes`;
      show(`exact text, ${name}`, exact, size);
      show(`shape, ${name}`, shape, size);
      const [statement] = reader
        .read(variants[0] as string)
        .statements.map((one) => prepare(walk, one.text, one.shape, null));
      if (statement === undefined) throw new Error("no statement");
      show(
        `  judging alone, ${name}`,
        measure(hits, () => judgeMessage(walk, guard, [{ ...statement, judged: null }], [])),
        "a shape judged before in this session",
      );
      const anew = measure(5_000, () => {
        unsettle(guard);
        judgeMessage(walk, guard, [{ ...statement, judged: null }], []);
      });
      show(`  judging anew, ${name}`, anew, "first time in a session; another session has asked");
    }
  } finally {
    talk.close();
    judging.close();
    await reader.close();
    await audit.close();
    rmSync(folder, { recursive: true, force: true });
  }

  /** The bytes with which the server answers. */
  async function answerTo(text: string): Promise<Buffer> {
    const parts: Buffer[] = [];
    await talk.run(encodeAsk({ text, searchPath: null, quietLog: false }), ({ type, body }) => {
      const header = Buffer.alloc(5);
      header[0] = type;
      header.writeInt32BE(body.length + 4, 1);
      parts.push(header, Buffer.from(body));
    });
    return Buffer.concat(parts);
  }
}

const point = {
  name: "SELECT by key",
  text: (_: number, literal: number) =>
    `SELECT abalance FROM pgbench_accounts WHERE aid = ${100_000 + literal};`,
};

const principal: Principal = {
  subject: "bench-service",
  issuer: "https://idp.example.com",
  email: null,
  kind: "service",
  groups: ["bench"],
  actor: [],
  provider: "bench",
  claims: {},
  token: { jti: null, sha256: "0".repeat(64), issued: null, expires: 4_000_000_000 },
};

function understood(
  question: Question,
  result: AskResult | null,
  catalog: Parameters<typeof readTouched>[1],
) {
  if (result?.ok !== true) throw new Error(`the server refused: ${result?.message ?? "no answer"}`);
  const touched = readTouched(result.trees, catalog, {
    kind: question.kind === "estimate" || question.kind === "expressions" ? "statement" : question.kind,
  });
  if (touched.problems.length > 0) throw new Error(touched.problems[0]?.message);
  return touched;
}

/** A text as it comes from a socket: one flat string. */
function received(text: string): string {
  return Buffer.from(text).toString("utf8");
}

/** CPU microseconds of one call, all threads: the median of ten times. */
function measure(count: number, call: () => unknown): number {
  const some = Math.floor(count / 11);
  const times: number[] = [];
  for (let turn = 0; turn < 11; turn++) {
    const began = process.cpuUsage();
    for (let i = 0; i < some; i++) call();
    const { user, system } = process.cpuUsage(began);
    // The first is for the compiler.
    if (turn > 0) times.push((user + system) / some);
  }
  return median(times);
}

function show(name: string, us: number, remark: string): void {
  console.log(`  ${name.padEnd(40)} ${us.toFixed(1).padStart(7)} us   ${remark}`);
}
