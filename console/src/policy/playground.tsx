/** What would happen: somebody, a statement, and the decision rule by rule. Nothing is run. */
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api } from "../lib/api.ts";
import type { Kind } from "../lib/types.ts";
import { Button, Key } from "../ui/button.tsx";
import { Choice, Field } from "../ui/form.tsx";
import { Failure } from "../ui/states.tsx";
import { Explanation } from "./explanation.tsx";
import { LazyEditor } from "./lazy-editor.tsx";
import type { Explained, Policy } from "./types.ts";
import { groupsIn } from "./words.ts";

const example = "select table_name from information_schema.tables order by 1 limit 10";
/** What the session keeps, so that leaving the page loses nothing. */
const kept: { sql: string; kind: Kind | "me"; groups: string; database: string } = {
  sql: "",
  kind: "agent",
  groups: "",
  database: "",
};

export function Playground({ policy }: { readonly policy: Policy }) {
  const groupsId = useId();
  const known = [...new Set([...policy.groups.filter((one) => one !== "*"), ...groupsIn(policy.rules)])];
  const [kind, setKind] = useState<Kind | "me">(kept.kind);
  const [groups, setGroups] = useState(
    kept.groups === "" ? (known.find((one) => one.includes("agent")) ?? known[0] ?? "") : kept.groups,
  );
  const [database, setDatabase] = useState(
    kept.database === "" ? (policy.databases[0] ?? "") : kept.database,
  );
  const [sql, setSql] = useState(kept.sql === "" ? exampleOf(policy) : kept.sql);
  Object.assign(kept, { sql, kind, groups, database });
  const explain = useMutation({
    mutationFn: (text: string) =>
      api<Explained>("/api/policy/explain", {
        method: "POST",
        body: {
          as:
            kind === "me"
              ? null
              : {
                  subject: "playground",
                  kind,
                  groups: list(groups),
                },
          database,
          sql: text,
        },
      }),
    meta: { quiet: true },
  });
  const ask = (text: string) => {
    if (text.trim() !== "" && database !== "") explain.mutate(text);
  };
  return (
    <div className="playground">
      <section className="card" aria-label="The question">
        <div className="ask-who">
          <div className="field">
            <span className="label">As</span>
            <Choice<Kind | "me">
              label="As whom"
              value={kind}
              onChange={setKind}
              options={[
                { value: "agent", label: "Agent" },
                { value: "human", label: "Person" },
                { value: "service", label: "Service" },
                { value: "me", label: "Myself" },
              ]}
            />
          </div>
          {kind === "me" ? null : (
            <Field label="In the groups">
              {(wiring) => (
                <>
                  <input
                    {...wiring}
                    className="input"
                    value={groups}
                    list={groupsId}
                    autoComplete="off"
                    spellCheck={false}
                    placeholder="agents, analysts"
                    onChange={(event) => setGroups(event.target.value)}
                  />
                  <datalist id={groupsId}>
                    {known.map((one) => (
                      <option key={one} value={one} />
                    ))}
                  </datalist>
                </>
              )}
            </Field>
          )}
          <Field label="On the database">
            {(wiring) => (
              <select
                {...wiring}
                className="input"
                value={database}
                onChange={(event) => setDatabase(event.target.value)}
              >
                {policy.databases.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <LazyEditor
          label="Statement"
          language="sql"
          value={sql}
          placeholder="select …"
          onChange={setSql}
          onRun={ask}
        />
        <div className="ask-run">
          <Button look="primary" icon="play" busy={explain.isPending} onClick={() => ask(sql)}>
            Explain
          </Button>
          <span className="faint">
            <Key>Ctrl</Key> <Key>Enter</Key> — nothing is run on the database but the analysis.
          </span>
        </div>
      </section>
      <div className="answer" aria-live="polite">
        {explain.isError ? (
          <section className="card">
            <Failure error={explain.error} title="It could not be explained" />
          </section>
        ) : explain.data === undefined ? (
          <section className="card answer-none">
            <p>
              Pick who asks, type a statement, and see what the policy says of it: rule by rule, what it
              touches, and how each column would come back.
            </p>
          </section>
        ) : (
          <Explanation explained={explain.data} />
        )}
      </div>
    </div>
  );
}

/** Names of a comma-separated line. */
function list(text: string): readonly string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** A statement that shows something: one over a column that a label names, where one names it whole. */
function exampleOf({ labels }: Policy): string {
  for (const { columns, access } of labels)
    for (const pattern of access === "none" ? [] : columns) {
      const [, schema, relation, column] = /^\w+\.([a-z_]\w*)\.([a-z_]\w*)\.([a-z_]\w*)$/.exec(pattern) ?? [];
      if (column !== undefined) return `select ${column} from ${schema}.${relation} limit 10`;
    }
  return example;
}
