/** A changed policy against what really happened: what would newly be denied, allowed, held or masked. Nothing is activated. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { api } from "../lib/api.ts";
import { count, plural } from "../lib/text.ts";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { Choice } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { Empty, Failure } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Changes } from "./changes.tsx";
import { LazyEditor } from "./lazy-editor.tsx";
import { marksOf, sayProblem } from "./marks.ts";
import type { Policy, PolicyCheck, PolicyFile, Replayed } from "./types.ts";

const spans = [
  { value: "1", label: "1 day" },
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
] as const;

type Days = (typeof spans)[number]["value"];

/** Changes under way, by the policy they began from, so that leaving the page loses nothing. */
const drafts = new Map<string, readonly PolicyFile[]>();

export function Replay({ policy }: { readonly policy: Policy }) {
  const [files, setFiles] = useState<readonly PolicyFile[]>(drafts.get(policy.digest ?? "") ?? policy.files);
  const [at, setAt] = useState(0);
  const [revision, setRevision] = useState(0);
  const [days, setDays] = useState<Days>("7");
  const [goTo, setGoTo] = useState<{ readonly line: number; readonly column: number } | null>(null);
  const settled = useSettled(files, 500);
  const check = useQuery({
    queryKey: ["policy", "check", settled],
    queryFn: ({ signal }) =>
      api<PolicyCheck>("/api/policy/check", { method: "POST", body: { files: settled }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 10_000,
    refetchOnWindowFocus: false,
    placeholderData: (before) => before,
  });
  const problems = useMemo(() => check.data?.problems ?? [], [check.data]);
  const replay = useMutation({
    mutationFn: (tried: readonly PolicyFile[]) =>
      api<Replayed>("/api/policy/replay", {
        method: "POST",
        body: { files: tried, since: new Date(Date.now() - Number(days) * 86_400_000).toISOString() },
      }),
    meta: { quiet: true },
  });
  const file = files[at] ?? files[0];
  const marks = useMemo(() => marksOf(problems, file?.name ?? ""), [problems, file?.name]);
  if (file === undefined)
    return (
      <Empty icon="policy" title="The policy's files are not for your role">
        <p>Trying a change needs its source.</p>
      </Empty>
    );
  const changed = files.some((one, index) => one.text !== policy.files[index]?.text);
  const withText = (text: string) => files.map((one, index) => (index === at ? { ...one, text } : one));
  const edit = (text: string) => {
    const next = withText(text);
    drafts.set(policy.digest ?? "", next);
    setFiles(next);
  };
  return (
    <div className="replay">
      <section className="card" aria-label="The changed policy">
        <header className="card-head">
          {files.length > 1 ? (
            <Choice
              label="File"
              value={String(at)}
              onChange={(next) => setAt(Number(next))}
              options={files.map(({ name }, index) => ({ value: String(index), label: name }))}
            />
          ) : (
            <h2 className="mono">
              <Text value={file.name} />
            </h2>
          )}
          {changed ? (
            <>
              <Badge tone="accent">changed</Badge>
              <Button
                look="quiet"
                onClick={() => {
                  drafts.delete(policy.digest ?? "");
                  setFiles(policy.files);
                  setRevision(revision + 1);
                }}
              >
                Undo all
              </Button>
            </>
          ) : (
            <span className="faint">as it is active</span>
          )}
          <CopyButton text={file.text} what="file" />
        </header>
        <LazyEditor
          key={file.name}
          label={`Policy file ${file.name}`}
          language="yaml"
          tall
          value={file.text}
          revision={revision}
          marks={marks}
          goTo={goTo}
          onChange={edit}
          onRun={(text) => replay.mutate(withText(text))}
        />
        <div className="check" role="status">
          {check.isError ? (
            <p className="told-bad">It could not be checked just now.</p>
          ) : problems.length === 0 ? (
            <p className="check-ok">
              <Icon name="check" size={15} />{" "}
              {check.isPending || check.isFetching ? "Checking…" : "A valid policy"}
            </p>
          ) : (
            <ul className="problems">
              {problems.slice(0, 50).map((problem) => (
                <li key={`${problem.file}:${problem.line}:${problem.column} ${problem.key} ${problem.what}`}>
                  <button
                    type="button"
                    onClick={() => {
                      const found = files.findIndex(({ name }) => name === problem.file);
                      if (found >= 0) setAt(found);
                      setGoTo({ line: problem.line, column: problem.column });
                    }}
                  >
                    <span className="mono">
                      {files.length > 1 ? `${problem.file}:` : ""}
                      {problem.line}:{problem.column}
                    </span>
                    <span>
                      {problem.key === "" ? null : (
                        <strong>
                          <Text value={problem.key} />{" "}
                        </strong>
                      )}
                      <Text value={sayProblem(problem)} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          )}
        </div>
        <div className="ask-run">
          <span className="label">Against the last</span>
          <Choice<Days> label="Against the last" value={days} onChange={setDays} options={spans} />
          <Button
            look="primary"
            icon="play"
            busy={replay.isPending}
            disabled={problems.length > 0}
            onClick={() => problems.length === 0 && replay.mutate(files)}
          >
            Run
          </Button>
        </div>
      </section>
      <div className="answer" aria-live="polite">
        {replay.isError ? (
          <section className="card">
            <Failure error={replay.error} title="It could not be run" onRetry={() => replay.mutate(files)} />
          </section>
        ) : replay.data?.policy === null ? (
          <section className="card">
            <Empty icon="warning" title="The changed policy is not valid">
              <p>What is wrong is listed below its text.</p>
            </Empty>
          </section>
        ) : replay.data === undefined ? (
          <section className="card answer-none">
            <p>
              Change the policy on the left and run it against the statements on the record. Nothing is
              activated: to make it so, put the file into place and reload the gateway.
            </p>
          </section>
        ) : (
          <>
            <p className="replay-sum">
              <strong>{plural(replay.data.compared, "statement")}</strong> compared{" "}
              {replay.data.truncated ? <span className="faint">of the latest of the period; </span> : null}
              {replay.data.total > replay.data.compared ? (
                <span className="faint">
                  of {count(replay.data.total)}; the others cannot be told from the record
                </span>
              ) : null}
            </p>
            <Changes changes={replay.data.changes} />
          </>
        )}
      </div>
    </div>
  );
}

/** The value once it has stood for `ms`. */
function useSettled<Value>(value: Value, ms: number): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
