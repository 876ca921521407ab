/** Statement facts as tests and `--facts` write them: the names that conditions use. */
import type { StatementFacts } from "../../facts/effects.ts";
import { effectNames } from "../condition/facts.ts";
import type { Reader, Spot } from "../yaml/reader.ts";

const known = [
  "kind",
  "command",
  "effects",
  "reads",
  "writes",
  "columns",
  "functions",
  "labels",
  "labels_in_predicates",
  "unbounded_write",
  "has_where",
  "has_limit",
  "statements",
  "in_transaction",
  "bytes",
  "fingerprint",
] as const;

/** Facts with what is left out empty, false or the least; `effects` must be given. null: a mistake was noted. */
export function readFacts(reader: Reader, spot: Spot, sql: string): StatementFacts | null {
  const fields = reader.map(spot, known, "statement facts such as { kind: select, effects: [read] }");
  if (fields === null) return null;
  if (fields.effects === undefined)
    return reader.fail(spot, "has no effects", "effects: a list, [] for transaction control");
  const word = (field: Spot | undefined) => (field === undefined ? "" : (reader.text(field, "a text") ?? ""));
  const names = (field: Spot | undefined) =>
    field === undefined ? [] : [...(reader.texts(field, "a name", 0, 10_000) ?? [])].sort();
  const flag = (field: Spot | undefined) => field !== undefined && reader.flag(field) === true;
  const count = (field: Spot | undefined, otherwise: number) =>
    field === undefined ? otherwise : (reader.whole(field, 0, 2 ** 31) ?? otherwise);
  const given = (reader.list(fields.effects, "effects", 0, effectNames.length) ?? []).flatMap((item) => {
    const effect = reader.choice(item, effectNames);
    return effect === null ? [] : [effect];
  });
  return {
    kind: word(fields.kind),
    command: word(fields.command),
    effects: [...new Set(given)].sort(),
    reads: names(fields.reads),
    writes: names(fields.writes),
    columns: names(fields.columns),
    functions: names(fields.functions),
    labels: names(fields.labels),
    labelsInPredicates: names(fields.labels_in_predicates),
    unboundedWrite: flag(fields.unbounded_write),
    hasWhere: flag(fields.has_where),
    hasLimit: flag(fields.has_limit),
    statements: count(fields.statements, 1),
    inTransaction: flag(fields.in_transaction),
    bytes: count(fields.bytes, Buffer.byteLength(sql)),
    fingerprint: fields.fingerprint === undefined ? null : word(fields.fingerprint),
  };
}
