/** What an answered question says of its statement: by the server's tree, or, where a server prints none, by the closed static reading. */
import type { AskResult } from "../../analysis/ask-read.ts";
import { readStatic } from "../../analysis/fallback/index.ts";
import { readTouched, unsafeTypes } from "../../analysis/touched.ts";
import type { Touched } from "../../facts/effects.ts";
import { parseSql } from "../../sql/index.ts";
import type { Question } from "../statement/judgement.ts";
import type { Analyst, View } from "./index.ts";

type Asked = Pick<Question, "text" | "settledSettings"> & {
  readonly kind: Exclude<Question["kind"], "estimate">;
};

/**
 * Reads an answer. `local`: the session sees, or may see, objects that others do not; `searchPath`: as it was asked under.
 * Without trees only a plain statement that everybody sees alike is followed (MASKING.md section 3.3). Rejects when the server
 * cannot be asked where it looks names up.
 */
export async function touchedBy(
  asked: Extract<AskResult, { readonly ok: true }>,
  question: Asked,
  view: View,
  analyst: Pick<Analyst, "schemas">,
  session: { readonly local: boolean; readonly searchPath: string | null },
): Promise<Touched> {
  const touched = await read(asked, question, view, analyst, session);
  return withParameters(touched, asked.parameterTypes, view);
}

/** Bind reads each parameter as a value of its type, used or not: that runs the checks of domains. */
function withParameters(touched: Touched, types: readonly number[], { catalog }: View): Touched {
  const found = unsafeTypes(types, catalog);
  const fresh = found.filter(({ oid }) => touched.unsafe.every((one) => one.oid !== oid));
  if (fresh.length === 0) return touched;
  return {
    ...touched,
    unsafe: [...touched.unsafe, ...fresh].sort((a, b) => a.oid - b.oid),
    effects: [...new Set([...touched.effects, ...fresh.map(({ effect }) => effect)])].sort(),
  };
}

async function read(
  asked: Extract<AskResult, { readonly ok: true }>,
  question: Asked,
  view: View,
  analyst: Pick<Analyst, "schemas">,
  session: { readonly local: boolean; readonly searchPath: string | null },
): Promise<Touched> {
  const { text, kind, settledSettings } = question;
  if (asked.trees.length === 0 && kind === "statement" && !session.local) {
    const [statement, ...others] = parseSql(text) ?? [];
    if (statement !== undefined && others.length === 0)
      return readStatic(statement, view.catalog, {
        searchPath: await analyst.schemas(session.searchPath),
        temporaryObjects: false,
        described: asked,
      });
  }
  return readTouched(asked.trees, view.catalog, {
    settledSettings,
    kind: kind === "expressions" ? "statement" : kind,
  });
}
