/** Reading one text for the tools: the statements of one message, with what the server says of each. */
import { planMasks } from "../../analysis/plan.ts";
import type { Touched } from "../../facts/effects.ts";
import type { CompiledPolicy, Estimate, PolicyDecision } from "../../policy/index.ts";
import type { AnalysedStatement } from "../../policy/lab/analyser.ts";
import {
  type MessageText,
  type SqlReader,
  type StatementText,
  settledSettings,
  treeTexts,
} from "../../sql/index.ts";
import {
  changesSettings,
  factsOf,
  type Leeway,
  leewayOf,
  notUnderstood,
  planned,
  refusedStatically,
  sendAlone,
  tooLargeToRead,
  unknowable,
} from "../statement/facts.ts";
import { inBlockBehind } from "../statement/place.ts";
import type { Reason } from "../statement/state.ts";
import type { Analyst, View } from "./index.ts";
import { type Read, reportMasks } from "./report.ts";
import { touchedBy } from "./touching.ts";

/** A database cannot be asked: nothing can be said of a statement. The message holds no address. */
export class OfflineUnavailable extends Error {
  override readonly name = "OfflineUnavailable";
}

/** Refuses one text: what the client would be told. */
export class Refused extends Error {
  readonly reason: Reason;
  constructor(reason: Reason) {
    super(reason.code);
    this.reason = reason;
  }
}

/** EXECUTE of a statement that is itself an EXECUTE, and so on. */
const maxUsed = 4;
/** A catalog that is older than the server's is read again so often. */
const attempts = 2;

/** One text: a message of a session in which nothing has happened yet. */
export class Reading {
  readonly #analyst: Analyst;
  readonly #policy: CompiledPolicy;
  readonly #reader: SqlReader;
  readonly #leeway: Leeway;
  #view: View;
  /** What earlier statements of the text prepared and declared. */
  readonly #prepared = new Map<string, StatementText>();
  readonly #declared = new Map<string, StatementText>();

  constructor(analyst: Analyst, view: View, policy: CompiledPolicy, reader: SqlReader) {
    this.#analyst = analyst;
    this.#view = view;
    this.#policy = policy;
    this.#reader = reader;
    this.#leeway = leewayOf(policy, !view.protectedSet.empty);
  }

  async read(message: MessageText): Promise<AnalysedStatement[]> {
    const { statements } = message;
    const reads: Read[] = [];
    let changed = false;
    let inTransaction = false;
    for (const statement of statements) {
      const refusal = refusedStatically(statement.shape, this.#leeway);
      if (refusal !== null)
        throw new Refused(
          message.reason === "syntax" ? await this.#serversWords(statement, refusal) : refusal,
        );
      if (changed && statement.shape.facts.tree.length > 0) throw new Refused(sendAlone);
      const used = this.#usedBy(statement);
      const read = { statement, used, inTransaction, ...(await this.#touched(used)) };
      reads.push(read);
      changed ||= changesMeaning(read, statements.length);
      inTransaction = inBlockBehind(statement.shape) ?? inTransaction;
      this.#remember(statement);
    }
    const view = this.#view;
    const all = reads.map((read) => labelled(read, view, statements.length));
    return all.map((one, index) => ({
      sql: one.read.statement.text,
      facts: one.facts,
      ...this.#estimate(one.read),
      mask: (decision: PolicyDecision) =>
        reportMasks(
          one.read,
          view,
          this.#leeway !== "none",
          decision,
          all.map(({ facts, read }, at) => ({
            statement: read.statement,
            facts,
            decision: at === index ? decision : null,
          })),
        ),
    }));
  }

  /** The server's own words for what PostgreSQL's grammar refuses. */
  async #serversWords({ text }: StatementText, ours: Reason): Promise<Reason> {
    const asked = await this.#analyst.ask(text, [], null);
    if (asked.ok || !asked.sqlstate.startsWith("42")) return ours;
    return { sqlstate: asked.sqlstate, code: "SERVER_ERROR", message: asked.message, hint: "" };
  }

  /** The statement and those that EXECUTE and FETCH name. */
  #usedBy(statement: StatementText): StatementText[] {
    const all = [statement];
    for (let at = 0; at < all.length; at++) {
      if (all.length > maxUsed)
        throw new Refused(notUnderstood("NOT_UNDERSTOOD", "the statement is nested too deep", null));
      for (const { kind, name } of all[at]?.shape.names ?? []) {
        if (name === null || (kind !== "execute" && kind !== "fetch")) continue;
        const inner = (kind === "execute" ? this.#prepared : this.#declared).get(name);
        if (inner === undefined) throw new Refused(missing(kind, name));
        const refusal = refusedStatically(inner.shape, this.#leeway);
        if (refusal !== null) throw new Refused(refusal);
        all.push(inner);
      }
    }
    return all;
  }

  #remember({ shape }: StatementText): void {
    for (const { kind, name, text, typed = text } of shape.names) {
      if (name === null || typed === undefined || (kind !== "prepare" && kind !== "declare")) continue;
      const [inner] = this.#reader.read(typed).statements;
      if (inner !== undefined) (kind === "prepare" ? this.#prepared : this.#declared).set(name, inner);
    }
  }

  /** What the server says of the texts; asked again where its catalog has moved on. */
  async #touched(used: readonly StatementText[]): Promise<Pick<Read, "touched" | "texts">> {
    const wrapped = wrapperOf(used);
    const texts = used.flatMap((one) =>
      treeTexts(one).map(({ text, kind }) => ({
        text,
        kind: kind === "statement" ? (wrapped ?? kind) : kind,
        settledSettings: settledSettings(one.shape),
      })),
    );
    for (let attempt = 1; ; attempt++) {
      const touched: Touched[] = [];
      for (const { text, kind, settledSettings } of texts) {
        const asked = await this.#analyst.ask(text, [], null);
        if (!asked.ok) {
          if (unknowable(asked))
            throw new OfflineUnavailable(`a statement could not be analysed (SQLSTATE ${asked.sqlstate})`);
          if (asked.fields.size === 0) throw new Refused(tooLargeToRead(asked));
          throw new Refused({
            sqlstate: asked.sqlstate,
            code: "SERVER_ERROR",
            message: asked.message,
            hint: "",
          });
        }
        const found = await touchedBy(asked, { text, kind, settledSettings }, this.#view, this.#analyst, {
          local: false,
          searchPath: null,
        });
        // Functions of bare expressions count; what they give goes nowhere.
        touched.push(kind === "expressions" || kind === "copy-in" ? { ...found, outputs: null } : found);
      }
      if (attempt > attempts || touched.every((one) => one.problems.length === 0))
        return { touched, texts: texts.map(({ text }) => text) };
      this.#analyst.bump();
      this.#view = await this.#analyst.ready(this.#policy);
    }
  }

  /** Planning runs functions: it is asked for only where all are known to be harmless. */
  #estimate({ statement, touched, texts }: Read): Pick<AnalysedStatement, "estimate"> {
    const [only] = touched;
    const [text] = texts;
    if (
      only === undefined ||
      text === undefined ||
      touched.length > 1 ||
      only.unsafe.length > 0 ||
      only.problems.length > 0 ||
      !planned.has(statement.shape.kind)
    )
      return {};
    const analyst = this.#analyst;
    return {
      estimate: (): Promise<Estimate | null> => analyst.estimate(text, only.parameterTypes, null),
    };
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
function changesMeaning({ statement, used, touched, inTransaction }: Read, statements: number): boolean {
  const { shape, text } = statement;
  if (shape.kind === "ddl" || shape.kind === "call" || shape.kind === "do" || changesSettings(shape))
    return true;
  const { effects } = factsOf(shape, touched, used, inTransaction, statements, text.length);
  // Nobody knows what a function does that is not on the list.
  return (
    effects.includes("ddl") || effects.includes("execute") || used.some((one) => changesSettings(one.shape))
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

/** The facts with the labels of the policy; those that only observe count as well. */
function labelled(read: Read, { protectedSet, observedSet }: View, statements: number) {
  const { statement, used, touched, inTransaction } = read;
  const bare = factsOf(
    statement.shape,
    touched,
    used,
    inTransaction,
    statements,
    Buffer.byteLength(statement.text),
  );
  const labels = new Set<string>();
  const predicates = new Set<string>();
  const explain = statement.shape.facts.explain !== null;
  for (const set of [protectedSet, observedSet])
    for (const one of set.empty ? [] : touched) {
      const outcome = planMasks(one, set, { unmask: [], explain });
      for (const label of outcome.labels) labels.add(label);
      for (const label of outcome.labelsInPredicates) predicates.add(label);
    }
  const facts = { ...bare, labels: [...labels].sort(), labelsInPredicates: [...predicates].sort() };
  return { read, facts };
}
