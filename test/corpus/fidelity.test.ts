/**
 * One statement, one verdict: what observing records as the would-be verdict, what `policy replay` makes of that record, and what
 * `policy explain` and `test` say, is what enforcing does. Every `sql` case of the visible half of the corpus.
 */
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordedStatement } from "../../src/api/policy/records.ts";
import { createOffline, type Offline } from "../../src/gateway/analyst/offline.ts";
import { type CompiledPolicy, loadPolicy } from "../../src/policy/index.ts";
import { explainOne } from "../../src/policy/lab/explain.ts";
import { replay } from "../../src/policy/lab/replay.ts";
import { strictest, type Verdict, withEstimate, withMasks } from "../../src/policy/lab/run.ts";
import { type Leaf, startTestPostern, type TestPostern, testDatabase } from "../support/postern.ts";
import { cases, type Lab, runCase, startLab } from "./lab.ts";

const enforcing = readFileSync(new URL("policy.yaml", import.meta.url), "utf8");
const observingToo = enforcing.replace("version: 1", "version: 1\nmode: observe\nmasking: observe");
// What is slow on purpose is not let run to its end by an observing policy.
const sql = cases().filter((one) => one.kind === "sql" && one.expected !== "LIMIT");

let lab: Lab;
let observing: TestPostern;
let offline: Offline;
let policy: CompiledPolicy;
let observed: CompiledPolicy;

beforeAll(async () => {
  lab = await startLab(enforcing);
  await lab.cluster.query("lab", "alter role agent_ro set statement_timeout = '3s'");
  const { host, port } = lab.cluster;
  const options = {
    server: { host, port, user: "agent_ro", password: "agent" },
    dbname: "lab",
    name: "lab",
  };
  observing = await startTestPostern({ ...options, policy: observingToo });
  offline = createOffline([testDatabase(options)], pino({ level: "silent" }));
  policy = loadPolicy([{ file: "policy.yaml", text: enforcing }]);
  observed = loadPolicy([{ file: "policy.yaml", text: observingToo }]);
});

afterAll(async () => {
  await offline?.close();
  await observing?.stop();
  await lab?.stop();
});

interface Recorded {
  readonly verdict: Verdict["verdict"];
  readonly rule: string | null;
  readonly code: string | null;
}

interface Found {
  readonly decided: Recorded & { readonly masked: readonly string[]; readonly would?: Recorded };
  readonly intent: Leaf;
  readonly outcome: Leaf | null;
}

async function found(postern: TestPostern, tag: string): Promise<Found[]> {
  const leaves = await postern.records();
  const session = leaves.findLast(
    (leaf) => leaf.type === "session.start" && (leaf.client as { application: string }).application === tag,
  )?.session;
  const own = leaves.filter((leaf) => leaf.session === session);
  const outcomes = own.filter(({ type }) => type === "statement.outcome");
  return own
    .filter(({ type }) => type === "statement.intent")
    .map((intent, i) => ({
      decided: intent.decision as Found["decided"],
      intent,
      outcome: outcomes[i] ?? null,
    }));
}

const order = { allow: 0, approve: 1, deny: 2 } as const;

/** Of a message's parts; those that are denied because of another do not count. */
function worst(parts: readonly Recorded[]): Recorded {
  const [first = { verdict: "allow", rule: null, code: null } as const, ...more] = parts.filter(
    ({ code }) => code !== "OTHER_PART_DENIED",
  );
  const one = more.reduce((a, b) => (order[b.verdict] > order[a.verdict] ? b : a), first);
  return { verdict: one.verdict, rule: one.rule, code: one.code };
}

async function byTheTools(text: string, by: CompiledPolicy) {
  const principal = await lab.postern.identity.authenticate(
    await lab.postern.token({ groups: ["testers", "agents"] }),
  );
  const analysed = await offline.analyse({ database: "lab", sql: text, principal, policy: by });
  if (!analysed.ok) throw new Error(analysed.code);
  const verdicts: Verdict[] = [];
  const would: Recorded[] = [];
  for (const one of analysed.statements) {
    const asked = { principal, session: analysed.session, statement: one.facts, now: new Date() };
    const { decision, masks } = explainOne(by, one.sql, await withEstimate(by, asked, one), one);
    const verdict = withMasks(decision, masks);
    verdicts.push(verdict);
    would.push(decision.would ?? verdict);
  }
  const { verdict, rule, code, masked } = strictest(verdicts);
  return { decided: { verdict, rule, code }, masked, would: worst(would) };
}

describe.each(sql)("$id $sql", ({ id, sql: text }) => {
  test("one verdict", async () => {
    await runCase(lab, text, "simple", id);
    await runCase(observing, text, "simple", id);
    const enforced = await found(lab.postern, id);
    const real = worst(enforced.map(({ decided }) => decided));

    const told = await byTheTools(text, policy);
    expect(told.decided).toEqual(real);
    if (real.verdict === "allow")
      expect(told.masked).toEqual([...new Set(enforced.flatMap(({ decided }) => decided.masked))].sort());

    // PostgreSQL refuses it, whoever is asked; and where nothing is enforced nobody asks it first.
    const ours = real.code !== "SERVER_ERROR";
    const seen = await found(observing, id);
    if (ours) {
      expect(worst(seen.map(({ decided }) => decided.would ?? decided)), "would").toEqual({
        ...real,
        ...(real.verdict === "allow" ? { rule: expect.toBeOneOf([null, real.rule]) } : {}),
        ...(real.verdict === "approve" ? { code: "NEEDS_APPROVAL" } : {}),
      });
      expect((await byTheTools(text, observed)).would.verdict, "explain of an observing policy").toBe(
        real.verdict,
      );
    }

    // Each statement is replayed by itself, as if its message held no other.
    const [only, ...others] = seen;
    if (only === undefined || others.length > 0) return;
    const { intent, outcome } = only;
    const place = { log: "", dir: "", index: 0, segment: "", offset: 0 };
    const recorded = recordedStatement({ ...place, leaf: intent }, outcome);
    if (recorded === null) throw new Error("the record cannot be read");
    const replayed = replay(policy, recorded);
    if (replayed.kind === "undetermined" || replayed.kind === "outside policy") return;
    expect(replayed.now?.verdict, replayed.why ?? "").toBe(real.verdict);
    if (real.verdict !== "allow") expect(replayed.now?.code).toBe(real.code);
  });
});
