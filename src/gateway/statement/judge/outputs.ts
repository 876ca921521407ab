/** What a statement sends: which columns, and which of them are looked into. */
import { isScanned } from "../../../masking/index.ts";
import type { StaticFacts } from "../../../sql/index.ts";
import { detectionOf } from "../../analyst/detection.ts";
import type { View } from "../../analyst/index.ts";
import type { Judgement, Watched } from "../judgement.ts";

/** Which outputs are looked into by content: those without a label, of types that can hold what is looked for. */
export function watch(
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

/** COPY of a table without a column list leaves out generated columns: which of the outputs are sent. */
export function copiedColumns(
  { copy }: StaticFacts,
  outputs: Judgement["outputs"],
  { catalog }: View,
): readonly boolean[] {
  if (copy === null || copy.relation === null || copy.columns !== null || outputs === null) return [];
  return outputs.map(
    ({ origin }) => (catalog.column(origin.relation, origin.attribute)?.generatedFrom.length ?? 0) === 0,
  );
}
