/** Reading one text for the tools: the statements of one message, with what the server says of each. */
import { planMasks } from "../../analysis/plan.ts";
import type { StatementFacts, Touched } from "../../facts/effects.ts";
import type { CompiledPolicy, DecideInput, Estimate, PolicyDecision } from "../../policy/index.ts";
import type { AnalysedStatement } from "../../policy/lab/analyser.ts";
import {
  gravest,
  type MessageText,
  meansOthers,
  type Renames,
  type SqlReader,
  type StatementText,
  setsRow,
  settledSettings,
  treeTexts,
} from "../../sql/index.ts";
import {
  changesSettings,
  factsOf,
  hardeningLost,
  hiddenSetting,
  type Leeway,
  leewayOf,
  notUnderstood,
  ofParser,
  refusedStatically,
  sendAlone,
  staysReadOnly,
  tooLargeToRead,
  unknowable,
} from "../statement/facts.ts";
import { plannable } from "../statement/judge/cost.ts";
import { serverRefusal } from "../statement/judge/refused.ts";
import { unknownEffects } from "../statement/judge/verdict.ts";
import { wouldBe } from "../statement/judge/would.ts";
import { needsNoAnalysis } from "../statement/meaning.ts";
import { patiently } from "../statement/patience.ts";
import { inBlockBehind } from "../statement/place.ts";
import type { Reason } from "../statement/state.ts";
import type { Analyst, View } from "./index.ts";
import { type Read, refusalOf, reportMasks, told } from "./report.ts";
import { touchedBy } from "./touching.ts";

/** A database cannot be asked: nothing can be said of a statement. The message holds no address. */
export class OfflineUnavailable extends Error {
  override readonly name = "OfflineUnavailable";
}

/** What a session would be under, whatever it sends. */
export interface SessionTerms {
  /** Its transactions are READ ONLY: no rule lets the principal change anything. */
  readonly readOnly: boolean;
  /** Nothing runs unless the database itself refuses the protected columns to its login. */
  readonly hardened: boolean;
}

/** How long the tools wait for what other sessions have locked. */
const lockPatienceMs = 3_000;

/** EXECUTE of a statement that is itself an EXECUTE, and so on. */
const maxUsed = 4;
/** A catalog that is older than the server's is read again so often. */
const attempts = 2;

/** What is known of a statement before the rules are asked. */
type Known = Pick<Read, "used" | "touched" | "analysed"> | { readonly refusal: Reason };

/** One text: a message of a session in which nothing has happened yet. */
export class Reading {
  readonly #analyst: Analyst;
  readonly #policy: CompiledPolicy;
  readonly #reader: SqlReader;
  readonly #session: SessionTerms;
  #view: View;
  /** What earlier statements of the text prepared and declared. */
  readonly #prepared = new Map<string, StatementText>();
  readonly #declared = new Map<string, StatementText>();

  constructor(
    analyst: Analyst,
    view: View,
    policy: CompiledPolicy,
    reader: SqlReader,
    session: SessionTerms,
  ) {
    this.#analyst = analyst;
    this.#view = view;
    this.#policy = policy;
    this.#reader = reader;
    this.#session = session;
  }

  async read(message: MessageText): Promise<AnalysedStatement[]> {
    const { statements } = message;
    const reads: Read[] = [];
    let changed = false;
    let renamed: Renames = null;
    let inTransaction = false;
    for (const statement of statements) {
      const known = await this.#known(statement, message.reason === "syntax", changed, renamed);
      const read: Read =
        "refusal" in known
          ? { statement, inTransaction, used: [statement], touched: [], analysed: false, ...known }
          : { statement, inTransaction, refusal: null, ...known };
      reads.push(read);
      changed ||= changesMeaning(read, statements.length);
      renamed = gravest(renamed, statement.shape.facts.renames);
      inTransaction = inBlockBehind(statement.shape) ?? inTransaction;
      this.#remember(statement);
    }
    const view = this.#view;
    const all = reads.map((read) => labelled(read, view, statements.length));
    return all.map((one, index) => ({
      sql: one.read.statement.text,
      facts: one.facts,
      refusal: one.read.refusal === null ? null : told(one.read.refusal),
      estimate: () => this.#estimate(one.read, one.facts),
      would: (input: DecideInput, decision: PolicyDecision) => {
        const { statement, used, touched } = one.read;
        const refused = refusalOf(one.read, view, decision).refusal;
        return wouldBe(view, statement, used, touched, input, decision, refused);
      },
      mask: (decision: PolicyDecision) =>
        reportMasks(
          one.read,
          view,
          decision,
          all.map(({ facts, read }, at) => ({
            statement: read.statement,
            facts,
            decision: at === index ? decision : null,
            touched: read.touched,
          })),
          index,
        ),
    }));
  }

  get #leeway(): Leeway {
    return leewayOf(this.#policy, !this.#view.protectedSet.empty);
  }

  /** Nothing is decided or hidden by what a statement touches: it passes unasked where it cannot be asked about. */
  get #free(): boolean {
    return !this.#session.hardened && (this.#policy.permissive || needsNoAnalysis(this.#view));
  }

  /** In the order in which the data path finds it out (statement/judge/). */
  async #known(
    statement: StatementText,
    syntax: boolean,
    changed: boolean,
    renamed: Renames,
  ): Promise<Known> {
    const { facts, names } = statement.shape;
    const { permissive } = this.#policy;
    const uses = names.some(({ kind }) => kind === "execute" || kind === "fetch");
    const defines =
      meansOthers(facts.definition, renamed) &&
      this.#policy.labelsFor(this.#view.protectedSet.database).length > 0;
    const unasked = (): Known | null => {
      if (!this.#free || (!permissive && setsRow(facts))) return null;
      const named = this.#usedBy(statement);
      if ("refusal" in named && !permissive) return null;
      return { used: "refusal" in named ? [statement] : named.used, touched: [], analysed: false };
    };
    if (defines || (changed && (facts.tree.length > 0 || uses))) return unasked() ?? { refusal: sendAlone };
    const early = refusedStatically(statement.shape, this.#leeway);
    if (early !== null && !syntax) return { refusal: early };
    if (this.#session.readOnly && facts.readOnly === false) return { refusal: staysReadOnly };
    const asks = facts.tree.length > 0 || names.length > 0 || early !== null;
    if (asks && this.#session.hardened && this.#analyst.exposed !== 0) return { refusal: hardeningLost };
    if (early !== null) return { refusal: await this.#serversWords(statement, early) };
    const named = this.#usedBy(statement);
    if ("refusal" in named) return (permissive ? unasked() : null) ?? named;
    const { used } = named;
    const answer = await this.#touched(used);
    if ("refusal" in answer) return unasked() ?? answer;
    return { used, touched: answer.touched, analysed: true };
  }

  /** The server's own words for what PostgreSQL's grammar refuses. */
  async #serversWords({ text }: StatementText, ours: Reason): Promise<Reason> {
    const asked = await this.#analyst.ask(text, [], null);
    if (asked.ok || !ofParser(asked.sqlstate)) return ours;
    return { sqlstate: asked.sqlstate, code: "SERVER_ERROR", message: asked.message, hint: "" };
  }

  /** The statement and those that EXECUTE and FETCH name. */
  #usedBy(
    statement: StatementText,
  ): { readonly used: readonly StatementText[] } | { readonly refusal: Reason } {
    const all = [statement];
    for (let at = 0; at < all.length; at++) {
      if (all.length > maxUsed)
        return { refusal: notUnderstood("NOT_UNDERSTOOD", "the statement is nested too deep", null) };
      for (const { kind, name } of all[at]?.shape.names ?? []) {
        if (name === null || (kind !== "execute" && kind !== "fetch")) continue;
        const inner = (kind === "execute" ? this.#prepared : this.#declared).get(name);
        if (inner === undefined) return { refusal: missing(kind, name) };
        const refusal = refusedStatically(inner.shape, this.#leeway);
        if (refusal !== null) return { refusal };
        all.push(inner);
      }
    }
    return { used: all };
  }

  #remember({ shape }: StatementText): void {
    for (const { kind, name, text, typed = text } of shape.names) {
      if (name === null || typed === undefined || (kind !== "prepare" && kind !== "declare")) continue;
      const [inner] = this.#reader.read(typed).statements;
      if (inner !== undefined) (kind === "prepare" ? this.#prepared : this.#declared).set(name, inner);
    }
  }

  /** What the server says of the texts; asked again where its catalog has moved on. */
  async #touched(
    used: readonly StatementText[],
  ): Promise<{ readonly touched: readonly Touched[] } | { readonly refusal: Reason }> {
    const wrapped = wrapperOf(used);
    const texts = used.flatMap((one) =>
      treeTexts(one).map(({ text, kind }) => ({
        text,
        kind: kind === "statement" ? (wrapped ?? kind) : kind,
        settledSettings: settledSettings(one.shape),
        checked: !this.#policy.permissive && setsRow(one.shape.facts),
      })),
    );
    for (let attempt = 1; ; attempt++) {
      const touched: Touched[] = [];
      let times = 0;
      for (const { text, kind, settledSettings, checked } of texts) {
        const asked = await patiently(
          () => {
            times++;
            return this.#analyst.ask(text, [], null);
          },
          () => true,
          lockPatienceMs,
        );
        if (!asked.ok) {
          if (unknowable(asked))
            throw new OfflineUnavailable(`a statement could not be analysed (SQLSTATE ${asked.sqlstate})`);
          if (asked.fields.size === 0) return { refusal: tooLargeToRead(asked) };
          const { sqlstate, message, fields } = asked;
          return { refusal: serverRefusal({ sqlstate, message, fields }, false, this.#view) };
        }
        const found = await touchedBy(asked, { text, kind, settledSettings }, this.#view, this.#analyst, {
          local: false,
          searchPath: null,
        });
        if (checked && found.settingRow !== true) return { refusal: hiddenSetting };
        // Functions of bare expressions count; what they give goes nowhere.
        touched.push(kind === "expressions" || kind === "copy-in" ? { ...found, outputs: null } : found);
      }
      // Whoever had a lock that was waited for may have changed what the catalog said before.
      const waited = times > texts.length;
      if (attempt > attempts || (!waited && touched.every((one) => one.problems.length === 0)))
        return { touched };
      this.#analyst.bump();
      this.#view = await this.#analyst.ready(this.#policy);
    }
  }

  async #estimate({ statement, touched }: Read, { effects }: StatementFacts): Promise<Estimate | null> {
    const plan = plannable(statement.shape, touched, effects);
    if (plan === null || "cost" in plan) return plan;
    return this.#analyst.estimate(statement.text, plan.only.parameterTypes, null);
  }
}

/** CREATE TABLE AS EXECUTE and EXPLAIN EXECUTE do with the named statement's rows what they do with their own; null: nothing else. */
function wrapperOf(used: readonly StatementText[]): "create-table" | "explain" | null {
  let wrapped: "create-table" | "explain" | null = null;
  // The last one is named by others and names none.
  for (const { shape } of used.slice(0, -1)) {
    if (shape.kind === "ddl" || shape.facts.effects.includes("ddl")) wrapped = "create-table";
    else if (shape.facts.explain !== null) wrapped ??= "explain";
  }
  return wrapped;
}

/** Statements behind it in the same message cannot be understood before it has run. */
function changesMeaning(read: Read, statements: number): boolean {
  const { shape } = read.statement;
  if (shape.kind === "ddl" || shape.kind === "call" || shape.kind === "do" || changesSettings(shape))
    return true;
  if (read.refusal !== null) return false;
  const { effects } = bareFacts(read, statements);
  // Nobody knows what a function does that is not on the list.
  return (
    effects.includes("ddl") ||
    effects.includes("execute") ||
    read.used.some((one) => changesSettings(one.shape))
  );
}

function missing(kind: "execute" | "fetch", name: string): Reason {
  return kind === "execute"
    ? {
        sqlstate: "26000",
        code: "UNKNOWN_STATEMENT",
        message: `prepared statement "${name}" does not exist`,
        hint: "Put its PREPARE into the same text.",
      }
    : {
        sqlstate: "34000",
        code: "UNKNOWN_CURSOR",
        message: `cursor "${name}" does not exist`,
        hint: "Put its DECLARE into the same text.",
      };
}

function bareFacts(
  { statement, used, touched, analysed, inTransaction, refusal }: Read,
  statements: number,
): StatementFacts {
  const { shape, text } = statement;
  const bytes = Buffer.byteLength(text);
  const facts = factsOf(shape, touched, used, inTransaction, statements, bytes);
  if (analysed || refusal !== null) return facts;
  return { ...facts, effects: unknownEffects(facts.effects, used) };
}

/** The facts with the labels of the policy; those that only observe count as well. */
function labelled(read: Read, { protectedSet, observedSet }: View, statements: number) {
  const { statement, touched } = read;
  const labels = new Set<string>();
  const predicates = new Set<string>();
  const explain = statement.shape.facts.explain !== null;
  for (const set of [protectedSet, observedSet])
    for (const one of set.empty ? [] : touched) {
      const outcome = planMasks(one, set, { unmask: [], explain });
      for (const label of outcome.labels) labels.add(label);
      for (const label of outcome.labelsInPredicates) predicates.add(label);
    }
  const facts = {
    ...bareFacts(read, statements),
    labels: [...labels].sort(),
    labelsInPredicates: [...predicates].sort(),
  };
  return { read, facts };
}
