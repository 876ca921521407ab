/**
 * The audit and policy routes of the stand-in, over a real log: records are written by src/audit, proofs are the gateway's own,
 * the policy is policies/agent-safe.yaml through the real compiler. Only searching is done by hand, from memory.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditHit, AuditRequest, RunSummary, Stats } from "../../../console/src/generated/api.ts";
import { claimedOf, kindOf, statusOf, verdictOf } from "../../../console/src/trail/fromRecord.ts";
import { list, number, objects, text } from "../../../console/src/trail/record.ts";
import type { Json } from "../../../console/src/trail/types.ts";
import { nameOfSegment } from "../../../src/api/segment.ts";
import { ResultDigest, uuidv7 } from "../../../src/audit/index.ts";
import { withBlobs } from "../../../src/audit/read/leaves.ts";
import { runStory } from "../../../src/audit/read/run.ts";
import { sentence } from "../../../src/audit/read/sentence.ts";
import { proveLeaf } from "../../../src/audit/verify/index.ts";
import type { SessionRecord } from "../../../src/facts/audit.ts";
import { loadPolicy, PolicyError } from "../../../src/policy/index.ts";
import { lines, open, type Place, place, sessionRecord } from "../../audit/helpers.ts";
import type { Answer, Double } from "./double.ts";
import { overflowing } from "./hostile.ts";
import { jane, type Said, script, support } from "./sample.ts";

export interface TrailData {
  readonly place: Place;
  readonly origin: string;
  readonly hits: AuditHit[];
  /** The leaves as they are stored. */
  readonly stored: readonly string[];
  remove(): void;
}

const run = "run-7f3a";

/** Writes a log of a busy hour: reads, masks, denials, a write after approval, an error, a rolled-back change. */
export async function makeTrail(extra: readonly Said[] = []): Promise<TrailData> {
  const at_ = place();
  const log = await open(at_);
  const said: readonly Said[] = [
    ...Array.from({ length: 40 }, (_, i) => script[i % script.length]),
    ...extra,
  ].filter((one): one is Said => one !== undefined);
  const sessions = new Map<string, ReturnType<typeof log.session>>();
  const exact: string[] = [];
  for (const [n, one] of said.entries()) {
    const { who } = one;
    let session = sessions.get(who.subject);
    if (session === undefined) {
      const record: SessionRecord = {
        ...sessionRecord,
        session: uuidv7(),
        principal: {
          ...sessionRecord.principal,
          subject: who.subject,
          email: who.email,
          kind: who.kind,
          groups: who.groups ?? [],
          actor: who.actor,
        },
        client: { ...sessionRecord.client, ip: "10.0.4.17", application: "node-postgres", user: who.subject },
        claimed:
          who.kind === "agent"
            ? {
                agent: "claude-code",
                model: "claude-sonnet-4.5",
                run,
                intent: "Answer ticket 4711: where is the parcel?",
              }
            : {},
        database: { ...sessionRecord.database, name: "shop" },
      };
      session = log.session(record);
      sessions.set(who.subject, session);
      log.sessionStart(session);
    }
    const request = uuidv7();
    const sql = one.sql.replace(/\$1/g, "'Berlin'").replace(/\$2/g, "10");
    exact.push(sql);
    const failed = n % 17 === 9;
    const index = log.intent(session, {
      request,
      statement: log.statement({
        sql: one.sql,
        fingerprint: `f${script.indexOf(one)}`.padEnd(16, "0"),
        kind: one.command.toLowerCase(),
        command: one.command,
        effects: one.writes.length > 0 ? ["read", "write"] : ["read"],
        reads: one.reads,
        writes: one.writes,
        columns: one.reads.flatMap((name) => [`${name}.id`, `${name}.email`]),
        functions: [],
        labels: one.masked.length > 0 ? ["pii.email"] : [],
      }),
      protocol: "extended",
      index: 0,
      transaction: "I",
      name: "",
      portal: "",
      sealed: JSON.stringify({ sql, parameters: ["Berlin", "10"] }),
      parameters: '[{"type":"text"},{"type":"int4"}]',
      decision: log.decision({
        verdict: one.verdict,
        rule: one.rule,
        rules: one.rule === null ? [] : [one.rule],
        code: one.code,
        policy: activePolicy().digest,
        masked: one.masked,
        limits: one.verdict === "deny" ? {} : { rows: 1000, bytes: 10_485_760, timeoutMs: 30_000 },
      }),
    });
    const denied = one.verdict === "deny";
    const digest = new ResultDigest();
    const row = Buffer.from("D\0\0\0\x0b\0\x01\0\0\0\x01\x30", "latin1");
    digest.update(row, 0, row.length);
    log.outcome(session, {
      request,
      intent: index,
      status: denied ? "denied" : failed ? "error" : "ok",
      sqlstate: denied ? "42501" : failed ? "23505" : null,
      tag: denied || failed ? null : `${one.command} ${one.rows ?? 0}`,
      columns: log.columns(
        denied
          ? []
          : [
              { name: "id", type: "int8", origin: `${one.reads[0] ?? "public.t"}.id`, masked: false },
              {
                name: "email",
                type: "text",
                origin: `${one.reads[0] ?? "public.t"}.email`,
                masked: one.masked.length > 0,
              },
            ],
      ),
      rows: denied ? 0 : (one.rows ?? 0),
      bytes: row.length * (one.rows ?? 0),
      complete: true,
      digest,
      rowsAffected: one.writes.length > 0 && !denied ? one.rows : null,
      durationUs: 900 + n * 137,
      firstRowUs: 700,
    });
  }
  await log.close();
  const stored = lines(at_)
    .filter((l) => l.tag === "L")
    .map((l) => l.text);
  return { place: at_, origin: "test/gw-1/0", stored, hits: hitsOf(stored), remove: at_.remove };
}

let policy: ReturnType<typeof loadPolicy> | null = null;
const policyText = readFileSync(join(import.meta.dirname, "../../../policies/agent-safe.yaml"), "utf8");
function activePolicy() {
  policy ??= loadPolicy([{ file: "agent-safe.yaml", text: policyText }]);
  return policy;
}

function hitsOf(stored: readonly string[]): AuditHit[] {
  const records = stored.map((one) => JSON.parse(one) as Json);
  return records
    .flatMap((record, index) => {
      if (record.type !== "statement.intent") return [];
      const outcome = records.find(
        (one) => one.type === "statement.outcome" && number(one, "intent.index") === index,
      );
      return [hitOf(record, index, outcome ?? null)];
    })
    .reverse();
}

function hitOf(record: Json, index: number, outcome: Json | null): AuditHit {
  const subject = text(record, "principal.subject") ?? "";
  return {
    id: text(record, "id") ?? "",
    index,
    log: "gw-1/0",
    type: "statement.intent",
    time: text(record, "time") ?? "",
    request: text(record, "request") ?? "",
    statementIndex: number(record, "statement.index") ?? 0,
    session: text(record, "session") ?? "",
    principal: {
      subject,
      issuer: text(record, "principal.issuer") ?? "",
      provider: "corp",
      email: null,
      kind: kindOf(text(record, "principal.kind")),
      groups: [...(list(record, "principal.groups") ?? [])],
      actor: objects(record, "principal.actor").map((one) => ({
        subject: text(one, "subject") ?? "",
        issuer: null,
      })),
    },
    claimed: claimedOf(record),
    database: text(record, "database.name") ?? "",
    login: "shop_reader",
    sql: text(record, "statement.sql"),
    kind: text(record, "statement.kind"),
    command: text(record, "statement.command"),
    verdict: verdictOf(text(record, "decision.verdict")),
    rule: text(record, "decision.rule"),
    code: text(record, "decision.code"),
    reads: list(record, "statement.reads"),
    writes: list(record, "statement.writes"),
    columns: list(record, "statement.columns"),
    labels: list(record, "statement.labels"),
    masked: list(record, "decision.masked") ?? [],
    status: outcome === null ? null : statusOf(text(outcome, "status")),
    sqlstate: text(outcome, "sqlstate"),
    tag: text(outcome, "tag"),
    rows: number(outcome, "result.rows"),
    bytes: number(outcome, "result.bytes"),
    rowsAffected: number(outcome, "rows_affected"),
    durationUs: number(outcome, "duration_us"),
    undone: null,
    approval: null,
    sentence: sentence(record, null, outcome),
  };
}

/** A trail of `count` statements that are not in any log: for scrolling. */
export function manyHits(data: TrailData, count: number): AuditHit[] {
  return Array.from({ length: count }, (_, n) => {
    const hit = data.hits[n % data.hits.length];
    if (hit === undefined) throw new Error("no hits");
    const time = new Date(Date.now() - n * 1700).toISOString();
    return { ...hit, id: `many-${n}`, index: count - n, time, rows: n };
  });
}

function fits(hit: AuditHit, search: URLSearchParams): boolean {
  const same = (name: string, value: string | null) => {
    const wanted = search.get(name);
    return wanted === null || wanted === value;
  };
  const has = (name: string, values: readonly string[] | null) => {
    const wanted = search.get(name);
    return wanted === null || (values ?? []).some((one) => one === wanted || one.endsWith(`.${wanted}`));
  };
  const words = search.get("text")?.toLowerCase().split(/\s+/) ?? [];
  const since = search.get("since");
  const until = search.get("until");
  return (
    same("type", hit.type) &&
    same("subject", hit.principal.subject) &&
    same("verdict", hit.verdict) &&
    same("status", hit.status) &&
    same("database", hit.database) &&
    same("rule", hit.rule) &&
    same("session", hit.session) &&
    same("run", hit.claimed.run ?? null) &&
    has("table", [...(hit.reads ?? []), ...(hit.writes ?? [])]) &&
    has("column", hit.columns) &&
    has("label", hit.labels) &&
    words.every((word) => `${hit.sql} ${hit.sentence}`.toLowerCase().includes(word)) &&
    (since === null || hit.time >= since) &&
    (until === null || hit.time <= until)
  );
}

const notFound: Answer = {
  status: 404,
  body: { error: { code: "NOT_FOUND", message: "There is no such record." } },
};

/** One run for each claimed name; what claims none is a run of its session. */
function runsOf(records: readonly Json[]): RunSummary[] {
  const runs = new Map<string, RunSummary>();
  for (const record of records) {
    if (record.type !== "statement.intent") continue;
    const claimed = text(record, "claimed.run");
    // As the gateway lists them: people and services only where they claim a run.
    if (claimed === null && text(record, "principal.kind") !== "agent") continue;
    const name = claimed ?? text(record, "session") ?? "";
    const time = text(record, "time") ?? "";
    const known = runs.get(name);
    runs.set(name, {
      run: name,
      kind: claimed === null ? "session" : "run",
      first: known?.first ?? time,
      last: time,
      statements: (known?.statements ?? 0) + 1,
      denied: (known?.denied ?? 0) + (text(record, "decision.verdict") === "deny" ? 1 : 0),
      subject: text(record, "principal.subject"),
      others: 0,
      principalKind: text(record, "principal.kind"),
      agent: text(record, "claimed.agent"),
      model: text(record, "claimed.model"),
      databases: [text(record, "database.name") ?? ""],
    });
  }
  return [...runs.values()].reverse();
}

/** Puts the routes into the stand-in. `hits`: what the search finds; the rest is of the log. */
export function serveTrail(double: Double, data: TrailData, hits: readonly AuditHit[] = data.hits): void {
  const key = readFileSync(join(data.place.dir, "log.vkey"), "utf8").trim();
  const records = data.stored.map((one) => withBlobs(data.place.dir, JSON.parse(one) as Json) as Json);
  double.on("GET /api/audit", ({ search }) => {
    const fitting = hits.length > 10_000 && search.size <= 3 ? hits : hits.filter((hit) => fits(hit, search));
    const from = Number(search.get("after") ?? 0);
    // Many are given faster than the gateway would: it is the page that is tried.
    const most = hits.length > 10_000 ? 5000 : Number(search.get("limit") ?? 50);
    const next = from + most < fitting.length ? String(from + most) : null;
    return { body: { items: fitting.slice(from, from + most), next, notices: [] } };
  });
  double.on("GET /api/audit/checkpoint", () => {
    const note = readFileSync(join(data.place.dir, "checkpoint"), "utf8");
    const [log = "", size = "0", root = "", , time = ""] = note.split("\n");
    return {
      body: {
        log,
        note,
        size: Number(size),
        root: Buffer.from(root, "base64").toString("hex"),
        time: time.slice(5),
        key,
        anchors: [{ anchor: "log", anchored: Number(size), unanchored: 0, failing: false, ageSeconds: 4 }],
      },
    };
  });
  double.on("GET /api/audit/stats", ({ search }) => ({ body: statsOf(data, search) }));
  double.on("GET /api/audit/runs", ({ search }) => {
    const runs = runsOf(records).filter(({ subject }) => [null, subject].includes(search.get("subject")));
    const from = Number(search.get("after") ?? 0);
    const items = runs.slice(from, from + 50);
    return { body: { items, next: from + 50 < runs.length ? String(from + 50) : null } };
  });
  double.on("GET /api/audit/runs/:run", ({ params }) => {
    const entries = records.flatMap((record, index) =>
      record.type === "statement.outcome"
        ? []
        : [
            {
              log: "gw-1/0",
              index,
              record,
              outcome:
                records.find((o) => o.type === "statement.outcome" && number(o, "intent.index") === index) ??
                null,
              opened: null,
            },
          ],
    );
    const story = runStory(nameOfSegment(params.run ?? ""), entries);
    return story.statements.length === 0 ? notFound : { body: { ...story, notices: [] } };
  });
  double.on("GET /api/audit/:request", ({ params }) => {
    const parts = records.flatMap((record, index): AuditRequest["parts"] => {
      if (record.type !== "statement.intent" || record.request !== params.request) return [];
      const end = records.findIndex(
        (o) => o.type === "statement.outcome" && number(o, "intent.index") === index,
      );
      const outcome = records[end];
      return [
        {
          intent: { record, index, log: data.origin, id: text(record, "id") ?? "" },
          outcome:
            outcome === undefined
              ? null
              : { record: outcome, index: end, log: data.origin, id: text(outcome, "id") ?? "" },
          sql: (text(record, "statement.sql") ?? "").replace(/\$1/g, "'Berlin'"),
          parameters: ["Berlin", "10"],
          claimedIntent: "Answer ticket 4711: where is the parcel?",
          seal: null,
          sealed: null,
          undone: null,
          sentence: sentence(record, null, outcome ?? null),
        },
      ];
    });
    return parts.length === 0
      ? notFound
      : { body: { request: params.request, parts, others: [], session: null, approval: null } };
  });
  double.on("GET /api/audit/:id/proof", ({ params }) => {
    const index = records.findIndex((record) => record.id === params.id);
    const stored = data.stored[index];
    if (stored === undefined) return notFound;
    const proof = proveLeaf(data.place.dir, key, index, stored);
    if (!proof.ok) return { status: 409, body: { error: { code: "NO_PROOF", message: proof.problem } } };
    return {
      body: { record: stored, index, log: data.origin, proof: `${JSON.stringify(proof.value, null, 2)}\n` },
    };
  });
  servePolicy(double, data);
}

function statsOf(data: TrailData, search: URLSearchParams): Stats {
  const width = { minute: 60, hour: 3600, day: 86_400 }[search.get("bucket") ?? "hour"] ?? 3600;
  const since = Date.parse(search.get("since") ?? "") || Date.now() - 86_400_000;
  const until = Date.now();
  const counts = (names: (hit: AuditHit) => readonly (string | null)[]) => {
    const found = new Map<string, { name: string; count: number; denied: number }>();
    for (const hit of data.hits)
      for (const name of names(hit)) {
        if (name === null) continue;
        const known = found.get(name) ?? { name, count: 0, denied: 0 };
        known.count += 13;
        if (hit.verdict === "deny") known.denied += 13;
        found.set(name, known);
      }
    return [...found.values()].sort((a, b) => b.count - a.count);
  };
  const buckets = [];
  for (
    let time = Math.floor(since / (width * 1000)) * width * 1000, n = 0;
    time < until;
    time += width * 1000, n++
  ) {
    // A day has its hours, and a bad one among them.
    const hour = new Date(time).getUTCHours() + new Date(time).getUTCMinutes() / 60;
    const busy = Math.round(
      (30 + 90 * Math.exp(-((hour - 14) ** 2) / 18)) * (width / 3600) * (0.8 + 0.4 * Math.sin(n * 1.7) ** 2),
    );
    buckets.push({
      time: new Date(time).toISOString(),
      allow: busy,
      deny: n % 7 === 3 ? Math.ceil(busy / 6) : n % 3,
      approve: n % 5 === 0 ? 2 : 0,
      masked: Math.round(busy / 4),
    });
  }
  return {
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
    bucketSeconds: width,
    buckets,
    statements: data.hits.length,
    agents: counts((hit) => (hit.principal.kind === "agent" ? [hit.principal.subject] : [])),
    people: counts((hit) => (hit.principal.kind === "agent" ? [] : [hit.principal.subject])),
    tables: counts((hit) => [...(hit.reads ?? []), ...(hit.writes ?? [])]),
    rules: counts((hit) => [hit.rule]),
    statuses: {},
    held: { count: 12, medianSeconds: 41, p95Seconds: 380 },
    log: {
      size: data.stored.length,
      lastCheckpoint: new Date(until - 4000).toISOString(),
      anchorAgeSeconds: 6,
      unanchored: 0,
      failure: null,
    },
    notices: [],
  };
}

function servePolicy(double: Double, data: TrailData): void {
  const active = activePolicy();
  double.on("GET /api/policy", () => ({
    body: {
      digest: active.digest,
      files: [{ name: "agent-safe.yaml", text: policyText }],
      rules: active.rules,
      labels: active.labels,
      default: active.default,
      observe: active.observe,
      databases: ["shop", "billing"],
      groups: ["agents", "data-stewards"],
    },
  }));
  double.on("GET /api/policy/columns", () => ({
    body: {
      next: null,
      items: [
        "public.customers.email",
        "public.customers.phone",
        "public.customers.password_hash",
        "public.staff.salary",
      ].map((column) => ({
        database: "shop",
        column,
        labels: [
          {
            label: column.endsWith("hash") ? "secret" : `pii.${column.split(".").at(-1)}`,
            access: column.endsWith("hash") ? "none" : "masked",
            mask: { kind: "partial" },
            use: "output",
            observe: false,
          },
        ],
        why: [`label of shop.${column}`],
      })),
    },
  }));
  double.on("POST /api/policy/explain", ({ body }) => ({ body: explained(String(body.sql)) }));
  double.on("POST /api/policy/check", ({ body }) => {
    const files = (body.files as { name: string; text: string }[]).map(({ name, text: source }) => ({
      file: name,
      text: source,
    }));
    try {
      return { body: { ok: true, digest: loadPolicy(files).digest, problems: [] } };
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      return { body: { ok: false, digest: null, problems: error.problems } };
    }
  });
  double.on("POST /api/policy/replay", () => {
    const example = (hit: AuditHit) => ({
      request: hit.request,
      time: hit.time,
      subject: hit.principal.subject,
      kind: hit.principal.kind,
      database: hit.database,
      sql: hit.sql,
      was: { verdict: hit.verdict ?? "deny", rule: hit.rule, code: hit.code },
      now: { verdict: "deny", rule: "no-agents-at-night", code: "POLICY_DENIED" },
      columns: [],
      why: null,
      count: 3,
    });
    const of = (verdict: string) => data.hits.filter((hit) => hit.verdict === verdict).slice(0, 3);
    return {
      body: {
        policy: active.digest,
        problems: [],
        total: 1240,
        compared: 1198,
        undetermined: 42,
        truncated: false,
        changes: [
          { kind: "newly denied", count: 31, examples: of("allow").map(example) },
          {
            kind: "newly allowed",
            count: 4,
            examples: of("deny").map((hit) => ({
              ...example(hit),
              now: { verdict: "allow", rule: "analysts", code: null },
            })),
          },
          {
            kind: "newly masked",
            count: 9,
            examples: of("allow")
              .slice(0, 1)
              .map((hit) => ({
                ...example(hit),
                columns: ["public.customers.phone"],
                now: { verdict: "allow", rule: hit.rule, code: null },
              })),
          },
        ],
      },
    };
  });
}

function explained(sql: string) {
  const writes = /update|delete|insert/i.test(sql);
  const decision = {
    verdict: writes ? "approve" : "allow",
    rule: writes ? "agent-safe/agents-write" : "agent-safe/agents-read",
    code: writes ? "NEEDS_APPROVAL" : null,
    message: writes ? "Writes by agents need a person." : null,
    hint: writes ? "A data steward will be asked." : null,
    object: null,
    limits: { rows: 1000, bytes: 10_485_760, timeoutMs: 30_000, affectedRows: null, perMinute: null },
    approvers: writes
      ? [
          {
            rule: "writes-need-a-person",
            groups: ["data-stewards"],
            count: 1,
            withinMs: 900_000,
            allowDelegator: false,
            ticket: false,
          },
        ]
      : [],
    unmask: [],
    would: null,
  };
  const answer = {
    sql,
    decision,
    rules: activePolicy().rules.map((rule) => ({
      rule: rule.name,
      // biome-ignore lint/suspicious/noThenProperty: the word of policy files
      then: rule.then,
      outcome: rule.name === decision.rule ? "matched" : "not matched",
      observe: rule.observe,
      detail: null,
    })),
    touches: {
      effects: writes ? ["read", "write"] : ["read"],
      reads: ["public.customers"],
      writes: writes ? ["public.customers"] : [],
      columns: ["public.customers.id", "public.customers.name", "public.customers.email"],
      functions: [],
      labels: ["pii.email"],
      labelsInPredicates: [],
    },
    masked: ["public.customers.email"],
    outputs: writes
      ? null
      : [
          { name: "id", sources: ["public.customers.id"], plain: true, mask: null, label: null, why: null },
          {
            name: "name",
            sources: ["public.customers.name"],
            plain: true,
            mask: null,
            label: null,
            why: null,
          },
          {
            name: "email",
            sources: ["public.customers.email"],
            plain: true,
            mask: "partial",
            label: "pii.email",
            why: "it is public.customers.email, which the label pii.email covers",
          },
        ],
    message: decision.message,
  };
  return { ...answer, statements: [answer] };
}

/** Callers, names and statements that try to be more than text. */
export const hostileSaid: readonly Said[] = [
  {
    who: {
      ...jane,
      subject: `"><img src=x onerror=alert(1)>`,
      email: null,
      actor: [{ subject: `\u202eagent`, issuer: null }],
    },
    sql: `select '<img src=x onerror=alert(1)>', "\u202e\u2066" from "${"x".repeat(60)}" -- ${overflowing}`,
    verdict: "allow",
    command: "SELECT",
    rule: `<script>alert(1)</script>`,
    code: null,
    reads: [`public.<svg onload=alert(1)>`],
    writes: [],
    masked: [`public.<b>t</b>.<i>email</i>`],
    rows: 1,
  },
  {
    who: support,
    sql: `select 1 -- ${"long ".repeat(200_000)}`,
    verdict: "deny",
    command: "SELECT",
    rule: null,
    code: "TOO_LARGE",
    reads: [],
    writes: [],
    masked: [],
    rows: null,
  },
];
