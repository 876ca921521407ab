/**
 * What judge.ts cannot tell at once is asked of the server while the client's stream stands still: on the gateway's own
 * connection, or in the session itself where only that sees what the statement will see (temporary objects, uncommitted
 * DDL, another role). Then the message is looked at again.
 */
import { bindExecute, encodeAsk, parse } from "../../analysis/ask.ts";
import { AskReader, type AskResult } from "../../analysis/ask-read.ts";
import { loadCatalog } from "../../catalog/index.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { encodeClose, sync } from "../../protocol/index.ts";
import { type View, viewOf } from "../analyst/index.ts";
import { queryRows } from "../analyst/rows.ts";
import { touchedBy } from "../analyst/touching.ts";
import { changesNow } from "./changes.ts";
import { aborted, locked, unavailable, unknowable } from "./facts.ts";
import { type Guarding, type Question, unsettle } from "./judgement.ts";
import { comeToRest, exchange } from "./own.ts";
import { lockNotAvailable, patiently } from "./patience.ts";
import { queueHead, queueLength } from "./queue.ts";
import type { Reason, Walk } from "./state.ts";

const insideBatch: Reason = {
  sqlstate: "42501",
  code: "SEND_ALONE",
  message: "policy: a statement behind one that changes settings or objects must wait for its end",
  hint: "Send Sync between the two, or run them in a transaction block.",
};

class CannotAsk extends Error {
  readonly reason: Reason;
  constructor(reason: Reason) {
    super(reason.code);
    this.reason = reason;
  }
}

/** Stalls the client's stream until the questions have answers; the message at hand is then looked at again. */
export function askFirst(walk: Walk, guard: Guarding, questions: readonly Question[]): "later" {
  const stall = { until: "judged" } as const;
  walk.stall = stall;
  const resume = () =>
    walk.guarded(() => {
      if (walk.stall !== stall) return;
      walk.stall = null;
      if (walk.skipping) guard.cancelled = false;
      walk.resume();
      // Whatever became of the message: those behind it are not meant.
      guard.cancelled = false;
    });
  answers(walk, guard, questions).then(resume, (error: unknown) => {
    guard.unavailable = error instanceof CannotAsk ? error.reason : unavailable;
    if (!(error instanceof CannotAsk)) walk.notice(error);
    resume();
  });
  return "later";
}

/**
 * The client cancels. While its message waits to be read or judged the server has nothing of it, and would forget the request:
 * then the message is refused when it is looked at again. false: the server must be told, as well or alone.
 */
export function cancelWaiting(walk: Walk): boolean {
  const { guard, own } = walk;
  const waits = walk.stall?.until === "judged" || walk.stall?.until === "read";
  if (guard === null || !waits || walk.hold !== null) return false;
  const head = queueHead(walk.queue);
  const unsent = head === undefined || own !== null;
  // What is before it in the same batch may be over at once (a Parse), or what takes so long.
  if (unsent || head.batch === walk.batch) guard.cancelled = true;
  return unsent;
}

async function answers(walk: Walk, guard: Guarding, questions: readonly Question[]): Promise<void> {
  const policy = guard.policies.current;
  guard.asked ??= changesNow(guard.changes);
  const here = guard.alone || questions.length > 0;
  if (guard.localView !== null && guard.localBase !== (await guard.analyst.ready(policy)))
    guard.localView = null;
  const inSession = guard.local !== "none" && (guard.localView?.policy !== policy || questions.length > 0);
  if (here && (guard.uncertain || inSession)) await alone(walk, guard);
  if (here && guard.uncertain) await readSettings(walk, guard);
  const view =
    here && guard.local !== "none" ? await localView(walk, guard, policy) : await guard.analyst.ready(policy);
  guard.awaited = guard.local === "none" ? view : guard.localBase;
  for (const question of questions) {
    // Nobody waits for the answers any more.
    if (walk.client.destroyed) throw new CannotAsk(unavailable);
    // Statements of one shape in one message have one answer.
    if (!guard.fresh.has(question.key) && !(await answer(walk, guard, view, question))) return;
  }
}

/** false: what was found out before holds no longer; the message is to be looked at anew. */
async function answer(walk: Walk, guard: Guarding, view: View, question: Question): Promise<boolean> {
  const { text, types, key, kind } = question;
  if (kind === "estimate") {
    const estimate =
      guard.local === "none" ? await guard.analyst.estimate(text, types, guard.searchPath) : null;
    guard.fresh.set(key, { kind: "estimate", estimate });
    return true;
  }
  let times = 0;
  const asked = await patiently(
    () => {
      times++;
      return guard.local === "none"
        ? guard.analyst.ask(text, types, guard.searchPath)
        : askHere(walk, text, types, view.catalog.login.mayQuietLog);
    },
    () => !guard.cancelled && !walk.client.destroyed && !mayBeOwnLock(walk, guard),
  );
  if (asked.ok && times > 1) {
    // Whoever had the lock may have changed what the catalog said before.
    guard.analyst.bump();
    guard.awaited = null;
    guard.localView = null;
    return false;
  }
  if (asked.ok) {
    const touched = await touchedBy(asked, { ...question, kind }, view, guard.analyst, {
      local: guard.local !== "none",
      searchPath: guard.searchPath,
    });
    const result = { kind: "touched", touched } as const;
    guard.fresh.set(key, result);
    // What is not understood may be a catalog that is older than the server's: it is not kept.
    if (touched.problems.length === 0) guard.answers.set(key, result);
    else if (guard.local === "none" && guard.attempts <= 2 && touched.problems.some(isStale)) {
      guard.analyst.bump();
      guard.awaited = null;
    }
    return true;
  }
  if (asked.sqlstate === lockNotAvailable && mayBeOwnLock(walk, guard)) {
    // Then the session can be asked itself, and its transaction's end gives the lock back.
    guard.local = "transaction";
    guard.ddl = Math.max(guard.ddl, walk.batch - 1);
    guard.localView = null;
    unsettle(guard);
    return true;
  }
  if (asked.sqlstate === lockNotAvailable) throw new CannotAsk(locked);
  if (unknowable(asked)) throw new CannotAsk(unavailable);
  guard.fresh.set(key, {
    kind: "refused",
    error: {
      sqlstate: asked.sqlstate,
      message: asked.message,
      fields: asked.fields,
    },
  });
  return true;
}

/** A lock that its own transaction holds keeps the gateway's connection out, but not the session. */
function mayBeOwnLock({ transaction }: Walk, { local }: Guarding): boolean {
  return local === "none" && transaction === "T";
}

function isStale({ code }: { readonly code: string }): boolean {
  return code === "CATALOG_STALE";
}

/**
 * Waits until the server has answered everything. Nothing can be asked in an aborted transaction, or in a batch that has run
 * something outside of a transaction block: a Sync would commit it.
 */
async function alone(walk: Walk, guard: Guarding): Promise<void> {
  if (queueLength(walk.queue) > 0) {
    await new Promise<void>((resolve) => {
      if (walk.copyIn) resolve();
      else walk.drained = resolve;
    });
  }
  // The server reads COPY data, and answers nothing before their end.
  if (queueLength(walk.queue) > 0) throw new CannotAsk(unavailable);
  if (walk.transaction === "E") throw new CannotAsk(aborted);
  if (walk.unsynced && !(await comeToRest(walk, guard))) throw new CannotAsk(insideBatch);
}

const ownRequestName = "postern_own";

/** Statements of the gateway's own; a Query message would make the server forget the client's unnamed statement. */
function ownRequest(...statements: readonly string[]): Buffer {
  const closes = [encodeClose("portal", ownRequestName), encodeClose("statement", ownRequestName)];
  const each = statements.flatMap((sql) => [
    ...closes,
    parse(ownRequestName, sql, []),
    ...bindExecute(ownRequestName, ownRequestName, []),
  ]);
  return Buffer.concat([...each, ...closes, sync]);
}

/** Inside a transaction block a question that fails must not end it. */
async function guardedBySavepoint(walk: Walk, run: () => Promise<void>): Promise<void> {
  if (walk.transaction !== "T") return run();
  await exchange(walk, ownRequest("SAVEPOINT __postern_ask"), () => undefined);
  try {
    await run();
  } finally {
    // A refused question aborts the client's transaction until here.
    await exchange(
      walk,
      ownRequest("ROLLBACK TO SAVEPOINT __postern_ask", "RELEASE SAVEPOINT __postern_ask"),
      () => undefined,
    );
  }
}

async function askHere(
  walk: Walk,
  text: string,
  types: readonly number[],
  quietLog: boolean,
): Promise<AskResult> {
  const form = walk.transaction === "T" ? "transaction" : "session";
  const reader = new AskReader({ form });
  const request = encodeAsk({ text, parameterTypes: types, searchPath: null, quietLog }, form);
  await guardedBySavepoint(walk, () =>
    exchange(walk, request, ({ type, body }) => {
      reader.push(type, body);
    }),
  );
  if (reader.result === null) throw new CannotAsk(unavailable);
  return reader.result;
}

/** Asks the session itself; nothing else may be outstanding. Rejects when the server refuses, or the session ends. */
export async function queryHere(walk: Walk, sql: string): Promise<(string | null)[][]> {
  return queryRows((request, onFrame) => exchange(walk, request, onFrame), sql, ownRequest);
}

const ownSettings = `SELECT ${[
  ["jit", "off"],
  ["max_parallel_workers_per_gather", "0"],
  ["statement_timeout", "0"],
]
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`)
  .join(", ")}`;

/**
 * As queryHere, for questions about the catalog: whatever the session has set for its planner (enable_seqscan off makes every
 * plan look dear), they are too small for seconds of compiling (manual, "When to JIT?") or processes of their own; and its time limit is for its own
 * statements. Outside of a transaction block both settings end with the request, inside of one with the savepoint around it.
 */
async function queryCatalog(walk: Walk, sql: string): Promise<(string | null)[][]> {
  const rows = await queryRows(
    (request, onFrame) => exchange(walk, request, onFrame),
    sql,
    (asked) => ownRequest(ownSettings, asked),
  );
  return rows.slice(1);
}

/** What decides how names are looked up, as the server has it now. */
async function readSettings(walk: Walk, guard: Guarding): Promise<void> {
  const [row] = await queryHere(
    walk,
    "SELECT pg_catalog.current_setting('search_path'), CURRENT_USER::pg_catalog.text",
  );
  if (row === undefined) throw new CannotAsk(unavailable);
  const [path, role] = row;
  guard.searchPath = path ?? null;
  guard.role = role == null || role === guard.session.role ? null : role;
  if (role !== guard.session.role) guard.local = "session";
  guard.uncertain = false;
  guard.localView = null;
  unsettle(guard);
}

let localEpoch = 0;

/** The catalog as the session sees it. */
async function localView(walk: Walk, guard: Guarding, policy: CompiledPolicy): Promise<View> {
  if (guard.localView?.policy === policy) return guard.localView;
  const base = await guard.analyst.ready(policy);
  let view: View | null = null;
  await guardedBySavepoint(walk, async () => {
    // Epochs below zero are the sessions' own.
    const catalog = await loadCatalog((sql) => queryCatalog(walk, sql), --localEpoch, guard.analyst.trust);
    view = viewOf(policy, catalog, guard.session.database);
  });
  if (view === null) throw new CannotAsk(unavailable);
  guard.localView = view;
  guard.localBase = base;
  return view;
}
