/** Holds the trail against what PostgreSQL itself logged, what is in its table, and what clients were told. */
import type { Load } from "./load.ts";
import type { Recorded, Server, Trail } from "./support.ts";

export interface Comparison {
  /** Everything that does not agree, one line each. */
  readonly problems: readonly string[];
  /** Statements that the server logged; 0 would make the comparison worth nothing. */
  readonly logged: number;
  readonly statuses: Readonly<Record<string, number>>;
}

/**
 * `concluded`: the log was opened again or closed in order since the load, so every intent has its one outcome.
 * `policy`: the gateway asks the server questions of its own, which are nobody's statements and bear no mark.
 * `graceful`: nothing crashed, or the durability is strict: what a client was told has its outcome on the record, and not "unknown".
 */
export async function compare(
  server: Server,
  trail: Trail,
  loads: readonly Load[],
  expected: { readonly concluded: boolean; readonly graceful: boolean; readonly policy?: boolean },
): Promise<Comparison> {
  const problems: string[] = [];
  const logged = await server.logged();
  const rows = await server.rows();

  const texts = new Set(trail.statements.map((s) => s.sealed.sql));
  const seen = new Map<string, number>();
  for (const { text, marks } of logged) {
    if (marks.length === 0 && !texts.has(text) && expected.policy !== true)
      problems.push(`the server ran, without an intent: ${text}`);
    for (const mark of marks) {
      seen.set(mark, (seen.get(mark) ?? 0) + 1);
      const found = trail.of(mark);
      if (found.length < (seen.get(mark) ?? 0))
        problems.push(`the server ran ${mark}, without an intent: ${text}`);
      // A message of several statements is logged as one text, and recorded as its parts.
      const fits = found.some((s) => s.sealed.sql === text || trail.parts(s.request) > 1);
      if (found.length > 0 && !fits)
        problems.push(`the intent of ${mark} holds another text: ${String(found[0]?.sealed.sql)}`);
    }
  }
  for (const row of rows) if (trail.of(row).length === 0) problems.push(`a row without an intent: ${row}`);

  for (const statement of trail.statements) {
    const { outcomes } = statement;
    if (outcomes.length > 1 || (expected.concluded && outcomes.length === 0))
      problems.push(`${outcomes.length} outcomes of ${statement.marks.join()} at ${statement.index}`);
  }

  for (const load of loads) {
    for (const id of load.answered) {
      const found = trail.of(id);
      if (found.length === 0) problems.push(`a client has an answer to ${id}, which is not on the trail`);
      if (expected.graceful && found.some((s) => statusOf(s) === "unknown" || statusOf(s) === null))
        problems.push(`a client has an answer to ${id}, whose outcome is not on the trail`);
    }
    for (const { rows: ids, decider, told } of load.units) {
      const found = trail.of(decider);
      const outcome = found[0]?.outcomes[0];
      const there = ids.filter((id) => rows.has(id)).length;
      const what = `${ids.join()} decided by ${decider}`;
      if (there !== 0 && there !== ids.length) problems.push(`${what}: only a part is there`);
      if (told === "ok" && there === 0) problems.push(`${what}: acknowledged to a client, and not there`);
      if (outcome?.status === "ok" && there === 0)
        problems.push(`${what}: recorded as ok (${outcome.tag}), and not there`);
      if (outcome !== undefined && !["ok", "unknown"].includes(outcome.status) && there > 0)
        problems.push(`${what}: recorded as ${outcome.status} (${outcome.sqlstate}), and there`);
      if (outcome?.status === "ok" && told === "error")
        problems.push(`${what}: recorded as ok, and an error to the client`);
      if (outcome?.status === "error" && told === "ok")
        problems.push(`${what}: recorded as error, and ok to the client`);
    }
  }

  const statuses: Record<string, number> = {};
  for (const statement of trail.statements) {
    const status = statusOf(statement) ?? "none";
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
  return { problems, logged: logged.length, statuses };
}

function statusOf(statement: Recorded): string | null {
  return statement.outcomes[0]?.status ?? null;
}
