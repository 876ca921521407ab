/**
 * Steps `analyse` and `decide`: what a statement touches, as the server itself says, and what the policy says of that. Here
 * is what can be told at once; what the server must be asked for first is asked for in ask.ts, and the message comes again.
 */
import { hash } from "node:crypto";
import { planMasks } from "../../analysis/plan.ts";
import { functionText } from "../../catalog/index.ts";
import type { Effect, StatementFacts, Touched } from "../../facts/effects.ts";
import { isScanned } from "../../masking/index.ts";
import {
  type Budget,
  type CompiledPolicy,
  type DecideInput,
  type Estimate,
  equalityBudget,
  type PolicyDecision,
} from "../../policy/index.ts";
import { emptyFacts, type StaticFacts, setsRow, settledSettings } from "../../sql/index.ts";
import { detectionOf } from "../analyst/detection.ts";
import type { View } from "../analyst/index.ts";
import { decisionOf } from "./decided.ts";
import {
  aborted,
  cancelledBefore,
  changesSettings,
  factsOf,
  givesRows,
  hardeningLost,
  hiddenSetting,
  type Leeway,
  leewayOf,
  loosened,
  loosens,
  mayWrite,
  notUnderstood,
  planned,
  refusedStatically,
  sendAlone,
  tooLargeToRead,
  unavailable,
  unmaskable,
} from "./facts.ts";
import { keepNames, refusalWithoutNames, withoutNames } from "./hidden.ts";
import type { Answer, Guarding, Judgement, Question, ServerRefusal, Watched } from "./judgement.ts";
import { unsettle } from "./judgement.ts";
import { uncountable } from "./limits.ts";
import { mayTell, needsNoAnalysis, outdated, sameMeaning } from "./meaning.ts";
import { getPortal, type PreparedStatement, type Shape } from "./names.ts";
import { changesNames, endsTransaction, inBlock, inBlockBehind, type Place } from "./place.ts";
import { queueLength } from "./queue.ts";
import { circuitOpen } from "./refusals.ts";
import { unreadCode } from "./sideways.ts";
import type { Reason, Walk } from "./state.ts";

const maxJudged = 4096;
/** Messages are looked at this often before the gateway gives up understanding them. */
const maxAttempts = 6;
/** EXECUTE of a statement that is itself an EXECUTE, and so on. */
const maxUsed = 4;

const staysReadOnly: Reason = {
  sqlstate: "25006",
  code: "READ_ONLY",
  message: "policy: this session only reads, and its transactions stay read-only",
  hint: "Leave READ WRITE out.",
};

const noMessage: Reason = {
  sqlstate: "42501",
  code: "OTHER_PART_DENIED",
  message: "policy: another statement of the same message is denied",
  hint: "Send the statements one by one.",
};

const ids = new WeakMap<Shape, string>();
let lastId = 0;
/** The reader keeps every shape of a text below this, but for secret ones. */
const keptLength = 16_384;

/** Tells shapes apart. Where each reading of one text gives a shape of its own, its text is told by a digest. */
function idOf({ shape, text }: PreparedStatement): string {
  let id = ids.get(shape);
  if (id === undefined) {
    const fleeting = shape.secret || text.length > keptLength;
    id = fleeting ? `#${hash("sha256", text, "base64url")}` : `#${(++lastId).toString(36)}`;
    ids.set(shape, id);
  }
  return id;
}

/** The view that the session is judged by now; null: it must be loaded first. */
function currentView(guard: Guarding, policy: CompiledPolicy): View | null {
  if (guard.grantsEnd !== null && guard.grantsEnd <= Date.now()) guard.onGrantsEnd();
  const { awaited } = guard;
  const shared = guard.analyst.view(policy) ?? (awaited?.policy === policy ? awaited : null);
  const view = guard.local === "none" ? shared : shared === guard.localBase ? guard.localView : null;
  if (view !== null && view !== guard.view) {
    guard.view = view;
    unsettle(guard);
  }
  return view;
}

/** The statements of one message, judged together: none runs unless all may. */
export interface Verdicts {
  readonly judgements: readonly Judgement[];
  /** Index of the first that is refused; -1: none. */
  readonly refused: number;
  /** Index of the first that may run once people have agreed; -1: none. */
  readonly awaiting: number;
}

/**
 * Judges a message's statements. null: the server must be asked first; what, is added to `questions`.
 */
export function judgeMessage(
  walk: Walk,
  guard: Guarding,
  statements: readonly PreparedStatement[],
  questions: Question[],
): Verdicts | null {
  const judgements: (Judgement | null)[] = [];
  const paused = stopped(walk, guard);
  if (paused !== null && !statements.every(withoutEffects)) {
    const place = { statements: statements.length, inTransaction: inBlock(walk, guard) };
    done(guard);
    return {
      judgements: statements.map((statement) => refusedBefore(walk, statement, paused, place)),
      refused: 0,
      awaiting: -1,
    };
  }
  let refused = -1;
  let awaiting = -1;
  let open = false;
  let changed = false;
  let named = false;
  let inTransaction = inBlock(walk, guard);
  for (const [index, statement] of statements.entries()) {
    const { facts, names } = statement.shape;
    const place = { statements: statements.length, inTransaction };
    let judgement: Judgement | null;
    const uses = names.some(({ kind }) => kind === "execute" || kind === "fetch");
    if ((changed && (facts.tree.length > 0 || uses)) || (named && uses))
      // Behind a statement that is still to be looked at, the policy's view may not have been loaded yet.
      judgement =
        unasked(walk, guard, statement, place) ??
        (open ? null : refusedBefore(walk, statement, sendAlone, place));
    else judgement = judge(walk, guard, statement, place, questions);
    judgements.push(judgement);
    if (judgement === null) open = true;
    else if (judgement.awaits && guard.desk !== null) {
      if (awaiting < 0) awaiting = index;
    } else if (judgement.refusal !== null && refused < 0) refused = index;
    changed ||= changesMeaning(guard, statement, judgement);
    named ||= statements.length > 1 && changesNames(walk, statement);
    inTransaction = inBlockBehind(statement.shape) ?? inTransaction;
  }
  if (open && refused < 0) {
    guard.attempts++;
    return null;
  }
  // What is not judged yet beside a refused one is refused with it.
  const place = { statements: statements.length, inTransaction: inBlock(walk, guard) };
  const all = statements.map(
    (statement, index) => judgements[index] ?? refusedBefore(walk, statement, noMessage, place),
  );
  done(guard);
  return { judgements: all, refused, awaiting };
}

/**
 * Judges the statements of one batch of the extended protocol as they stand before anything of it is sent, each a message of its
 * own. What comes behind one that changes what names mean is left out: it is judged when that has run. null: as judgeMessage.
 */
export function judgeBatch(
  walk: Walk,
  guard: Guarding,
  statements: readonly PreparedStatement[],
  questions: Question[],
): readonly Judgement[] | null {
  const judgements: Judgement[] = [];
  let inTransaction = inBlock(walk, guard);
  let open = false;
  for (const statement of statements) {
    const judgement = judge(walk, guard, statement, { statements: 1, inTransaction }, questions);
    if (judgement === null) open = true;
    else judgements.push(judgement);
    if (changesMeaning(guard, statement, judgement) || changesNames(walk, statement)) break;
    inTransaction = inBlockBehind(statement.shape) ?? inTransaction;
  }
  if (open) {
    guard.attempts++;
    return null;
  }
  done(guard);
  return judgements;
}

/** Why nothing is looked at, whatever it is; null: it is. A cancel request counts for one message. */
function stopped(walk: Walk, guard: Guarding): Reason | null {
  if (!guard.cancelled) return circuitOpen(walk);
  guard.cancelled = false;
  return cancelledBefore;
}

/** Ending a transaction, mostly: that must always be possible. */
function withoutEffects({ shape: { facts, names, kind } }: PreparedStatement): boolean {
  return (
    kind === "transaction" && facts.effects.length === 0 && facts.tree.length === 0 && names.length === 0
  );
}

/** A FunctionCall is decided like a SELECT of the function it calls; null: as judgeMessage. */
export function judgeFunction(
  walk: Walk,
  guard: Guarding,
  statement: PreparedStatement,
  oid: number,
): Judgement | null {
  const policy = guard.policies.current;
  const view = currentView(guard, policy);
  if (
    guard.unavailable === null &&
    !guard.cancelled &&
    guard.attempts <= maxAttempts &&
    (view === null || guard.uncertain)
  ) {
    guard.attempts++;
    guard.alone = true;
    return null;
  }
  const called = view?.catalog.func(oid);
  const place = { statements: 1, inTransaction: inBlock(walk, guard) };
  const why =
    (guard.loosened && !policy.permissive ? ending(walk) : null) ?? stopped(walk, guard) ?? guard.unavailable;
  done(guard);
  if (view === null || called === undefined || why !== null)
    return refusedBefore(walk, statement, why ?? unknownFunction, place);
  const name = functionText(view.catalog, oid);
  const unsafe = called.verdict.safe
    ? []
    : [{ oid, name, effect: called.verdict.effect, reason: called.verdict.reason }];
  const touched: Touched = {
    reads: [],
    writes: [],
    columns: [],
    functions: [name],
    effects: called.verdict.safe ? ["read"] : [called.verdict.effect],
    uses: [],
    outputs: null,
    assignments: [],
    inspected: [],
    unsafe,
    parameterTypes: called.arguments,
    problems: [],
  };
  const plain: PreparedStatement = { ...statement, shape: { ...statement.shape, facts: emptyFacts } };
  return (
    decided(walk, guard, view, plain, place, [plain], [touched], []) ??
    refusedBefore(walk, statement, unknownFunction, place)
  );
}

const unknownFunction: Reason = {
  sqlstate: "42501",
  code: "NOT_UNDERSTOOD",
  message: "policy: the function of a FunctionCall message is not known",
  hint: "Call it in a SELECT statement.",
};

/** The message that waited has been judged, or is skipped. */
export function done(guard: Guarding): void {
  guard.attempts = 0;
  guard.unavailable = null;
  guard.awaited = null;
  if (guard.fresh.size > 0) guard.fresh.clear();
}

/** Statements behind it in the same message cannot be understood before it has run. */
function changesMeaning(guard: Guarding, statement: PreparedStatement, judgement: Judgement | null): boolean {
  const { kind } = statement.shape;
  if (kind === "ddl" || kind === "call" || kind === "do" || changesSettings(statement.shape)) return true;
  if (endsTransaction(statement.shape) && (guard.settings >= 0 || guard.ddl >= 0)) return true;
  return judgement !== null && (judgement.after.settings || judgement.facts.effects.includes("ddl"));
}

/** Judges one statement; null: as judgeMessage. */
function judge(
  walk: Walk,
  guard: Guarding,
  statement: PreparedStatement,
  place: Place,
  questions: Question[],
): Judgement | null {
  const policy = guard.policies.current;
  const view = currentView(guard, policy);
  const { statements, inTransaction } = place;
  const known = statement.judged;
  if (
    known?.reusable === true &&
    known.stand === guard.stand &&
    known.inTransaction === inTransaction &&
    known.facts.statements === statements &&
    !guard.uncertain &&
    view !== null
  )
    return known;
  const { shape } = statement;
  const kept = shape.names.length === 0;
  const key = `${idOf(statement)}|${statement.declared.join()}|${statements}|${inTransaction ? 1 : 0}`;
  if (kept && view !== null && !guard.uncertain) {
    const same = guard.judged.get(key);
    if (same !== undefined) {
      statement.judged = same;
      return same;
    }
  }
  const judgement = judgeAnew(walk, guard, view, policy, statement, place, questions);
  if (judgement === null) return null;
  statement.judged = judgement;
  if (kept && judgement.reusable) {
    if (guard.judged.size >= maxJudged) guard.judged.clear();
    guard.judged.set(key, judgement);
  }
  return judgement;
}

function judgeAnew(
  walk: Walk,
  guard: Guarding,
  view: View | null,
  policy: CompiledPolicy,
  statement: PreparedStatement,
  place: Place,
  questions: Question[],
): Judgement | null {
  const { shape } = statement;
  const refuse = (reason: Reason) => refusedBefore(walk, statement, reason, place);
  if (guard.loosened && !policy.permissive && !withoutEffects(statement)) return refuse(ending(walk));
  const early = refusedStatically(shape, leewayIn(policy, guard));
  if (early !== null && !statement.syntaxError) return refuse(early);
  if (guard.readOnly && shape.facts.readOnly === false) return refuse(staysReadOnly);
  const unknown = guard.unavailable ?? (guard.attempts > maxAttempts ? unavailable : null);
  if (unknown !== null) return unasked(walk, guard, statement, place) ?? refuse(unknown);
  const asks =
    shape.facts.tree.length > 0 ||
    shape.names.length > 0 ||
    early !== null ||
    // Behind BEGIN, in the same batch, the server cannot be asked any more.
    (guard.uncertain && shape.facts.transaction === "begin" && walk.transaction === "I" && !walk.unsynced);
  // What touches nothing needs no catalog: COMMIT and ROLLBACK must pass where nothing can be asked.
  const by = view ?? (asks ? null : (guard.analyst.view(policy) ?? guard.view));
  if (asks && guard.hardened && by !== null && guard.analyst.exposed !== 0) return refuse(hardeningLost);
  if (by === null || (guard.uncertain && asks)) {
    guard.alone = asks;
    return null;
  }
  if (early !== null) {
    // The server's own words for it are what the caller needs; if it has none, ours.
    const key = `\0syntax\0${statement.text}`;
    const answer = guard.fresh.get(key);
    if (answer?.kind === "refused" && answer.error.sqlstate.startsWith("42"))
      return refuse(serverRefusal(answer.error, true, view));
    if (answer !== undefined) return refuse(early);
    questions.push({ key, text: statement.text, types: [], kind: "statement", settledSettings: 0 });
    return null;
  }
  const used = usedBy(walk, statement, leewayIn(policy, guard));
  if ("refusal" in used)
    return (
      (policy.permissive ? unasked(walk, guard, statement, place) : null) ??
      refuse(hasFailed(walk) ? aborted : used.refusal)
    );
  const checked = !policy.permissive && used.statements.some(({ shape: { facts } }) => setsRow(facts));
  if (guard.lazy && needsNoAnalysis(by) && !checked)
    return decided(walk, guard, by, statement, place, used.statements, null, questions);
  const touched: Touched[] = [];
  let open = false;
  for (const [nth, one] of used.statements.entries()) {
    const own: Touched[] = [];
    for (const [at, { text: inner, kind: written }] of one.shape.facts.tree.entries()) {
      // CREATE TABLE AS EXECUTE and EXPLAIN EXECUTE do with the named statement's rows what they do with their own.
      const kind = written === "statement" ? (used.wrapped ?? written) : written;
      // A sensitive shape is one text's own, and is never shared.
      const text = `${idOf(one)}.${at}`;
      const key = [
        guard.local === "none" ? "" : `${guard.id}.${guard.stand}`,
        guard.searchPath ?? "",
        by.catalog.epoch,
        one.declared.join(),
        kind,
        text,
      ].join("\0");
      const answer: Answer | undefined = guard.fresh.get(key) ?? guard.answers.get(key);
      if (answer === undefined) {
        open = true;
        questions.push({
          key,
          text: inner ?? one.text,
          types: one.declared,
          kind,
          settledSettings: settledSettings(one.shape),
        });
      } else if (answer.kind === "refused")
        // The server says it again, and better, when it is sent what it refused.
        return (
          unasked(walk, guard, statement, place) ??
          refuse(
            hasFailed(walk) ? aborted : serverRefusal(answer.error, inner === null && one === statement, by),
          )
        );
      else if (answer.kind === "touched") {
        if (checked && setsRow(one.shape.facts) && answer.touched.settingRow !== true)
          return refuse(hiddenSetting);
        // Functions of bare expressions count; what they give goes nowhere.
        own.push(kind === "expressions" ? { ...answer.touched, outputs: null } : answer.touched);
      }
    }
    const bound = used.bound[nth] ?? null;
    if (!open && bound !== null && !needsNoAnalysis(by) && !sameMeaning(bound.touched, own))
      return refuse(outdated);
    touched.push(...own);
  }
  if (open) return null;
  return decided(walk, guard, by, statement, place, used.statements, touched, questions);
}

/** A judgement without asking what the statement touches; null: something depends on that. */
function unasked(walk: Walk, guard: Guarding, statement: PreparedStatement, place: Place): Judgement | null {
  const policy = guard.policies.current;
  const view = guard.view?.policy === policy ? guard.view : guard.analyst.view(policy);
  if (view === null || guard.hardened || !(policy.permissive || needsNoAnalysis(view))) return null;
  if (!policy.permissive && setsRow(statement.shape.facts)) return null;
  const used = usedBy(walk, statement, leewayIn(policy, guard));
  if ("refusal" in used && !policy.permissive) return null;
  const judged = decided(
    walk,
    guard,
    view,
    statement,
    place,
    "refusal" in used ? [statement] : used.statements,
    null,
    [],
  );
  return judged === null ? null : { ...judged, reusable: false };
}

/** A pool takes the connection for a good one unless it ends. */
function ending(walk: Walk): Reason {
  setImmediate(() => walk.guarded(() => walk.fail(loosened, "the policy was changed")));
  return loosened;
}

function leewayIn(policy: CompiledPolicy, { session }: Guarding): Leeway {
  return leewayOf(policy, policy.labelsFor(session.database).length > 0);
}

type Used =
  | {
      readonly statements: readonly PreparedStatement[];
      /** What was decided of each when its cursor was opened; null: it is planned when it runs. */
      readonly bound: readonly (Judgement | null)[];
      /** What becomes of the rows of the statement that EXECUTE names; null: nothing else. */
      readonly wrapped: "create-table" | "explain" | null;
    }
  | { readonly refusal: Reason };

/** The statement and those that EXECUTE and FETCH name; their effects are its own. */
function usedBy(walk: Walk, statement: PreparedStatement, leeway: Leeway): Used {
  const all = [statement];
  const bound: (Judgement | null)[] = [null];
  let wrapped: "create-table" | "explain" | null = null;
  for (let at = 0; at < all.length; at++) {
    if (all.length > maxUsed)
      return { refusal: notUnderstood("NOT_UNDERSTOOD", "the statement is nested too deep", null) };
    for (const { kind, name } of all[at]?.shape.names ?? []) {
      if (name === null || (kind !== "execute" && kind !== "fetch")) continue;
      const portal = kind === "execute" ? undefined : getPortal(walk.names, name);
      const inner = kind === "execute" ? walk.names.statements.get(name) : portal?.statement;
      if (inner === undefined)
        return {
          refusal: {
            sqlstate: kind === "execute" ? "26000" : "34000",
            code: kind === "execute" ? "UNKNOWN_STATEMENT" : "UNKNOWN_CURSOR",
            message:
              kind === "execute"
                ? `prepared statement "${name}" does not exist`
                : `cursor "${name}" does not exist`,
            hint: "It must have been made through this session.",
            object: name,
          },
        };
      const unread = refusedStatically(inner.shape, leeway);
      if (unread !== null) return { refusal: unread };
      all.push(inner);
      bound.push(portal?.bound ?? null);
      const wrapper = all[at]?.shape;
      if (wrapper?.kind === "ddl" || wrapper?.facts.effects.includes("ddl") === true)
        wrapped = "create-table";
      else if (wrapper?.facts.explain != null) wrapped ??= "explain";
    }
  }
  return { statements: all, bound, wrapped };
}

/** In a transaction that has failed PostgreSQL looks up no names: drivers tell by its error that they must roll back. */
function hasFailed({ transaction, queue }: Walk): boolean {
  return transaction === "E" && queueLength(queue) === 0;
}

function serverRefusal(error: ServerRefusal, samePlace: boolean, view: View | null): Reason {
  // The server said nothing: what it printed was more than the gateway reads.
  if (error.fields.size === 0) return tooLargeToRead(error);
  const fields = withoutNames(view, error.fields);
  return {
    sqlstate: error.sqlstate,
    code: "SERVER_ERROR",
    message: error.message,
    hint: "",
    server: { ...error, fields: samePlace ? fields : withoutPlace(fields) },
  };
}

/** The server was asked about a part of the text only: places in it would mislead. */
function withoutPlace(fields: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const rest = new Map(fields);
  rest.delete("P");
  return rest;
}

/** Lays the policy over what is known. `analysed` null: nobody asked what the statement touches. */
function decided(
  walk: Walk,
  guard: Guarding,
  view: View,
  statement: PreparedStatement,
  { statements, inTransaction }: Place,
  used: readonly PreparedStatement[],
  analysed: readonly Touched[] | null,
  questions: Question[],
): Judgement | null {
  const { shape } = statement;
  const touched = analysed ?? [];
  const bare = factsOf(shape, touched, used, inTransaction, statements, statement.bytes);
  const own = bare.effects;
  const labels = new Set<string>();
  const predicates = new Set<string>();
  let reason: Reason | null = null;
  for (const one of touched) {
    const [problem] = one.problems;
    if (problem !== undefined && leewayOf(view.policy, !view.protectedSet.empty) === "none")
      reason ??= notUnderstood(problem.code, problem.message, problem.object);
  }
  const explain = shape.facts.explain !== null;
  const first = touched.map((one) =>
    planMasks(one, view.protectedSet, { unmask: [], explain, mayWrite: (name) => mayWrite(view, name) }),
  );
  for (const outcome of first) {
    for (const label of outcome.labels) labels.add(label);
    for (const label of outcome.labelsInPredicates) predicates.add(label);
  }
  const protects = labels.size > 0;
  if (!view.observedSet.empty) {
    for (const one of touched) {
      const outcome = planMasks(one, view.observedSet, { unmask: [], explain });
      for (const label of outcome.labels) labels.add(label);
      for (const label of outcome.labelsInPredicates) predicates.add(label);
    }
  }
  const facts: StatementFacts = {
    ...bare,
    effects: analysed === null ? unknownEffects(own, used) : own,
    labels: [...labels].sort(),
    labelsInPredicates: [...predicates].sort(),
  };
  const asked = { principal: guard.principal, session: guard.session, statement: facts, now: new Date() };
  const estimate = estimateFor(guard, view, asked, statement, touched, questions);
  if (estimate === "open") return null;
  const decision = view.policy.decide(estimate === null ? asked : { ...asked, estimate: () => estimate });
  const outcomes =
    decision.unmask.length === 0 && decision.relax.size === 0
      ? first
      : touched.map((one) =>
          planMasks(one, view.protectedSet, {
            unmask: decision.unmask,
            relax: decision.relax,
            explain,
            mayWrite: (name) => mayWrite(view, name),
          }),
        );
  const masked = new Set<string>();
  let plan: Judgement["plan"] = null;
  const budgets: Budget[] = [...decision.budgets];
  for (const outcome of outcomes) {
    if (outcome.ok) {
      budgets.push(...equalityBudgets(view, outcome.equalities));
      for (const column of outcome.masked) masked.add(column);
      if (outcome.plan?.columns.some((column) => column !== null) === true) plan ??= outcome.plan;
    } else
      reason ??= {
        sqlstate: "42501",
        code: outcome.code,
        message: `policy: ${outcome.message}`,
        hint: outcome.hint,
        object: outcome.column,
      };
  }
  for (const one of used) reason ??= unreadCode(one.shape, view, decision.unmask);
  const bound = used.length === 1 && shape.kind !== "prepare" && shape.kind !== "declare";
  const texts = [statement, ...used].map(({ text }) => text);
  const kept = keepNames(view, touched, explain, bound, texts);
  if (kept !== null && "refusal" in kept) reason ??= kept.refusal;
  const names = kept !== null && "mask" in kept ? kept.mask : null;
  if ((plan !== null || names !== null) && shape.facts.copy?.direction === "out")
    reason ??= unmaskable(shape.facts.copy, [...masked].sort()[0] ?? null);
  // Before people are asked: it could not run even then.
  if (decision.verdict !== "deny") reason ??= uncountable([statement], [{ decision, facts }]);
  // People cannot agree to what nobody understands, or what cannot be masked.
  const agreeable = decision.verdict === "approve" && reason === null;
  // PREPARE runs nothing, as Parse does not: people are asked at its EXECUTE.
  const awaits = agreeable && shape.kind !== "prepare";
  // A rule that denies says more than that the statement is not understood.
  if (awaits || decision.verdict === "deny") reason = ofDecision(decision);
  const rows = givesRows(shape.facts, shape);
  const outputs = rows ? (touched.find((one) => one.outputs !== null)?.outputs ?? null) : null;
  const copied = copiedColumns(shape.facts, outputs, view);
  const sent = <T>(columns: readonly T[]): readonly T[] => columns.filter((_, i) => copied[i] !== false);
  const watched = rows ? watch(view, shape.facts, outputs) : null;
  const looked = explain && names !== null ? 1 : rows ? (outputs?.length ?? 0) : 0;
  const hiding =
    plan ??
    (watched === null && (names === null || looked === 0)
      ? null
      : { columns: new Array<null>(looked).fill(null), scrub: false });
  return {
    view,
    stand: guard.stand,
    inTransaction,
    reusable:
      reason?.server === undefined &&
      shape.names.length === 0 &&
      view.policy.cacheKey(guard.principal, guard.session) !== null,
    decision,
    budgets,
    durability: decision.durability ?? walk.durability,
    awaits,
    refusal: refusalWithoutNames(view, reason, texts),
    ...records(
      walk,
      statement,
      analysed === null ? { ...facts, effects: null } : facts,
      decision,
      reason,
      [...masked].sort(),
      touched.length > 0,
    ),
    patterns: kept !== null && "patterns" in kept ? kept.patterns : [],
    plan: looked > 0 && hiding !== null ? { ...hiding, columns: sent(hiding.columns) } : null,
    names,
    watched: watched === null ? null : { ...watched, labelled: sent(watched.labelled) },
    outputs: outputs === null ? null : sent(outputs),
    masked: [...masked].sort(),
    facts,
    scrub: protects || mayTell(view, used, facts),
    // What is not analysed may change what names mean: nothing depends on that, as nothing depends on names.
    after: aftermath(used, { ...facts, effects: own }, touched),
    touched,
  };
}

/** Whatever functions it calls may do; only what has no query in it has no effects. */
function unknownEffects(own: readonly Effect[], used: readonly PreparedStatement[]): readonly Effect[] {
  if (used.every(({ shape }) => shape.facts.tree.length === 0)) return own;
  return [...new Set<Effect>([...own, "execute", "read"])].sort();
}

/** Which outputs are looked into by content: those without a label, of types that can hold what is looked for. */
function watch(
  { policy, protectedSet }: View,
  facts: StaticFacts,
  outputs: Judgement["outputs"],
): Watched | null {
  const detect = detectionOf(policy);
  if (detect === null || detect.rules.length === 0 || outputs === null || facts.copy?.format === "binary")
    return null;
  const labelled = outputs.map(({ sources }) =>
    sources.some(({ relation, attribute }) =>
      attribute === 0
        ? protectedSet.ofRelation(relation).length > 0
        : protectedSet.column(relation, attribute) !== undefined,
    ),
  );
  const any = outputs.some(({ type }, i) => labelled[i] === false && isScanned(type));
  return any ? { detect, labelled } : null;
}

function aftermath(
  used: readonly PreparedStatement[],
  { effects }: StatementFacts,
  touched: readonly Touched[],
): Judgement["after"] {
  const unchecked = !touched.some(({ settingRow }) => settingRow === true);
  // Nobody knows what a function does that is not on the list.
  const opaque = effects.includes("execute");
  return {
    settings: opaque || used.some(({ shape }) => changesSettings(shape)),
    objects:
      opaque ||
      effects.includes("ddl") ||
      effects.includes("admin") ||
      // Others, the gateway's own connection among them, wait for its lock.
      used.some(({ shape }) => shape.kind === "lock" || shape.kind === "truncate"),
    temporary: opaque || used.some(({ shape }) => shape.facts.temporary),
    ends: used.some(({ shape }) => endsTransaction(shape)),
    loosens: used.some((one) => loosens(one) || (unchecked && setsRow(one.shape.facts))),
  };
}

/** What the planner guesses, where a rule cannot be decided without it; "open": it must be asked first. */
function estimateFor(
  guard: Guarding,
  view: View,
  input: DecideInput,
  statement: PreparedStatement,
  touched: readonly Touched[],
  questions: Question[],
): Estimate | null | "open" {
  if (!view.policy.needs.estimate || !view.policy.wantsEstimate(input)) return null;
  const [only] = touched;
  // Planning runs functions: only those that are known to be harmless may.
  // Transaction control and settings have no plan, and cost nothing.
  if (only === undefined && input.statement.effects.every((effect) => effect === "session"))
    return { rows: 0, cost: 0 };
  if (only === undefined || touched.length > 1 || only.unsafe.length > 0 || only.problems.length > 0)
    return null;
  if (!planned.has(statement.shape.kind)) return null;
  const key = `\0estimate\0${only.parameterTypes.join()}\0${statement.text}`;
  const answer = guard.fresh.get(key);
  if (answer?.kind === "estimate") return answer.estimate;
  questions.push({
    key,
    text: statement.text,
    types: only.parameterTypes,
    kind: "estimate",
    settledSettings: 0,
  });
  return "open";
}

/** Comparisons with protected columns that the policy counts (`use: equality`). */
function equalityBudgets(view: View, columns: readonly string[]): Budget[] {
  if (columns.length === 0) return [];
  const labels = new Set(
    view.protectedSet.columns
      .filter((column) => columns.includes(column.name))
      .flatMap((column) => column.labels.map(({ label }) => label)),
  );
  return view.policy.labels.filter(({ label }) => labels.has(label)).map((label) => equalityBudget(label));
}

/** COPY of a table without a column list leaves out generated columns: which of the outputs are sent. */
function copiedColumns(
  { copy }: StaticFacts,
  outputs: Judgement["outputs"],
  { catalog }: View,
): readonly boolean[] {
  if (copy === null || copy.relation === null || copy.columns !== null || outputs === null) return [];
  return outputs.map(
    ({ origin }) => (catalog.column(origin.relation, origin.attribute)?.generatedFrom.length ?? 0) === 0,
  );
}

function ofDecision(decision: PolicyDecision): Reason {
  return {
    sqlstate: "42501",
    code: decision.code ?? "POLICY_DENIED",
    message: `policy: ${decision.message ?? "the statement is not allowed"}`,
    hint: decision.hint ?? "",
    ...(decision.verdict === "approve"
      ? { approvers: decision.approvers.map(({ groups, count }) => ({ groups, count })) }
      : {}),
    object: decision.object,
    rule: decision.rule,
  };
}

/** A statement that is refused before the policy is asked. */
function refusedBefore(
  walk: Walk,
  statement: PreparedStatement,
  reason: Reason,
  { statements, inTransaction }: Place,
): Judgement {
  const facts = factsOf(statement.shape, [], [statement], inTransaction, statements, statement.bytes);
  return {
    view: null,
    stand: -1,
    inTransaction: facts.inTransaction,
    reusable: false,
    decision: null,
    budgets: [],
    durability: walk.durability,
    awaits: false,
    refusal: reason,
    ...records(walk, statement, facts, null, reason, [], false),
    plan: null,
    watched: null,
    names: null,
    patterns: [],
    outputs: null,
    masked: [],
    facts,
    scrub: false,
    after: { settings: false, objects: false, temporary: false, ends: false, loosens: false },
    touched: [],
  };
}

function records(
  walk: Walk,
  { shape }: PreparedStatement,
  facts: Omit<StatementFacts, "effects"> & { readonly effects: StatementFacts["effects"] | null },
  decision: PolicyDecision | null,
  reason: Reason | null,
  masked: readonly string[],
  analysed: boolean,
): Pick<Judgement, "statementRecord" | "decisionRecord"> {
  const known = <T>(list: T): T | null => (analysed ? list : null);
  const verdict =
    reason === null ? "allow" : reason.code === decision?.code ? (decision?.verdict ?? "deny") : "deny";
  return {
    statementRecord: walk.audit.statement({
      sql: shape.kind === "unknown" ? null : shape.stripped,
      fingerprint: shape.fingerprint,
      kind: shape.kind,
      command: shape.command,
      effects: facts.effects,
      reads: known(facts.reads),
      writes: known(facts.writes),
      columns: known(facts.columns),
      functions: known(facts.functions),
      labels: known(facts.labels),
    }),
    decisionRecord: decisionOf(walk, decision, verdict, reason?.code ?? null, masked),
  };
}
