/** What people are shown of a held message, gathered before they are asked. */
import { createHash } from "node:crypto";
import type { ApprovalAsk } from "../../approvals/index.ts";
import type { HeldParameter, HeldStatement } from "../../facts/approval.ts";
import type { ApproverDemand, DecisionLimits } from "../../facts/decision.ts";
import { decodeParameter, typeName } from "../../protocol/index.ts";
import { definitionsDigest, type Query } from "../hold/definitions.ts";
import { transactionLimits, transactionOf } from "../hold/place.ts";
import { databaseWarnings, textWarnings } from "../hold/warnings.ts";
import { requesterOf } from "./agreed.ts";
import { queryHere } from "./ask.ts";
import { breakGlassOf } from "./breakglass.ts";
import { planned } from "./facts.ts";
import type { HeldMessage, HeldPart } from "./holding.ts";
import { shownSql } from "./intend.ts";
import type { Guarding } from "./judgement.ts";
import type { Walk } from "./state.ts";

export interface Gathered {
  readonly ask: ApprovalAsk;
  /** Why the wait is shorter than the rule says, for the client; null: it is not. */
  readonly note: string | null;
}

/** A parameter above this is shown by its beginning. */
const maxParameter = 64 * 1024;
const shownParameter = 2_000;
/** Texts above this, all together, nobody can agree to. */
export const maxTexts = 1024 * 1024;

/** Left between the end of a wait and the server's own limit. */
const marginMs = 1_000;

/** Reads the catalog as the session sees it. */
function queryOf(walk: Walk, guard: Guarding, gone: AbortSignal): Query {
  return guard.local === "none" || walk.unsynced ? (sql) => guard.analyst.query(sql) : hereOf(walk, gone);
}

/**
 * Asks the session itself, for as long as its stream stands still: once the message is given up, the session is its client's again, and a
 * question between its messages would take their answers. Rejects then.
 */
function hereOf(walk: Walk, gone: AbortSignal): Query {
  return async (sql) => {
    gone.throwIfAborted();
    const rows = await queryHere(walk, sql);
    gone.throwIfAborted();
    return rows;
  };
}

/** Digest of what the names of the message stand for now. Rejects when `gone`, and when nothing can be asked. */
export function definitionsOf(
  walk: Walk,
  guard: Guarding,
  { parts }: HeldMessage,
  gone: AbortSignal,
): Promise<string> {
  const relations = parts.flatMap(({ judgement: { facts } }) => [...facts.reads, ...facts.writes]);
  const functions = parts.flatMap(({ judgement: { facts } }) => facts.functions);
  return definitionsDigest(queryOf(walk, guard, gone), {
    relations: [...new Set(relations)].sort(),
    functions: [...new Set(functions)].sort(),
  });
}

/** Asks the database what belongs to the request. What only informs may be missing; rejects when nothing can be asked. */
export async function gatherAsk(
  walk: Walk,
  guard: Guarding,
  message: HeldMessage,
  {
    request,
    binding,
    shape,
    gone,
  }: { request: string; binding: string; shape: string | null; gone: AbortSignal },
): Promise<Gathered> {
  const { parts } = message;
  const query = queryOf(walk, guard, gone);
  const statements = parts.map((part) => heldStatement(guard, part));
  const held = parts.filter(({ judgement }) => judgement.awaits);
  const demands = held.flatMap(({ judgement }) => judgement.decision?.approvers ?? []);
  const inBlock = walk.transaction === "T";
  const transaction = inBlock ? await transactionOf((sql) => guard.analyst.query(sql), walk.serverPid) : null;
  const warnings = [...textWarnings(statements, inBlock), ...(await databaseWarnings(query, statements))];
  const breakGlass = breakGlassOf(walk, guard, parts, demands);
  const asTicket = message.ticket !== null || demands.some((demand) => demand.ticket) || walk.tickets;
  const { holdMs, note } = asTicket
    ? { holdMs: longest(demands), note: null }
    : await waitOf(walk, guard, demands, transaction?.ageMs ?? null, gone);
  const [first] = held;
  const { session } = guard;
  return {
    note,
    ask: {
      mode: asTicket ? "ticket" : "wait",
      requester: requesterOf(guard.principal),
      claimed: session.claimed,
      session: guard.id,
      request,
      database: session.database,
      login: session.role,
      via: session.via,
      application: session.application,
      ip: session.clientIp,
      statements,
      searchPath: guard.searchPath,
      ...(guard.role === null ? {} : { role: guard.role }),
      transaction,
      demands: distinct(demands),
      policy: guard.policies.current.digest,
      rules: [...new Set(held.flatMap(({ judgement }) => judgement.decision?.rules ?? []))].sort(),
      message: first?.judgement.decision?.message ?? null,
      limits: tightest(held),
      estimate: await estimateOf(guard, parts),
      warnings,
      binding,
      shape,
      holdMs,
      breakGlass,
    },
  };
}

function heldStatement(guard: Guarding, { statement, texts, judgement, bound }: HeldPart): HeldStatement {
  const { facts, masked, touched, decision } = judgement;
  const unmask = (decision?.unmask ?? []).filter((label) => facts.labels.includes(label));
  const [sql = "", ...prepared] = texts;
  return {
    sql,
    stripped: shownSql(statement.shape),
    fingerprint: facts.fingerprint,
    kind: facts.kind,
    command: facts.command,
    effects: facts.effects,
    reads: facts.reads,
    writes: facts.writes,
    columns: facts.columns,
    functions: facts.functions,
    labels: facts.labels,
    masked,
    ...(unmask.length === 0 ? {} : { unmask }),
    parameters: parametersOf(guard, touched[0]?.parameterTypes ?? [], statement.declared, bound),
    unboundedWrite: facts.unboundedWrite,
    ...(prepared.length === 0 ? {} : { prepared }),
  };
}

function parametersOf(
  guard: Guarding,
  inferred: readonly number[],
  declared: readonly number[],
  bound: HeldPart["bound"],
): HeldParameter[] {
  if (bound === null) return [];
  const { parameters, parameterFormats } = bound;
  return parameters.map((value, i) => {
    const oid = inferred[i] ?? declared[i] ?? 0;
    const type = nameOfType(guard, oid);
    if (value === null) return { type, text: null };
    if (value.length > maxParameter) return cutParameter(type, oid, formatOf(parameterFormats, i), value);
    const text = decodeParameter(oid, formatOf(parameterFormats, i), value);
    return typeof text === "string" ? { type, text } : { type, text: undefined, bytes: text.base64 };
  });
}

function formatOf(formats: readonly number[], i: number): 0 | 1 {
  return (formats.length === 1 ? formats[0] : formats[i]) === 1 ? 1 : 0;
}

/** Nobody reads more; all of it is bound. */
function cutParameter(type: string, oid: number, format: 0 | 1, value: Buffer): HeldParameter {
  const cut = { bytes: value.length, sha256: createHash("sha256").update(value).digest("hex") };
  const text = format === 0 ? decodeParameter(oid, 0, value) : null;
  return typeof text === "string"
    ? { type, text: text.slice(0, shownParameter), cut }
    : { type, text: undefined, bytes: value.subarray(0, shownParameter).toString("base64"), cut };
}

/** Types of the database's own by the catalog's name. */
function nameOfType({ view }: Guarding, oid: number): string {
  const known = view?.catalog.type(oid);
  return known === undefined || known.system ? typeName(oid) : `${known.schema}.${known.name}`;
}

function distinct(demands: readonly ApproverDemand[]): ApproverDemand[] {
  return [...new Map(demands.map((demand) => [demand.rule, demand])).values()];
}

function longest(demands: readonly ApproverDemand[]): number {
  return Math.min(...demands.map(({ withinMs }) => withinMs));
}

/** Of several statements the smallest limit each, for people to read; each statement keeps its own. */
function tightest(parts: readonly HeldPart[]): DecisionLimits {
  const all = parts.flatMap(({ judgement }) =>
    judgement.decision === null ? [] : [judgement.decision.limits],
  );
  const least = (name: keyof DecisionLimits) => {
    const values = all.flatMap((limits) => (limits[name] === null ? [] : [limits[name]]));
    return values.length === 0 ? null : Math.min(...values);
  };
  return {
    rows: least("rows"),
    bytes: least("bytes"),
    timeoutMs: least("timeoutMs"),
    affectedRows: least("affectedRows"),
    perMinute: least("perMinute"),
  };
}

/** The planner's guess for the first statement that has a plan; planning runs functions, so only harmless ones may be in it. */
async function estimateOf(guard: Guarding, parts: readonly HeldPart[]): Promise<ApprovalAsk["estimate"]> {
  const part = parts.find(({ judgement }) => judgement.awaits && planned.has(judgement.facts.kind));
  const [touched, more] = part?.judgement.touched ?? [];
  if (part === undefined || touched === undefined || more !== undefined || guard.local !== "none")
    return null;
  if (touched.unsafe.length > 0 || touched.problems.length > 0) return null;
  return guard.analyst
    .estimate(part.statement.text, touched.parameterTypes, guard.searchPath)
    .catch(() => null);
}

/** How long the client's session may wait, and why not longer. */
async function waitOf(
  walk: Walk,
  guard: Guarding,
  demands: readonly ApproverDemand[],
  ageMs: number | null,
  gone: AbortSignal,
): Promise<{ holdMs: number; note: string | null }> {
  let holdMs = Math.min(walk.limits.holdSeconds * 1000, longest(demands));
  if (ageMs === null) return { holdMs, note: null };
  // Inside a batch the session cannot be asked; another one of the same login has the same defaults.
  const query: Query = walk.unsynced ? (sql) => guard.analyst.query(sql) : hereOf(walk, gone);
  const { idleMs, wholeMs } = await transactionLimits(query);
  // Inside a batch the clock of an idle transaction does not run.
  const idle = idleMs === null || walk.unsynced ? [] : [idleMs];
  const left = [...idle, ...(wholeMs === null ? [] : [wholeMs - ageMs])].map((ms) =>
    Math.max(0, ms - marginMs),
  );
  const least = Math.min(...left);
  if (least >= holdMs) return { holdMs, note: null };
  holdMs = least;
  return {
    holdMs,
    note: `The server ends this transaction when it stands still: the wait is ${Math.round(holdMs / 1000)} s only.`,
  };
}
