/** How the statements of a message are judged together: none runs unless all may. */
import { gravest, meansOthers, type Renames } from "../../../sql/index.ts";
import { changesSettings, sendAlone } from "../facts.ts";
import { innerStatement } from "../intend.ts";
import type { Guarding, Judgement, Question } from "../judgement.ts";
import type { PreparedStatement } from "../names.ts";
import { changesNames, endsTransaction, inBlock, inBlockBehind } from "../place.ts";
import type { Reason, Walk } from "../state.ts";
import { done, judge, overtaken, stopped, unasked, withoutEffects } from "./one.ts";
import { refusedBefore } from "./refused.ts";
import { noneOpened, type Opened } from "./used.ts";

const noMessage: Reason = {
  sqlstate: "42501",
  code: "OTHER_PART_DENIED",
  message: "policy: another statement of the same message is denied",
  hint: "Send the statements one by one.",
};

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
  overtaken(guard);
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
  let renamed: Renames = null;
  let opened = noneOpened;
  let inTransaction = inBlock(walk, guard);
  for (const [index, statement] of statements.entries()) {
    const { facts, names } = statement.shape;
    const place = { statements: statements.length, inTransaction };
    let judgement: Judgement | null;
    const uses = names.some(({ kind }) => kind === "execute" || kind === "fetch");
    const reads = uses && names.every(({ kind, name }) => kind === "fetch" && opened.has(name ?? ""));
    const defines = meansOthers(facts.definition, renamed) && isLabelled(guard);
    if (defines || (changed && (facts.tree.length > 0 || uses)) || (named && uses && !reads))
      // Behind a statement that is still to be looked at, the policy's view may not have been loaded yet.
      judgement =
        unasked(walk, guard, statement, place) ??
        (open ? null : refusedBefore(walk, statement, sendAlone, place));
    else judgement = judge(walk, guard, statement, place, questions, opened);
    opened = changed || named ? noneOpened : openedBy(walk, statement, judgement);
    judgements.push(judgement);
    if (judgement === null) open = true;
    else if (judgement.awaits && guard.desk !== null) {
      if (awaiting < 0) awaiting = index;
    } else if (judgement.refusal !== null && refused < 0) refused = index;
    changed ||= changesMeaning(guard, statement, judgement);
    renamed = endsTransaction(statement.shape) && guard.ddl >= 0 ? "others" : gravest(renamed, facts.renames);
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

function isLabelled({ policies, session }: Guarding): boolean {
  return policies.current.labelsFor(session.database).length > 0;
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
  overtaken(guard);
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

/**
 * The cursor that a message's only DECLARE opens: a FETCH right behind it (psqlODBC sends both at once) reads what that says, as
 * DECLARE fails where the name is taken. What people are to be asked about is left out.
 */
function openedBy(walk: Walk, { shape }: PreparedStatement, judgement: Judgement | null): Opened {
  const [effect, ...others] = shape.names;
  if (effect?.kind !== "declare" || effect.name === null || others.length > 0) return noneOpened;
  if (judgement !== null && (judgement.awaits || judgement.refusal !== null)) return noneOpened;
  return new Map([[effect.name, innerStatement(walk, effect, shape.secret)]]);
}

/** Statements behind it in the same message cannot be understood before it has run. */
function changesMeaning(guard: Guarding, statement: PreparedStatement, judgement: Judgement | null): boolean {
  const { kind } = statement.shape;
  if (kind === "ddl" || kind === "call" || kind === "do" || changesSettings(statement.shape)) return true;
  if (endsTransaction(statement.shape) && (guard.settings >= 0 || guard.ddl >= 0)) return true;
  return judgement !== null && (judgement.after.settings || judgement.facts.effects.includes("ddl"));
}
