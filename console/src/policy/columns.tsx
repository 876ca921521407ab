/** Which columns of a database the labels cover, and how each is hidden. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useMe } from "../app/me.ts";
import { api, isRecord } from "../lib/api.ts";
import { Link } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import { trailLink } from "../trail/query.ts";
import { Badge } from "../ui/badge.tsx";
import { Choice } from "../ui/form.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import type { Policy, ProtectedColumn } from "./types.ts";
import { labelWords } from "./words.ts";

async function load(database: string, signal: AbortSignal): Promise<readonly ProtectedColumn[]> {
  const answer = await api<unknown>(`/api/policy/columns?database=${encodeURIComponent(database)}`, {
    signal,
  });
  const list = Array.isArray(answer)
    ? answer
    : isRecord(answer)
      ? (answer["items"] ?? answer["columns"])
      : [];
  return (Array.isArray(list) ? list : []).filter(isRecord).flatMap((one) => {
    const name = one["column"] ?? one["name"];
    const label = one["label"] ?? (Array.isArray(one["labels"]) ? one["labels"][0] : undefined);
    if (typeof name !== "string" || typeof label !== "string") return [];
    const type = one["type"];
    return [{ column: name, label, mask: one["mask"], ...(typeof type === "string" ? { type } : {}) }];
  });
}

export function Columns({ policy }: { readonly policy: Policy }) {
  const { databases } = useMe();
  const [chosen, choose] = useState(databases[0]?.name ?? "");
  const found = useQuery({
    queryKey: ["policy", "columns", chosen],
    queryFn: ({ signal }) => load(chosen, signal),
    enabled: chosen !== "",
  });
  const labels = new Map(policy.labels.map((label) => [label.label, label]));
  const relations = new Map<string, ProtectedColumn[]>();
  for (const one of found.data ?? []) {
    const relation = one.column.slice(0, one.column.lastIndexOf("."));
    relations.set(relation, [...(relations.get(relation) ?? []), one]);
  }
  return (
    <>
      {databases.length < 2 ? null : (
        <Choice
          label="Database"
          value={chosen}
          onChange={choose}
          options={databases.map(({ name }) => ({ value: name, label: name }))}
        />
      )}
      {found.isError ? (
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      ) : found.isPending && chosen !== "" ? (
        <Loading />
      ) : relations.size === 0 ? (
        <Empty icon="masked" title="No column of this database is protected">
          <p>
            Give columns a label in the policy: labels: [
            {"{ label: pii.email, columns: [shop.public.customers.email], mask: partial }"}].
          </p>
        </Empty>
      ) : (
        <div className="protected">
          {[...relations].map(([relation, columns]) => (
            <section key={relation} className="card" aria-label={relation}>
              <header className="card-head">
                <h2 className="mono">
                  <Text value={relation} />
                </h2>
                <span className="faint">{plural(columns.length, "column")}</span>
              </header>
              <ul className="protected-list">
                {columns.map((one) => {
                  const label = labels.get(one.label);
                  const name = one.column.slice(one.column.lastIndexOf(".") + 1);
                  return (
                    <li key={`${one.column} ${one.label}`}>
                      <Link className="mono" to={trailLink({ column: one.column })}>
                        <Text value={name} />
                      </Link>
                      {one.type === undefined ? null : (
                        <span className="faint">
                          <Text value={one.type} />
                        </span>
                      )}
                      <Badge tone={label?.access === "none" ? "deny" : "mask"}>
                        <Text value={one.label} />
                      </Badge>
                      <span className="protected-how">{label === undefined ? "" : labelWords(label)}</span>
                    </li>
                  );
                })}
              </ul>
            </section>
          ))}
        </div>
      )}
    </>
  );
}
