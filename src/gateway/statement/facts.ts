/** What statements are before any policy is asked: shared by the data path and by the tools that explain it. */
import type { AskFailure } from "../../analysis/ask-read.ts";
import type { Effect, StatementFacts, Touched } from "../../facts/effects.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { CopyFacts, StaticFacts } from "../../sql/index.ts";
import type { View } from "../analyst/index.ts";
import type { PreparedStatement, Shape } from "./names.ts";
import type { Reason } from "./state.ts";

const simpler = "Write the statement in a simpler form, or ask the owner of the policy for what you need.";

export const unavailable: Reason = {
  sqlstate: "58000",
  code: "ANALYSIS_UNAVAILABLE",
  message: "policy: the statement could not be analysed, and was not run",
  hint: "Try again; the operator finds the cause in the gateway's log.",
  retryable: true,
};

export const locked: Reason = {
  sqlstate: "55P03",
  code: "LOCKED",
  message:
    "policy: another session locks what the statement names: it could not be analysed, and was not run",
  hint: "Try again once that session has ended its transaction.",
  retryable: true,
};

/** `hardened: true` in postern.yaml, and the database would not refuse by itself. */
export const hardeningLost: Reason = {
  sqlstate: "42501",
  code: "HARDENING_LOST",
  message: "policy: this login may read protected columns in the database itself, which it must not",
  hint: "Tell the operator: postern check --harden prints the SQL that takes the right away.",
};

export const staysReadOnly: Reason = {
  sqlstate: "25006",
  code: "READ_ONLY",
  message: "policy: this session only reads, and its transactions stay read-only",
  hint: "Leave READ WRITE out.",
};

export const aborted: Reason = {
  sqlstate: "25P02",
  code: "TRANSACTION_ABORTED",
  message: "current transaction is aborted, commands ignored until end of transaction block",
  hint: "Send ROLLBACK.",
};

export const cancelledBefore: Reason = {
  sqlstate: "57014",
  code: "CANCELLED",
  message: "canceling statement due to user request",
  hint: "It was cancelled while it was analysed, and was not run.",
};

/** Execute of a portal that this session has not, or no longer: PostgreSQL's own code and words (pquery.c, exec_execute_message). */
export const unknownPortal = (name: string): Reason => ({
  sqlstate: "34000",
  code: "UNKNOWN_CURSOR",
  message: `portal "${name}" does not exist`,
  hint: "It must have been made through this session; portals end with their transaction.",
  object: name,
});

export const sendAlone: Reason = {
  sqlstate: "42501",
  code: "SEND_ALONE",
  message:
    "policy: a statement behind one that changes settings or objects must come in a message of its own",
  hint: "Send the statements one by one.",
};

/** The server's own words for a Parse of several statements, which it always refuses (manual, "Extended Query"). */
export const severalStatements: Reason = {
  sqlstate: "42601",
  code: "SEVERAL_STATEMENTS",
  message: "cannot insert multiple commands into a prepared statement",
  hint: "Send the statements one by one.",
};

/** Names of the gateway's own statements in a client's session. */
export const ownNames = "postern_";
/** Names of the settings that tell the database who is calling (docs/rls.md). */
const ownSettings = "postern.";

/** A setting that no policy can allow was changed, or text that nobody read ran, while the policy could refuse nothing. */
export const loosened: Reason = {
  sqlstate: "57P01",
  code: "POLICY_CHANGED",
  message:
    "policy: this session may have changed settings under an earlier policy that this one refuses; it ends",
  hint: "Connect again.",
};

export const ownName: Reason = {
  sqlstate: "42501",
  code: "NAME_REFUSED",
  message: `policy: names that begin with "${ownNames}" are the gateway's own`,
  hint: "Choose another name.",
};

/** A failure of the question itself, without an error of the server's: its answer was too large. */
export function tooLargeToRead({ sqlstate, message }: Pick<AskFailure, "sqlstate" | "message">): Reason {
  return {
    sqlstate,
    code: "STATEMENT_TOO_LARGE",
    message: `policy: ${message}`,
    hint: "Send bulk data with COPY or as parameters, or split the statement.",
  };
}

export function notUnderstood(code: string, message: string, object: string | null): Reason {
  return { sqlstate: "42501", code, message: `policy: ${message}`, hint: simpler, object };
}

/**
 * How much passes that is not understood. `observed`: nothing is enforced, so it may; `permissive`: nothing can be denied or
 * hidden either, so that settings decide nothing, and pass as they do where no policy is loaded.
 */
export type Leeway = "none" | "observed" | "permissive";

/** `protects`: columns are protected in the database at hand. */
export function leewayOf({ permissive, observe }: CompiledPolicy, protects: boolean): Leeway {
  if (permissive) return "permissive";
  return observe === "all" && !protects ? "observed" : "none";
}

/** What must be refused whatever the policy says: it is not understood, or changes what Postern relies on. */
export function refusedStatically(shape: Shape, leeway: Leeway): Reason | null {
  const { facts } = shape;
  if (facts.refusal !== null && leeway === "none")
    return notUnderstood(facts.refusal.code, facts.refusal.message, null);
  for (const { kind, name } of shape.names)
    if ((kind === "prepare" || kind === "declare") && name?.startsWith(ownNames) === true) return ownName;
  for (const { name, judgement } of facts.settings) {
    if (judgement.kind === "refused" && (leeway !== "permissive" || name?.startsWith(ownSettings) === true))
      return {
        sqlstate: "42501",
        code: "SETTING_REFUSED",
        message: `policy: the setting ${name === null ? "" : `"${name}" `}may not be changed here: ${judgement.reason}`,
        hint:
          name?.includes(".") === true && !name.startsWith(ownSettings)
            ? "Leave it out: settings of an application's own carry what row-level security goes by, and the operator sets them for each session (docs/rls.md)."
            : "Leave it as it is; Postern relies on it.",
        object: name,
      };
  }
  return null;
}

/**
 * Classes that PostgreSQL's own grammar and scanner give their errors (scan.l, gram.y): 22 (escapes, bytes that are no UTF-8),
 * 42, 0A (what the grammar knows, but the server does not do) and 54 (too deep, too long).
 */
export function ofParser(sqlstate: string): boolean {
  return /^(?:22|42|0A|54)/.test(sqlstate);
}

/** set_config() with a name out of a relation that is not PostgreSQL's own pg_settings. */
export const hiddenSetting: Reason = {
  sqlstate: "42501",
  code: "SETTING_REFUSED",
  message: "policy: which setting is changed cannot be told from the statement",
  hint: "Name it as a constant.",
};

export function changesSettings({ facts }: Shape): boolean {
  return facts.settings.some(({ judgement: { kind } }) => kind === "tracked" || kind === "refused");
}

/** It passes only where a policy leaves leeway: behind it a policy that does not cannot tell what statements mean. */
export function loosens({ shape: { facts }, syntaxError }: PreparedStatement): boolean {
  return (
    (facts.refusal !== null && !syntaxError) ||
    facts.settings.some(({ judgement }) => judgement.kind === "refused")
  );
}

/** The facts that conditions speak of, without labels. */
export function factsOf(
  shape: Shape,
  touched: readonly Touched[],
  used: readonly { readonly shape: Shape }[],
  inTransaction: boolean,
  statements: number,
  bytes: number,
): StatementFacts {
  const { facts } = shape;
  const runs = facts.executes;
  const effects = new Set<Effect>();
  for (const one of used) for (const effect of one.shape.facts.effects) effects.add(effect);
  for (const one of touched)
    for (const effect of one.effects)
      if (runs || shape.kind !== "explain" || (effect !== "write" && effect !== "lock")) effects.add(effect);
  return {
    kind: shape.kind,
    command: shape.command,
    effects: [...effects].sort(),
    reads: union(touched, (one) => one.reads),
    writes: union(touched, (one) => one.writes),
    columns: union(touched, (one) => one.columns),
    functions: union(touched, (one) => one.functions),
    labels: [],
    labelsInPredicates: [],
    unboundedWrite: used.some((one) => one.shape.facts.unboundedWrite),
    hasWhere: used.some((one) => one.shape.facts.hasWhere),
    hasLimit: used.some((one) => one.shape.facts.hasLimit),
    statements,
    inTransaction,
    bytes,
    fingerprint: shape.fingerprint,
  };
}

function union(touched: readonly Touched[], of: (one: Touched) => readonly string[]): readonly string[] {
  const [only] = touched;
  if (only !== undefined && touched.length === 1) return of(only);
  return [...new Set(touched.flatMap(of))].sort();
}

/** Whether the rows that come back are those of the analysed query. */
export function givesRows(facts: StaticFacts, { kind }: Pick<Shape, "kind">): boolean {
  return facts.explain === null && kind !== "prepare" && kind !== "declare" && kind !== "ddl";
}

/** Kinds of statements that EXPLAIN takes. */
export const planned: ReadonlySet<string> = new Set(["select", "insert", "update", "delete", "merge"]);

/** A lock that others hold, a limit, a server that goes down: nothing is known of the statement. */
export function unknowable({ stage, sqlstate }: AskFailure): boolean {
  return stage === "settings" || /^(?:55P03|57|53|40|08|58|XX)/.test(sqlstate);
}

/** Whoever may write a column can look up a hash by writing guesses. */
export function mayWrite({ catalog, protectedSet }: View, relation: string): boolean {
  const [column] = protectedSet.ofName(relation);
  const rights = column === undefined ? undefined : catalog.relation(column.relation)?.privileges;
  return rights === undefined || rights.insert || rights.update;
}

/**
 * Why a copy's lines cannot be masked; null: they can. In encodings like SJIS and BIG5 a byte that looks like a delimiter
 * or a backslash may be the second half of a character, and fields would not be told apart.
 */
export function unmaskable({ format, encoding }: CopyFacts, column: string | null): Reason | null {
  const what =
    format === "binary"
      ? "COPY in binary format"
      : encoding === null || /^(?:UTF-?8|UNICODE)$/.test(encoding)
        ? null
        : "COPY in another encoding than UTF8";
  if (what === null) return null;
  return {
    sqlstate: "42501",
    code: "PROTECTED_COPY",
    message: `policy: ${what} cannot be masked${column === null ? "" : `, and ${column} is protected`}`,
    hint: "Use COPY in text or CSV format and UTF8, or a SELECT.",
    object: column,
  };
}
