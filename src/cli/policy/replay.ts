/** `postern policy replay`: recorded statements run through another policy. */

import { recordedStatement } from "../../api/policy/records.ts";
import {
  at,
  type Entry,
  type Json,
  type LogPlace,
  parseLeaf,
  readLeaves,
  text,
} from "../../audit/read/leaves.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { changes, type Replayed, type ReplayKind, replay as replayOne } from "../../policy/lab/replay.ts";
import { findPlace, placeOptions, placeUsage } from "../audit/place.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { parseMoment } from "../lib/moment.ts";
import { policyAt } from "../lib/policy.ts";
import { printable } from "../lib/table.ts";
import { reporting } from "./place.ts";

const usage = `Usage: postern policy replay --against PATH [--since 7d] [filters] [--fail-on-change] [--json]

Runs the statements of the audit trail through another policy and lists what would be newly denied, allowed, held, masked or shown.

      --against PATH       the policy: a file, a folder of *.yaml, or agent-safe
      --since T --until T  when: 2026-11-22, 2026-11-22T10:00:00Z, or ago: 90s, 15m, 6h, 7d
      --subject S          of one caller
      --database D         on one database
      --fail-on-change     exit 1 when anything would change
      --json               one changed or undetermined statement a line, then a summary
${placeUsage}
What the record does not hold (statements that were not analysed, claims, sealed texts) is not guessed: where it could change the
decision, the statement is listed as undetermined, with what is missing.
Exit code 0: done. 1: something would change, with --fail-on-change.
`;

export async function replay(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...placeOptions,
    against: word,
    since: word,
    until: word,
    subject: word,
    database: word,
    "fail-on-change": { type: "boolean" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const { against, json } = values;
  if (against === undefined) throw new UsageError("--against is missing", usage);
  const wanted: Wanted = {
    since: moment("--since", values.since) ?? Number.NEGATIVE_INFINITY,
    until: moment("--until", values.until) ?? Number.POSITIVE_INFINITY,
    subject: values.subject ?? null,
    database: values.database ?? null,
  };
  return reporting(json, async () => {
    const policy = policyAt(against);
    const place = await findPlace(values, usage);
    const tally = new Tally(json === true);
    for (const log of place.logs) replayLog(log, policy, wanted, (one) => tally.add(one));
    tally.end(policy.digest);
    return values["fail-on-change"] === true && tally.changed > 0 ? 1 : 0;
  });
}

function moment(option: string, value: string | undefined): number | null {
  if (value === undefined) return null;
  const time = parseMoment(value, Date.now());
  if (time === null) throw new UsageError(`${option}: neither a time nor a span like 15m`, usage);
  return time;
}

interface Wanted {
  readonly since: number;
  readonly until: number;
  readonly subject: string | null;
  readonly database: string | null;
}

/** Reads a log once; a statement is replayed when its outcome comes by, which says what was delivered, or at the end. */
function replayLog(
  log: LogPlace,
  policy: CompiledPolicy,
  wanted: Wanted,
  take: (one: Replayed | null) => void,
): void {
  const waiting = new Map<number, Entry>();
  const run = (entry: Entry, outcome: Json | null) => {
    const statement = recordedStatement(entry, outcome);
    take(statement === null ? null : replayOne(policy, statement));
  };
  readLeaves(log, {
    leaf(buf, start, end, index, segment, offset) {
      const leaf = parseLeaf(buf, start, end);
      if (leaf?.type === "statement.intent") {
        const entry = { log: log.name, dir: log.dir, index, segment, offset, leaf };
        if (isWanted(leaf, wanted)) waiting.set(index, entry);
      } else if (leaf?.type === "statement.outcome") {
        const of = at(leaf, "intent.index");
        const entry = typeof of === "number" ? waiting.get(of) : undefined;
        if (entry !== undefined) {
          waiting.delete(entry.index);
          run(entry, leaf);
        }
      }
      return true;
    },
  });
  for (const entry of waiting.values()) run(entry, null);
}

function isWanted(leaf: Json, wanted: Wanted): boolean {
  if (wanted.subject !== null && text(leaf, "principal.subject") !== wanted.subject) return false;
  if (wanted.database !== null && text(leaf, "database.name") !== wanted.database) return false;
  const time = Date.parse(text(leaf, "time") ?? "");
  return time >= wanted.since && time <= wanted.until;
}

const shownGroups = 200;

/** Counts what came of the statements; alike ones are shown once. */
class Tally {
  changed = 0;
  private readonly json: boolean;
  private readonly counts = new Map<ReplayKind, number>();
  private readonly groups = new Map<
    string,
    { readonly kind: ReplayKind; readonly line: string; count: number }
  >();
  private total = 0;
  private unreadable = 0;

  constructor(json: boolean) {
    this.json = json;
  }

  add(one: Replayed | null): void {
    if (one === null) {
      this.unreadable++;
      return;
    }
    this.total++;
    this.counts.set(one.kind, (this.counts.get(one.kind) ?? 0) + 1);
    if (changes.includes(one.kind)) this.changed++;
    if (one.kind === "unchanged") return;
    if (this.json) {
      if (one.kind !== "outside policy") process.stdout.write(`${JSON.stringify(asJson(one))}\n`);
      return;
    }
    const line = sentence(one);
    const key = `${one.kind}\n${line}`;
    const group = this.groups.get(key);
    if (group !== undefined) group.count++;
    else if (this.groups.size < 100_000) this.groups.set(key, { kind: one.kind, line, count: 1 });
  }

  end(digest: string): void {
    const summary = Object.fromEntries(this.counts);
    if (this.json) {
      const { total, unreadable } = this;
      process.stdout.write(
        `${JSON.stringify({ policy: digest, statements: total, unreadable, ...summary })}\n`,
      );
      return;
    }
    for (const kind of [...changes, "undetermined" as const]) this.section(kind);
    const parts = [...this.counts].map(([kind, count]) => `${count} ${kind}`);
    const unread = this.unreadable > 0 ? `; ${this.unreadable} records could not be read` : "";
    process.stdout.write(
      `${this.total} statement${this.total === 1 ? "" : "s"}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}${unread}\n`,
    );
  }

  private section(kind: ReplayKind): void {
    const groups = [...this.groups.values()].filter((group) => group.kind === kind);
    if (groups.length === 0) return;
    groups.sort((a, b) => b.count - a.count || (a.line < b.line ? -1 : 1));
    process.stdout.write(`${kind} (${this.counts.get(kind) ?? 0})\n`);
    for (const { line, count } of groups.slice(0, shownGroups))
      process.stdout.write(`  ${`${count}×`.padStart(6)}  ${line}\n`);
    if (groups.length > shownGroups)
      process.stdout.write(`          and ${groups.length - shownGroups} others (--json)\n`);
    process.stdout.write("\n");
  }
}

function sentence({ statement, now, columns, why }: Replayed): string {
  const { principal, session, sql, verdict, rule } = statement;
  const was = `was ${verdict}${rule === null ? "" : ` by ${rule}`}`;
  const then =
    now === null
      ? ""
      : `, now ${now.verdict}${now.rule === null ? "" : ` by ${now.rule}`}${now.code === null ? "" : ` (${now.code})`}`;
  const about = columns.length > 0 ? `: ${columns.join(", ")}` : why === null ? "" : `: ${why}`;
  const short = sql === null ? "(sealed)" : sql.replace(/\s+/g, " ").slice(0, 100);
  return printable(
    `${principal.subject} (${principal.kind}) on ${session.database}: ${short} — ${was}${then}${about}`,
  );
}

function asJson({ statement, kind, now, columns, why }: Replayed) {
  const { request, time, principal, session, sql, verdict, rule, code, masked } = statement;
  return {
    kind,
    request,
    time,
    subject: principal.subject,
    principal_kind: principal.kind,
    database: session.database,
    sql,
    was: { verdict, rule, code, masked },
    now,
    columns,
    why,
  };
}
