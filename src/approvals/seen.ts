/** What was asked before with statements of the same shape: who approves a shape sees how far its values have reached. */
import type { Approval, HeldParameter, ShapeSeen } from "../facts/approval.ts";
import type { Sealer, Store } from "../store/index.ts";
import { collection, decode, type StoredApproval } from "./stored.ts";

const looked = 200;
/** Longer values say nothing in a range. */
const maxShown = 100;

/** Of the latest requests of this shape by the same requester, the present one included; null: it has no shape. Rejects with StoreUnavailable. */
export async function seenBefore(
  store: Store,
  sealer: Sealer | null,
  present: StoredApproval,
): Promise<ShapeSeen | null> {
  const { shape } = present.approval;
  if (shape === null || present.approval.kind !== "statement") return null;
  const { items } = await store.list(collection, {
    tags: [`shape:${shape}`],
    newestFirst: true,
    limit: looked,
  });
  const earlier = items.flatMap((document) => {
    const kept = decode(sealer, document);
    return kept !== null && kept.who === present.who ? [kept.approval] : [];
  });
  return summarise([...earlier, present.approval]);
}

type Seen = Pick<Approval, "statements" | "votes">;

/** Pure. */
export function summarise(all: readonly Seen[]): ShapeSeen {
  const last = all.at(-1);
  const voted = (verdict: "approve" | "deny") =>
    all.filter(({ votes }) => votes.some((vote) => vote.verdict === verdict)).length;
  return {
    requests: all.length,
    approved: voted("approve"),
    denied: voted("deny"),
    parameters: (last?.statements ?? []).map((statement, index) =>
      statement.parameters.map((parameter, at) => {
        const values = all.flatMap(({ statements }) => {
          const value = statements[index]?.parameters[at];
          return value === undefined ? [] : [value];
        });
        return rangeOf(parameter.type, values);
      }),
    ),
  };
}

const numbers = new Set(["int2", "int4", "int8", "oid", "float4", "float8", "numeric"]);

function rangeOf(type: string, values: readonly HeldParameter[]): ShapeSeen["parameters"][number][number] {
  const texts = values.flatMap(({ text }) => (typeof text === "string" ? [text] : []));
  const compare = numbers.has(type)
    ? (a: string, b: string) => Number(a) - Number(b)
    : (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...new Set(texts)].sort(compare);
  const shown = (text: string | undefined) =>
    text === undefined ? null : text.length <= maxShown ? text : `${text.slice(0, maxShown)}…`;
  return {
    type,
    least: shown(sorted[0]),
    most: shown(sorted.at(-1)),
    distinct: sorted.length,
    nulls: values.filter(({ text }) => text === null).length,
  };
}
