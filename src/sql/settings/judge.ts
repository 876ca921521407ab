/** What changing or reading a setting means, however it is spelled (issue "tracked, allowed by an explicit list, or refused"). */
import { harmless, type Judgement, refused, session, settingRules } from "./list.ts";
import { mayShow } from "./show.ts";

/** One setting that a statement changes or reads. */
export interface SettingUse {
  /** Lower case; null: not a constant (set_config with an expression or parameter), or none (RESET ALL, SHOW ALL, DISCARD). */
  readonly name: string | null;
  readonly action: "set" | "reset" | "show" | "reset-all" | "show-all" | "discard";
  /**
   * As set_config() would take it: lists joined, their names quoted where needed. Of DISCARD: "all", "plans", "sequences",
   * "temp". null: RESET and SHOW, or not a plain constant. It may be a secret where the shape is one: never to be printed.
   */
  readonly value: string | null;
  /** The value is a bound parameter ($1): the caller's own, but not known yet. */
  readonly bound: boolean;
  /** SET LOCAL, set_config(…, true), SET TRANSACTION: until the transaction ends. */
  readonly local: boolean;
  /** For whom: this session; or what ALTER ROLE, DATABASE, SYSTEM, FUNCTION and CREATE FUNCTION … SET keep. */
  readonly scope: "session" | "role" | "database" | "system" | "function";
  /** The name is a row's of pg_settings, if the server takes the statement's names for PostgreSQL's own (row.ts). */
  readonly row?: true;
  readonly judgement: SettingJudgement;
}
export type SettingJudgement = Judgement;

const unknownName = refused("No setting on the list; extensions' settings may carry rights and secrets.");
const hiddenName = refused("Which setting it is cannot be told from the statement.");
const computed = refused(
  "A setting's value must be a constant or a parameter: computed ones can carry data out.",
);

/**
 * What setting `name` to `value` for the running session means. Names are compared in lower case; null: not a constant. `value`
 * null: a bound parameter.
 */
export function judgeSetting(name: string | null, value: string | null): SettingJudgement {
  if (name === null) return hiddenName;
  const rule = settingRules.get(name.toLowerCase());
  return rule === undefined ? unknownName : rule.judge(value);
}

/** What RESET, or SET … TO DEFAULT, means for the running session. */
export function judgeReset(name: string): SettingJudgement {
  return settingRules.get(name.toLowerCase())?.reset ?? unknownName;
}

/** What reading a setting means; null: not a constant, or all of them. */
export function judgeShow(name: string | null): SettingJudgement {
  return name !== null && mayShow(name.toLowerCase())
    ? harmless("Clients ask for it.")
    : session("May name files, hosts, roles or secrets.");
}

/** Judges a use as a whole, but for its judgement. */
export function judgeUse(use: Omit<SettingUse, "judgement">): SettingUse {
  return { ...use, judgement: judge(use) };
}

function judge({ name, action, value, bound, scope }: Omit<SettingUse, "judgement">): SettingJudgement {
  if (scope !== "session") return judgeKept(name, value, action);
  switch (action) {
    case "set":
      if (name !== null && value === null && !bound) return settingRules.has(name) ? computed : unknownName;
      return judgeSetting(name, value);
    case "reset":
      return name === null ? hiddenName : judgeReset(name);
    case "show":
    case "show-all":
      return judgeShow(name);
    case "reset-all":
      return {
        kind: "tracked",
        session: true,
        reason: "Undoes every SET of the session, the gateway's own too.",
      };
    case "discard":
      return judgeDiscard(value);
    default:
      return action satisfies never;
  }
}

function judgeDiscard(what: string | null): SettingJudgement {
  if (what === "plans") return harmless("Only plans that are kept.");
  if (what === "all")
    return {
      kind: "tracked",
      session: true,
      reason: "Undoes every SET, and drops statements, cursors and locks.",
    };
  return session("Drops temporary tables or forgets sequence values.");
}

/**
 * What ALTER … SET keeps for later sessions or a function's runs is DDL and decided as such. Only what would change how later
 * statements are read, or who they run as, is refused.
 */
function judgeKept(
  name: string | null,
  value: string | null,
  action: SettingUse["action"],
): SettingJudgement {
  const ddl = harmless("Decided as the DDL that it is.");
  if (action !== "set" || name === null) return ddl;
  if (name.startsWith("postern.")) return unknownName;
  const readsOtherwise =
    /^(?:standard_conforming_strings|backslash_quote|client_encoding|transform_null_equals)$/;
  return readsOtherwise.test(name) ? judgeSetting(name, value) : ddl;
}

/**
 * How many calls of set_config a SELECT holds, if all of them name a setting and a value that are known and that no policy
 * needs to decide on; else 0.
 */
export function settledSettings({
  kind,
  facts,
}: {
  readonly kind: string;
  readonly facts: { readonly settings: readonly SettingUse[] };
}): number {
  const set = facts.settings.filter(({ action }) => action !== "show");
  const settled =
    kind === "select" &&
    set.every(
      ({ action, name, value, scope, judgement }) =>
        action === "set" && name !== null && value !== null && scope === "session" && !judgement.session,
    );
  return settled ? set.length : 0;
}
