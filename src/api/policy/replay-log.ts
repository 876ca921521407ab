/** Recorded statements run through another policy, for the worker. Throws what the file system throws. */
import {
  at,
  type Entry,
  findLogs,
  type Json,
  type LogPlace,
  parseLeaf,
  readLeaves,
  text,
} from "../../audit/read/leaves.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { changes, type Replayed, type ReplayKind, replay } from "../../policy/lab/replay.ts";
import { recordedStatement } from "./records.ts";

export interface ReplayWish {
  readonly dir: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  readonly database: string | null;
}

export interface ReplayExample {
  readonly request: string;
  readonly time: string;
  readonly subject: string;
  readonly kind: "human" | "agent" | "service";
  readonly database: string;
  readonly sql: string | null;
  readonly was: { verdict: "allow" | "deny" | "approve"; rule: string | null; code: string | null };
  readonly now: { verdict: "allow" | "deny" | "approve"; rule: string | null; code: string | null } | null;
  readonly columns: string[];
  readonly why: string | null;
  /** Statements that are alike. */
  count: number;
}

export interface ReplayReport {
  readonly total: number;
  readonly compared: number;
  readonly undetermined: number;
  readonly truncated: boolean;
  readonly changes: { kind: Change; count: number; examples: ReplayExample[] }[];
}

type Change = Exclude<ReplayKind, "unchanged" | "undetermined" | "outside policy">;

const mostStatements = 200_000;
const mostExamples = 50;
/** Shapes of examples that are told apart, for each kind of change. */
const mostGroups = 10_000;

export function replayLogs(policy: CompiledPolicy, wish: ReplayWish): ReplayReport {
  const report = new Report();
  for (const log of findLogs(wish.dir)) replayLog(log, policy, wish, report);
  return report.end();
}

function replayLog(log: LogPlace, policy: CompiledPolicy, wish: ReplayWish, report: Report): void {
  const waiting = new Map<number, Entry>();
  const run = (entry: Entry, outcome: Json | null) => {
    const statement = recordedStatement(entry, outcome);
    report.add(statement === null ? null : replay(policy, statement));
  };
  readLeaves(log, {
    leaf(buf, start, end, index, segment, offset) {
      const leaf = parseLeaf(buf, start, end);
      if (leaf?.type === "statement.intent") {
        const time = Date.parse(text(leaf, "time") ?? "");
        const fits =
          time >= wish.since &&
          time <= wish.until &&
          (wish.database === null || text(leaf, "database.name") === wish.database);
        if (fits) waiting.set(index, { log: log.name, dir: log.dir, index, segment, offset, leaf });
      } else if (leaf?.type === "statement.outcome") {
        const of = at(leaf, "intent.index");
        const entry = typeof of === "number" ? waiting.get(of) : undefined;
        if (entry !== undefined) {
          waiting.delete(entry.index);
          run(entry, leaf);
        }
      }
      return !report.full;
    },
  });
  for (const entry of waiting.values()) if (!report.full) run(entry, null);
}

class Report {
  private total = 0;
  private undetermined = 0;
  private outside = 0;
  private readonly kinds = new Map<Change, { count: number; groups: Map<string, ReplayExample> }>();

  get full(): boolean {
    return this.total >= mostStatements;
  }

  add(one: Replayed | null): void {
    this.total++;
    if (one === null || one.kind === "undetermined") {
      this.undetermined++;
      return;
    }
    if (one.kind === "outside policy") this.outside++;
    const kind = changes.find((change) => change === one.kind) as Change | undefined;
    if (kind === undefined) return;
    const known = this.kinds.get(kind) ?? { count: 0, groups: new Map<string, ReplayExample>() };
    this.kinds.set(kind, known);
    known.count++;
    const example = exampleOf(one);
    const { request: _request, time: _time, count: _count, ...alike } = example;
    const key = JSON.stringify(alike);
    const group = known.groups.get(key);
    if (group !== undefined) group.count++;
    else if (known.groups.size < mostGroups) known.groups.set(key, example);
  }

  end(): ReplayReport {
    return {
      total: this.total,
      compared: this.total - this.undetermined - this.outside,
      undetermined: this.undetermined,
      truncated: this.full,
      changes: [...this.kinds].map(([kind, { count, groups }]) => ({
        kind,
        count,
        examples: [...groups.values()].sort((a, b) => b.count - a.count).slice(0, mostExamples),
      })),
    };
  }
}

function exampleOf({ statement, now, columns, why }: Replayed): ReplayExample {
  const { request, time, principal, session, sql, verdict, rule, code } = statement;
  return {
    request,
    time: time.toISOString(),
    subject: principal.subject,
    kind: principal.kind,
    database: session.database,
    sql,
    was: { verdict, rule, code },
    now: now === null ? null : { verdict: now.verdict, rule: now.rule, code: now.code },
    columns: [...columns],
    why,
    count: 1,
  };
}
