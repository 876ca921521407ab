/** Statements that are refused before the policy is asked, and how judgements are written down. */
import type { StatementForm } from "../../../facts/audit.ts";
import type { StatementFacts } from "../../../facts/effects.ts";
import type { PolicyDecision } from "../../../policy/index.ts";
import { identifiers } from "../../../sql/index.ts";
import type { View } from "../../analyst/index.ts";
import { decisionOf } from "../decided.ts";
import { factsOf, notUnderstood, tooLargeToRead } from "../facts.ts";
import { withoutNames } from "../hidden.ts";
import type { Judgement, ServerRefusal } from "../judgement.ts";
import type { PreparedStatement } from "../names.ts";
import type { Place } from "../place.ts";
import { queueLength } from "../queue.ts";
import type { Reason, Walk } from "../state.ts";
import { formOf } from "./form.ts";

/** A statement that is refused before the policy is asked. */
export function refusedBefore(
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
    lists: [],
    durability: walk.durability,
    awaits: false,
    refusal: reason,
    ...records(walk, statement, facts, null, reason, [], false, formOf(facts, [statement], [], null)),
    plan: null,
    watched: null,
    names: null,
    patterns: [],
    outputs: null,
    masked: [],
    facts,
    scrub: false,
    after: nothingAfter,
    touched: [],
  };
}

const nothingAfter: Judgement["after"] = {
  settings: false,
  objects: false,
  renames: null,
  temporary: false,
  ends: false,
  commits: false,
  within: null,
  loosens: false,
};

export function records(
  walk: Walk,
  { shape }: PreparedStatement,
  facts: Omit<StatementFacts, "effects"> & { readonly effects: StatementFacts["effects"] | null },
  decision: PolicyDecision | null,
  reason: Reason | null,
  masked: readonly string[],
  analysed: boolean,
  form: StatementForm,
  searchPath: string | null = null,
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
      searchPath: searchPath === null ? null : known(identifiers(searchPath)),
      form,
    }),
    decisionRecord: decisionOf(walk, decision, verdict, reason?.code ?? null, masked),
  };
}

/** In a transaction that has failed PostgreSQL looks up no names: drivers tell by its error that they must roll back. */
export function hasFailed({ transaction, queue }: Walk): boolean {
  return transaction === "E" && queueLength(queue) === 0;
}

export function serverRefusal(error: ServerRefusal, samePlace: boolean, view: View | null): Reason {
  // The server said nothing: what it printed was more than the gateway reads.
  if (error.fields.size === 0) return tooLargeToRead(error);
  if (view?.protectedSet.empty === false && isSaidByCode(error)) return failedInside;
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

/** Checks of domains ran while the server read a literal. */
const failedInside: Reason = notUnderstood(
  "NOT_UNDERSTOOD",
  "code of the database failed while the server read the statement; its error text is withheld",
  null,
);

/** Functions leave their traces in the context. What json literals say there is of the statement itself. */
function isSaidByCode({ fields }: ServerRefusal): boolean {
  const context = fields.get("W");
  return context !== undefined && !/^JSON data, line \d+: [^\n]*$/.test(context);
}
