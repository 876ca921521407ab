/** Step `conclude`: the outcome of each recorded statement, never guessed. */

import type { ColumnsContext } from "../../audit/index.ts";
import { AuditUnavailable } from "../../audit/index.ts";
import { columnText } from "../../catalog/index.ts";
import type { OutcomeStatus } from "../../facts/audit.ts";
import type { ContentGuard } from "../../masking/index.ts";
import { typeName } from "../../protocol/index.ts";
import { begunAt, stopClock } from "./clock.ts";
import { noteDone } from "./fate.ts";
import { type Guard, noneDelivered } from "./guard.ts";
import { innerStatement, opaqueShape, prepare } from "./intend.ts";
import type { Judgement } from "./judgement.ts";
import {
  dropCursors,
  dropStatements,
  forget,
  getPortal,
  maxLevels,
  type PreparedStatement,
  type Shape,
  setPortal,
  setStatement,
} from "./names.ts";
import type { Expected, Part } from "./queue.ts";
import type { Walk } from "./state.ts";

/**
 * The server has answered the part of `entry` that it was working on.
 * `tag`: the command tag, null when there is none. `complete`: the whole result was delivered.
 * More answers than the parser told statements apart are outcomes of the last one, as are all of a text that was not read.
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
  const more = status === "ok" || run.unread;
  const part = run.parts[run.at] ?? (more ? run.parts[run.parts.length - 1] : undefined);
  if (part === undefined) return;
  const rows = Math.max(0, walk.result.rows);
  // The moment it began is written over with its record.
  if (part.guard !== null) part.guard.delivered.ms += performance.now() - begunAt(walk, run);
  record(walk, entry, part, status, sqlstate, tag, complete, false);
  if (status === "ok") noteDone(walk, part, run.request, tag);
  if (part.guard !== null) concludeGuard(walk, part.guard, run.request, rows);
  run.at++;
  stopClock(run);
  if (part.statement === null) return;
  if (part.statement.hides) forget(walk.names, () => prepare(walk, "", opaqueShape, null));
  else if (status !== "ok") applyFailed(walk, part.statement, 0);
  else if (tag !== null) {
    applyNames(walk, entry, part.statement, part.statement.judged, 0);
    if (part.guard !== null) countFetched(walk, part.statement, part.guard);
  }
}

/** A FETCH behind its DECLARE, in one message, counted for itself: the cursor had no portal yet. */
function countFetched(walk: Walk, { shape }: PreparedStatement, { delivered }: Guard): void {
  for (const { kind, name } of shape.names) {
    const portal = kind === "fetch" && name !== null ? getPortal(walk.names, name) : undefined;
    if (portal === undefined || portal.delivered === delivered) continue;
    portal.delivered.rows += delivered.rows;
    portal.delivered.bytes += delivered.bytes;
    portal.delivered.ms += delivered.ms;
  }
}

function concludeGuard(walk: Walk, { judgement, content }: Guard, request: string, rows: number): void {
  if (content !== null) recordFindings(walk, request, content);
  if (rows > 0 && judgement.budgets.length > 0)
    walk.guard?.budgets.spend(walk.guard.principal, judgement.budgets, rows, performance.now());
}

/** Personal data was found by content: the record says in which columns, and how often, never what. */
function recordFindings(walk: Walk, request: string, content: ContentGuard): void {
  const findings = content.findings();
  if (findings.length === 0) return;
  try {
    walk.audit.event("masking.detected", {
      request,
      findings: findings.map(({ name, kind, action, hits, seen, confidence, decided }) => ({
        column: name,
        kind,
        action,
        hits,
        seen,
        confidence: Math.round(confidence * 100) / 100,
        decided,
      })),
    });
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    walk.auditLost = true;
  }
}

/** The rest of `entry` was never carried out, because something before it failed with `sqlstate`. */
export function concludeSkipped(walk: Walk, entry: Expected, sqlstate: string): void {
  const { run } = entry;
  if (run === null) return;
  for (; run.at < run.parts.length; run.at++) {
    record(walk, entry, run.parts[run.at] as Part, "error", sqlstate, null, false, true);
  }
  stopClock(run);
}

/** What became of the rest of `entry` could not be seen: the connection to the server is gone. */
export function concludeUnknown(walk: Walk, entry: Expected): void {
  const { run } = entry;
  if (run === null) return;
  for (; run.at < run.parts.length; run.at++) {
    const part = run.parts[run.at] as Part;
    const rows = Math.max(0, walk.result.rows);
    record(walk, entry, part, "unknown", null, null, false, false);
    // The client has what came until then.
    if (part.guard !== null) concludeGuard(walk, part.guard, run.request, rows);
  }
  stopClock(run);
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
    columns:
      maskedColumns(walk, part.guard) ??
      result.columns ??
      (result.rows > 0 ? (entry.statement?.columns ?? null) : null),
    formats: part.formats ?? result.columns?.formats ?? null,
    // Below zero: a copy failed in front of its header.
    rows: Math.max(0, result.rows),
    bytes: result.bytes,
    // What was written to a connection that is gone was not delivered.
    complete: complete && !walk.client.destroyed,
    digest: walk.digestResults && result.bytes > 0 ? result.digest : null,
    capture: captured(walk),
    source: result.source === null ? null : Buffer.from(result.source.hex(), "hex").toString("base64"),
    maskedCells: (part.guard?.masker ?? part.guard?.copyMasker)?.counts ?? null,
    rowsAffected: tag === null ? null : affected(tag),
    durationUs: Math.round((now - run.since) * 1000),
    firstRowUs: result.firstRow === 0 ? null : Math.round((result.firstRow - run.since) * 1000),
    skipped,
    ...(run.approval === null ? {} : { approval: run.approval }),
  });
  if (index < 0) walk.auditLost = true;
  if (run.strict) walk.unsaid = true;
  run.since = now;
  walk.concluded = now;
  if (result.bytes > 0) result.digest.reset();
  result.rows = 0;
  result.bytes = 0;
  result.firstRow = 0;
  result.columns = null;
  result.source = null;
  result.capture = undefined;
}

/** The columns of a result that is masked, each with whether it is hidden; null: nothing masks it. A copy has no description but the analysis. */
function maskedColumns(walk: Walk, guard: Guard | null): ColumnsContext | null {
  const judged = guard?.judgement ?? null;
  if (guard === null || judged === null || judged.plan === null) return null;
  const { plan } = judged;
  const known = walk.maskedColumns.get(plan);
  if (known !== undefined) return known;
  const described = (guard.fields ?? guard.portal?.fields)?.map(
    ({ name, typeOid: type, table: relation, column: attribute }) => ({
      name,
      type,
      origin: { relation, attribute },
    }),
  );
  const columns = described ?? (guard.copy === null ? null : judged.outputs);
  if (columns == null || columns.length !== plan.columns.length) return null;
  const catalog = judged.view?.catalog ?? null;
  const context = walk.audit.columns(
    columns.map(({ name, type, origin }, i) => ({
      name,
      type: typeName(type),
      origin:
        catalog === null || origin.relation === 0
          ? null
          : columnText(catalog, origin.relation, origin.attribute),
      masked: plan.columns[i] != null,
    })),
  );
  walk.maskedColumns.set(plan, context);
  return context;
}

/** The rows kept of the result; null when none were, or they cannot be stored (the log has failed then, and says so itself). */
function captured(walk: Walk): string | null {
  try {
    return walk.result.capture?.finish() ?? null;
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error;
    return null;
  }
}

/** Rows a command changed, from its tag (PostgreSQL manual, "CommandComplete"); null for tags that do not say. */
function affected(tag: string): number | null {
  const first = tag.charCodeAt(0);
  // I(NSERT), U(PDATE), D(ELETE), M(ERGE), C(OPY)
  if (first !== 0x49 && first !== 0x55 && first !== 0x44 && first !== 0x4d && first !== 0x43) return null;
  const match = /^(?:INSERT \d+|UPDATE|DELETE|MERGE|COPY) (\d+)$/.exec(tag);
  return match === null ? null : Number(match[1]);
}

/**
 * PREPARE is not undone with its transaction: where the error came from the transaction's end, the statement is there. So
 * it is noted, unless the name was taken; then PREPARE itself failed.
 */
function applyFailed(walk: Walk, { shape }: PreparedStatement, level: number): void {
  const { statements } = walk.names;
  for (const effect of shape.names) {
    if (effect.name === null) continue;
    if (effect.kind === "prepare" && !statements.has(effect.name))
      setStatement(walk.names, effect.name, innerStatement(walk, effect, shape.secret));
    else if (effect.kind === "execute")
      executed(walk, shape, effect.name, level, (used) => applyFailed(walk, used, level + 1));
  }
}

/** EXECUTE of a statement that changes names itself. EXPLAIN and CREATE TABLE AS run no such statement. */
function executed(
  walk: Walk,
  shape: Shape,
  name: string,
  level: number,
  apply: (used: PreparedStatement) => void,
): void {
  const used = walk.names.statements.get(name);
  if (shape.kind !== "execute" || used === undefined) return;
  if (used.hides || level === maxLevels) forget(walk.names, () => prepare(walk, "", opaqueShape, null));
  else apply(used);
}

/** SQL that made, dropped or opened a name has succeeded. */
function applyNames(
  walk: Walk,
  entry: Expected,
  { shape, declared }: PreparedStatement,
  judged: Judgement | null,
  level: number,
): void {
  const { names } = walk;
  for (const effect of shape.names) {
    switch (effect.kind) {
      case "prepare":
        if (effect.name !== null)
          setStatement(names, effect.name, innerStatement(walk, effect, shape.secret));
        break;
      case "deallocate":
        if (effect.name !== null) setStatement(names, effect.name, undefined);
        break;
      case "deallocate-all":
        dropStatements(names);
        break;
      case "discard-all":
        dropStatements(names);
        dropCursors(names, true);
        break;
      case "declare":
        if (effect.name !== null) {
          const statement = innerStatement(walk, effect, shape.secret);
          // Its parameters are those of DECLARE: other types would name other functions.
          statement.declared = declared;
          setPortal(names, effect.name, {
            statement,
            values: null,
            formats: null,
            typesJson: "[]",
            batch: entry.batch,
            cursor: true,
            hold: / with hold\b/i.test(shape.stripped),
            delivered: noneDelivered(),
            bound: judged,
            compared: null,
            described: false,
            agreed: null,
            fields: null,
          });
        }
        break;
      case "close":
        if (effect.name !== null) setPortal(names, effect.name, undefined);
        break;
      case "close-all":
        dropCursors(names, false);
        break;
      case "execute":
        if (effect.name !== null)
          executed(walk, shape, effect.name, level, (used) =>
            applyNames(walk, entry, used, judged, level + 1),
          );
        break;
      case "fetch":
        break;
      default:
        effect.kind satisfies never;
    }
  }
}
