/**
 * Steps `analyse` and `decide` of one statement: what it touches, as the server itself says, and what the policy says of that. Here
 * is what can be told at once; what the server must be asked for first is asked for in ask.ts, and the message comes again.
 */

import { hash } from "node:crypto";
import type { Touched } from "../../../facts/effects.ts";
import type { CompiledPolicy } from "../../../policy/index.ts";
import { meansOthers, setsRow, settledSettings } from "../../../sql/index.ts";
import { type View, viewOf } from "../../analyst/index.ts";
import { changesNow, othersChange } from "../changes.ts";
import {
  aborted,
  cancelledBefore,
  hardeningLost,
  hiddenSetting,
  type Leeway,
  leewayOf,
  loosened,
  ofParser,
  refusedStatically,
  staysReadOnly,
  unavailable,
} from "../facts.ts";
import { type Answer, type Guarding, type Judgement, type Question, unsettle } from "../judgement.ts";
import { needsNoAnalysis, outdated, sameMeaning } from "../meaning.ts";
import type { PreparedStatement, Shape } from "../names.ts";
import type { Place } from "../place.ts";
import { circuitOpen } from "../refusals.ts";
import type { Reason, Walk } from "../state.ts";
import { hasFailed, refusedBefore, serverRefusal } from "./refused.ts";
import { noneOpened, type Opened, usedBy } from "./used.ts";
import { decided } from "./verdict.ts";

const maxJudged = 4096;
/** Messages are looked at this often before the gateway gives up understanding them: others may change the catalog each time. */
export const maxAttempts = 20;
/** Of these, as many may be lost to changes of others. */
const maxOvertaken = 3;

const ids = new WeakMap<Shape, string>();
let lastId = 0;
/** The reader keeps every shape of a text below this, but for secret ones. */
const keptLength = 16_384;

/** Shapes of which the values of literals decide something: what is found out of one text holds for that alone. */
const valued = new WeakSet<Shape>();

/** Tells shapes apart. Where each reading of one text gives a shape of its own, or its literals decide, its text is told by a digest. */
function idOf({ shape, asked }: PreparedStatement): string {
  if (valued.has(shape)) return `#${hash("sha256", asked, "base64url")}`;
  let id = ids.get(shape);
  if (id === undefined) {
    const fleeting = shape.secret || asked.length > keptLength;
    id = fleeting ? `#${hash("sha256", asked, "base64url")}` : `#${(++lastId).toString(36)}`;
    ids.set(shape, id);
  }
  return id;
}

/** What was found out before may no longer hold: locks of a session that changes objects keep the statement waiting until it does not. */
function isMoving(guard: Guarding, view: View | null): boolean {
  return othersChange(guard.changes) && view?.protectedSet.empty === false;
}

/** The view that the session is judged by now; null: it must be loaded first. */
export function currentView(guard: Guarding, policy: CompiledPolicy): View | null {
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

/** What the session was judged by last, under the policy that is in force now. */
function lastView(guard: Guarding, policy: CompiledPolicy): View | null {
  const { view } = guard;
  if (view === null || view.policy === policy) return view;
  guard.view = viewOf(policy, view.catalog, guard.session.database);
  unsettle(guard);
  return guard.view;
}

/**
 * A definition is held against the catalog by the names it has (sideways.ts). What the session itself has made or dropped since that was
 * loaded has no values yet, or none any more; but what was renamed, here or by others, may have.
 */
function namesAnew(guard: Guarding, policy: CompiledPolicy, { shape }: PreparedStatement): boolean {
  const { definition } = shape.facts;
  if (definition === null || policy.labelsFor(guard.session.database).length === 0) return false;
  if (guard.local === "none" || meansOthers(definition, guard.renamed)) return true;
  const shared = guard.analyst.view(policy);
  return shared === null || (shared !== guard.localBase && shared !== guard.view);
}

/** Judges one statement; null: as judgeMessage. `opened`: cursors that the message itself has opened. */
export function judge(
  walk: Walk,
  guard: Guarding,
  statement: PreparedStatement,
  place: Place,
  questions: Question[],
  opened: Opened = noneOpened,
): Judgement | null {
  const policy = guard.policies.current;
  const view = currentView(guard, policy);
  const { statements, inTransaction } = place;
  const moving = isMoving(guard, view);
  const known = statement.judged;
  if (
    !moving &&
    known?.reusable === true &&
    known.stand === guard.stand &&
    known.inTransaction === inTransaction &&
    known.facts.statements === statements &&
    !guard.uncertain &&
    view !== null
  )
    return known;
  const { shape } = statement;
  const kept = shape.names.length === 0 && !moving;
  const key = `${idOf(statement)}|${statement.declared.join()}|${statements}|${inTransaction ? 1 : 0}`;
  if (kept && view !== null && !guard.uncertain) {
    const same = guard.judged.get(key);
    if (same !== undefined) {
      statement.judged = same;
      return same;
    }
  }
  const judgement = judgeAnew(walk, guard, view, policy, statement, place, questions, opened);
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
  opened: Opened,
): Judgement | null {
  const { shape } = statement;
  const refuse = (reason: Reason) => refusedBefore(walk, statement, reason, place);
  if (guard.loosened && !policy.permissive && !withoutEffects(statement)) return refuse(ending(walk));
  const early = refusedStatically(shape, leewayIn(policy, guard));
  if (early !== null && !statement.syntaxError) return refuse(early);
  if (guard.readOnly && shape.facts.readOnly === false) return refuse(staysReadOnly);
  const unknown = guard.unavailable ?? (guard.attempts > maxAttempts ? unavailable : null);
  if (unknown !== null) return unasked(walk, guard, statement, place, opened) ?? refuse(unknown);
  const asks =
    shape.facts.tree.length > 0 ||
    shape.names.length > 0 ||
    early !== null ||
    // Behind BEGIN, in the same batch, the server cannot be asked any more.
    (guard.uncertain && shape.facts.transaction === "begin" && walk.transaction === "I" && !walk.unsynced);
  // What touches nothing needs no catalog: COMMIT and ROLLBACK must pass where nothing can be asked.
  const anew = asks || (view === null && namesAnew(guard, policy, statement));
  if (view !== null) guard.renamed = null;
  const by = view ?? (anew ? null : (guard.analyst.view(policy) ?? lastView(guard, policy)));
  if (asks && guard.hardened && by !== null && guard.analyst.exposed !== 0) return refuse(hardeningLost);
  if (by === null || (guard.uncertain && asks)) {
    guard.alone = anew;
    return null;
  }
  if (early !== null) {
    // The server's own words for it are what the caller needs; if it has none, ours.
    const key = `\0syntax\0${statement.text}`;
    const answer = guard.fresh.get(key);
    if (answer?.kind === "refused" && ofParser(answer.error.sqlstate))
      return refuse(serverRefusal(answer.error, true, view));
    if (answer !== undefined) return refuse(early);
    questions.push({ key, text: statement.text, types: [], kind: "statement", settledSettings: 0 });
    return null;
  }
  const used = usedBy(walk, statement, leewayIn(policy, guard), opened);
  if ("refusal" in used)
    return (
      (policy.permissive ? unasked(walk, guard, statement, place, opened) : null) ??
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
      const answer: Answer | undefined =
        guard.fresh.get(key) ?? (isMoving(guard, by) ? undefined : guard.answers.get(key));
      if (answer === undefined) {
        open = true;
        questions.push({
          key,
          text: inner ?? one.asked,
          types: one.declared,
          kind,
          settledSettings: settledSettings(one.shape),
        });
      } else if (answer.kind === "touched" && answer.touched.byValue === true && !valued.has(one.shape)) {
        // It may be the answer for another text: this one is asked about by itself.
        valued.add(one.shape);
        return judgeAnew(walk, guard, view, policy, statement, place, questions, opened);
      } else if (answer.kind === "refused")
        // The server says it again, and better, when it is sent what it refused.
        return (
          unasked(walk, guard, statement, place, opened) ??
          refuse(
            hasFailed(walk) ? aborted : serverRefusal(answer.error, inner === null && one === statement, by),
          )
        );
      else if (answer.kind === "touched") {
        if (checked && setsRow(one.shape.facts) && answer.touched.settingRow !== true)
          return refuse(hiddenSetting);
        // Functions of bare expressions count; what they give goes nowhere.
        own.push(
          kind === "expressions" || kind === "copy-in"
            ? { ...answer.touched, outputs: null }
            : answer.touched,
        );
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
export function unasked(
  walk: Walk,
  guard: Guarding,
  statement: PreparedStatement,
  place: Place,
  opened: Opened = noneOpened,
): Judgement | null {
  const policy = guard.policies.current;
  const view = guard.view?.policy === policy ? guard.view : guard.analyst.view(policy);
  if (view === null || guard.hardened || !(policy.permissive || needsNoAnalysis(view))) return null;
  if (!policy.permissive && setsRow(statement.shape.facts)) return null;
  const used = usedBy(walk, statement, leewayIn(policy, guard), opened);
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

/** Why nothing is looked at, whatever it is; null: it is. A cancel request counts for one message. */
export function stopped(walk: Walk, guard: Guarding): Reason | null {
  if (!guard.cancelled) return circuitOpen(walk);
  guard.cancelled = false;
  return cancelledBefore;
}

/** Ending a transaction, mostly: that must always be possible. */
export function withoutEffects({ shape: { facts, names, kind } }: PreparedStatement): boolean {
  return (
    kind === "transaction" && facts.effects.length === 0 && facts.tree.length === 0 && names.length === 0
  );
}

/**
 * Others' changes have come into force while the server was asked about the message that waits: what it said, and the catalog that
 * was loaded, may be of the time before. It is asked once more; when that goes on, rows are kept back instead (relay.ts).
 */
export function overtaken(guard: Guarding): void {
  if (guard.asked === null || guard.asked === changesNow(guard.changes) || guard.attempts > maxOvertaken)
    return;
  guard.asked = null;
  guard.awaited = null;
  guard.fresh.clear();
}

/** The message that waited has been judged, or is skipped. */
export function done(guard: Guarding): void {
  guard.asof = guard.asked ?? changesNow(guard.changes);
  guard.asked = null;
  guard.attempts = 0;
  guard.unavailable = null;
  guard.awaited = null;
  if (guard.fresh.size > 0) guard.fresh.clear();
}

/** A pool takes the connection for a good one unless it ends. */
export function ending(walk: Walk): Reason {
  setImmediate(() => walk.guarded(() => walk.fail(loosened, "the policy was changed")));
  return loosened;
}

function leewayIn(policy: CompiledPolicy, { session }: Guarding): Leeway {
  return leewayOf(policy, policy.labelsFor(session.database).length > 0);
}
