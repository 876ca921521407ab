/** Which columns of a database the labels cover, and how each is hidden. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../lib/api.ts";
import { Link } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import { trailLink } from "../trail/query.ts";
import { Badge } from "../ui/badge.tsx";
import { Choice } from "../ui/form.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import type { ProtectedColumn, ProtectedColumnList } from "./types.ts";
import { capital, labelWords } from "./words.ts";

export function Columns({ databases }: { readonly databases: readonly string[] }) {
  const [chosen, choose] = useState(databases[0] ?? "");
  const found = useQuery({
    queryKey: ["policy", "columns", chosen],
    queryFn: ({ signal }) =>
      api<ProtectedColumnList>(`/api/policy/columns?database=${encodeURIComponent(chosen)}`, { signal }),
    enabled: chosen !== "",
  });
  const relations = new Map<string, ProtectedColumn[]>();
  for (const one of found.data?.items ?? []) {
    const relation = one.column.slice(0, one.column.lastIndexOf("."));
    relations.set(relation, [...(relations.get(relation) ?? []), one]);
  }
  return (
    <>
      {databases.length < 2 ? null : (
        <div>
          <Choice
            label="Database"
            value={chosen}
            onChange={choose}
            options={databases.map((name) => ({ value: name, label: name }))}
          />
        </div>
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
                {columns.map((one) => (
                  <li key={one.column}>
                    <Link className="mono" to={trailLink({ column: one.column })}>
                      <Text value={one.column.slice(one.column.lastIndexOf(".") + 1)} />
                    </Link>
                    {one.labels.map((label) => (
                      <Badge key={label.label} tone={label.access === "none" ? "deny" : "mask"}>
                        <Text value={label.observe ? `${label.label}, only observed` : label.label} />
                      </Badge>
                    ))}
                    <span className="protected-how">
                      {one.labels.map((label) => labelWords(label)).join(" ")}
                      <Origin why={one.why} />
                    </span>
                  </li>
                ))}
              </ul>
            </section>
          ))}
        </div>
      )}
    </>
  );
}

/** Why a column is protected that no label names; the label itself stands beside its name. */
function Origin({ why }: { readonly why: readonly string[] }) {
  const others = why.filter((reason) => !reason.startsWith("label "));
  return others.length === 0 ? null : (
    <>
      {" "}
      <Text value={`${capital(others.join("; "))}.`} />
    </>
  );
}
