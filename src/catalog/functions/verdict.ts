/** Whether a function may run without anything happening but a value being computed (MASKING.md section 3.4). */
import type { FunctionFacts, FunctionVerdict } from "../types.ts";
import { dangerOf } from "./effects.ts";
import { isHarmlessInExtension } from "./extensions.ts";
import { isHarmless } from "./harmless.ts";

export const safe: FunctionVerdict = { safe: true };

/** Not safe: what it does is not known. */
export function refused(reason: string): FunctionVerdict {
  return { safe: false, effect: "execute", reason };
}

export type Facts = Omit<FunctionFacts, "verdict">;

/** What a function's own facts say, and the oids of functions that it calls: it is safe when they are, too. 0: none. */
export interface LocalVerdict {
  readonly verdict: FunctionVerdict;
  readonly calls: readonly number[];
}

/** What the verdict on a function rests on, beside its own facts. */
export interface VerdictMeans {
  /** The operator trusts it, by configuration. */
  isTrusted(func: Facts): boolean;
  /** Owned by a superuser: no other role can have put something else in its place. */
  isSuperusers(func: Facts): boolean;
  /** Aggregates: the functions they are made of; undefined: not known. */
  parts(func: Facts): readonly number[] | undefined;
  /** SQL and PL/pgSQL functions: what reading their bodies says. */
  readBody(func: Facts): LocalVerdict;
}

/** The verdict on one function, by its catalog facts, the curated lists, the operator's word, or its body. */
export function localVerdict(func: Facts, means: VerdictMeans): LocalVerdict {
  const settled = settledVerdict(func, means);
  if (settled !== null) return { verdict: settled, calls: [] };
  if (func.kind !== "a") return means.readBody(func);
  const calls = means.parts(func);
  return calls === undefined
    ? { verdict: refused("is an aggregate that cannot be looked into"), calls: [] }
    : { verdict: safe, calls };
}

/**
 * What CREATE TYPE … AS RANGE makes beside the type (manual, "Range Functions"); nobody but a superuser can make functions in this
 * language otherwise. Bounds are values of the subtype when they come here.
 */
const constructs = /^(?:range_constructor[23]|multirange_constructor[012])$/;

/** What needs no look at other functions; null: it depends on them. */
function settledVerdict(func: Facts, means: VerdictMeans): FunctionVerdict | null {
  if (means.isTrusted(func)) return safe;
  if (func.system) return systemVerdict(func);
  if (func.kind === "p") return refused("is a procedure");
  if (func.securityDefiner) return refused("runs with its owner's rights (SECURITY DEFINER)");
  if (!func.config.every(isHarmlessSetting)) return refused("changes settings while it runs");
  if (func.kind === "a") return null;
  if (func.language === "internal" && func.body !== null && constructs.test(func.body)) return safe;
  if (func.extension !== null && (func.language === "c" || func.language === "internal"))
    return means.isSuperusers(func) && isHarmlessInExtension(func.extension, func.name, func.volatility)
      ? safe
      : refused(`belongs to the extension ${func.extension} and is not known to only compute a value`);
  if (func.volatility === "v") return refused("is a function of this database that is VOLATILE");
  if (func.language === "sql" || func.language === "plpgsql") return null;
  return refused("is a function of this database whose body cannot be read");
}

function systemVerdict(func: Facts): FunctionVerdict {
  if (func.schema === "pg_catalog") {
    const danger = dangerOf(func.name);
    if (danger !== null && (!danger.volatileOnly || func.volatility === "v"))
      return { safe: false, effect: danger.effect, reason: danger.reason };
    if (!isHarmless(func.name, func.volatility))
      return refused("is a function of the server that is not known to only compute a value");
  } else if (func.volatility === "v") {
    return refused("is a function of the server that is not known to only compute a value");
  }
  switch (func.language) {
    case "internal":
    case "c":
    case "sql":
      return safe;
    default:
      return refused("is not written in a language of the server itself");
  }
}

/** Settings of a function that bring nothing about beyond it. A search_path makes its names safer, not less so. */
function isHarmlessSetting(setting: string): boolean {
  const name = setting.split("=", 1)[0]?.toLowerCase() ?? "";
  return [
    "search_path",
    "work_mem",
    "datestyle",
    "intervalstyle",
    "timezone",
    "jit",
    "extra_float_digits",
  ].includes(name);
}
