/** Step `conclude`: the outcome of each recorded statement, never guessed. */
import type { OutcomeStatus } from "../../facts/audit.ts";
import { innerStatement } from "./intend.ts";
import { dropStatements, type Names, setPortal, setStatement } from "./names.ts";
import type { Expected, Part } from "./queue.ts";
import type { Walk } from "./state.ts";

/**
 * The server has answered the part of `entry` that it was working on.
 * `tag`: the command tag, null when there is none. `complete`: the whole result was delivered.
 * More answers than the parser told statements apart are outcomes of the last one.
 */
export function conclude(
  walk: Walk,
  entry: Expected,
  status: OutcomeStatus,
  sqlstate: string | null,
  tag: string | null,
  complete: boolean,
): void {
  const { run } = entry;
  if (run === null) return;
  const part = run.parts[run.at] ?? (status === "ok" ? run.parts[run.parts.length - 1] : undefined);
  if (part === undefined) return;
  record(walk, entry, part, status, sqlstate, tag, complete, false);
  run.at++;
  if (status === "ok" && tag !== null && part.statement !== null) applyNames(walk, entry, part);
}

/** The rest of `entry` was never carried out, because something before it failed with `sqlstate`. */
export function concludeSkipped(walk: Walk, entry: Expected, sqlstate: string): void {
  const { run } = entry;
  if (run === null) return;
  for (; run.at < run.parts.length; run.at++) {
    record(walk, entry, run.parts[run.at] as Part, "error", sqlstate, null, false, true);
  }
}

/** What became of the rest of `entry` could not be seen: the connection to the server is gone. */
export function concludeUnknown(walk: Walk, entry: Expected): void {
  const { run } = entry;
  if (run === null) return;
  for (; run.at < run.parts.length; run.at++) {
    record(walk, entry, run.parts[run.at] as Part, "unknown", null, null, false, false);
  }
}

function record(
  walk: Walk,
  entry: Expected,
  part: Part,
  status: OutcomeStatus,
  sqlstate: string | null,
  tag: string | null,
  complete: boolean,
  skipped: boolean,
): void {
  const { run } = entry;
  if (run === null) return;
  const { result } = walk;
  const now = performance.now();
  const index = walk.audit.outcome(walk.context, {
    request: run.request,
    intent: part.intent,
    status,
    sqlstate,
    tag,
    columns: result.columns ?? (result.rows > 0 ? (entry.statement?.columns ?? null) : null),
    rows: result.rows,
    bytes: result.bytes,
    complete,
    digest: walk.digestResults && result.bytes > 0 ? result.digest : null,
    rowsAffected: tag === null ? null : affected(tag),
    durationUs: Math.round((now - run.since) * 1000),
    firstRowUs: result.firstRow === 0 ? null : Math.round((result.firstRow - run.since) * 1000),
    skipped,
  });
  if (index < 0) walk.fail(auditLost, "audit unavailable");
  run.since = now;
  if (result.bytes > 0) result.digest.reset();
  result.rows = 0;
  result.bytes = 0;
  result.firstRow = 0;
  result.columns = null;
}

const auditLost = {
  sqlstate: "58030",
  message: "the audit log is unavailable; the session ends, open transactions are rolled back",
};

/** Rows a command changed, from its tag (PostgreSQL manual, "CommandComplete"); null for tags that do not say. */
function affected(tag: string): number | null {
  const first = tag.charCodeAt(0);
  // I(NSERT), U(PDATE), D(ELETE), M(ERGE), C(OPY)
  if (first !== 0x49 && first !== 0x55 && first !== 0x44 && first !== 0x4d && first !== 0x43) return null;
  const match = /^(?:INSERT \d+|UPDATE|DELETE|MERGE|COPY) (\d+)$/.exec(tag);
  return match === null ? null : Number(match[1]);
}

/** SQL that made, dropped or opened a name has succeeded. */
function applyNames(walk: Walk, entry: Expected, part: Part): void {
  const shape = part.statement?.shape;
  if (shape === undefined || shape.names.length === 0) return;
  const { names } = walk;
  for (const effect of shape.names) {
    switch (effect.kind) {
      case "prepare":
        if (effect.name !== null)
          setStatement(names, effect.name, innerStatement(walk, effect.text ?? "", shape.secret));
        break;
      case "deallocate":
        if (effect.name !== null) setStatement(names, effect.name, undefined);
        break;
      case "deallocate-all":
        dropStatements(names);
        break;
      case "discard-all":
        dropStatements(names);
        names.portals.clear();
        names.unnamed = undefined;
        break;
      case "declare":
        if (effect.name !== null) {
          const statement = innerStatement(walk, effect.text ?? "", shape.secret);
          setPortal(names, effect.name, {
            statement,
            values: null,
            typesJson: "[]",
            batch: entry.batch,
            cursor: true,
          });
        }
        break;
      case "close":
        if (effect.name !== null) setPortal(names, effect.name, undefined);
        break;
      case "close-all":
        closeCursors(names);
        break;
      case "execute":
      case "fetch":
        break;
      default:
        effect.kind satisfies never;
    }
  }
}

function closeCursors(names: Names): void {
  for (const [name, portal] of names.portals) if (portal.cursor) names.portals.delete(name);
}
