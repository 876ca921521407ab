/** Which runs of agents a trail holds. */
import { type Json, type LogPlace, text } from "./leaves.ts";
import { searchLog } from "./search.ts";

export interface RunSummary {
  /** What GET /api/audit/runs/{run} and `postern audit run` take. */
  readonly run: string;
  /** What names it: the claimed run, the trace, or only its session. */
  readonly kind: "run" | "trace" | "session";
  readonly first: string;
  readonly last: string;
  readonly statements: number;
  readonly denied: number;
  /** Who sent its first statement. */
  readonly subject: string | null;
  /** How many others have statements under this name: it is what callers claim, and anybody can claim it. */
  readonly others: number;
  readonly principalKind: string | null;
  readonly agent: string | null;
  readonly model: string | null;
  readonly databases: readonly string[];
}

export interface RunListFilters {
  readonly since?: number;
  readonly subject?: string;
  readonly agent?: string;
}

/** Statements that are looked at, the latest. */
const mostStatements = 50_000;

/** Runs with a statement in the period, the latest first; of people only where they claim one. Throws what the file system throws. */
export function listRuns(
  logs: readonly LogPlace[],
  filters: RunListFilters,
): { readonly runs: readonly RunSummary[]; readonly notices: readonly string[] } {
  const runs = new Map<
    string,
    { -readonly [K in keyof RunSummary]: RunSummary[K] } & { databases: string[]; subjects: Set<string> }
  >();
  const notices: string[] = [];
  for (const log of logs) {
    const found = searchLog(log, { ...filters, type: "statement.intent" }, mostStatements);
    if (found.notice !== null) notices.push(`${log.name}: ${found.notice}`);
    if (found.hits.length === mostStatements)
      notices.push(`${log.name}: only the latest ${mostStatements} statements were looked at`);
    for (const { leaf } of found.hits) {
      const named = nameOf(leaf);
      if (named === null) continue;
      const key = `${named.kind} ${named.run}`;
      const time = text(leaf, "time") ?? "";
      const database = text(leaf, "database.name") ?? "";
      const denied = text(leaf, "decision.verdict") === "deny" ? 1 : 0;
      const subject = text(leaf, "principal.subject");
      const known = runs.get(key);
      if (known === undefined) {
        runs.set(key, {
          ...named,
          first: time,
          last: time,
          statements: 1,
          denied,
          subject,
          others: 0,
          subjects: new Set([subject ?? ""]),
          principalKind: text(leaf, "principal.kind"),
          agent: text(leaf, "claimed.agent"),
          model: text(leaf, "claimed.model"),
          databases: [database],
        });
        continue;
      }
      known.statements++;
      known.others = known.subjects.add(subject ?? "").size - 1;
      known.denied += denied;
      if (time < known.first) known.first = time;
      if (time > known.last) known.last = time;
      if (!known.databases.includes(database)) known.databases.push(database);
    }
  }
  return {
    runs: [...runs.values()]
      .map(({ subjects: _, ...run }) => run)
      .sort((a, b) => (a.last < b.last ? 1 : a.last > b.last ? -1 : 0)),
    notices,
  };
}

function nameOf(leaf: Json): { readonly run: string; readonly kind: RunSummary["kind"] } | null {
  const run = text(leaf, "claimed.run");
  if (run !== null && run !== "") return { run, kind: "run" };
  // W3C Trace Context: version-traceid-parentid-flags; all of one trace belong together.
  const trace = text(leaf, "claimed.traceparent")?.split("-")[1];
  if (trace !== undefined && /^[0-9a-f]{32}$/.test(trace)) return { run: trace, kind: "trace" };
  const session = text(leaf, "session");
  return text(leaf, "principal.kind") === "agent" && session !== null
    ? { run: session, kind: "session" }
    : null;
}
