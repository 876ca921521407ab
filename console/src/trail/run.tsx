/** The story of one agent run: what it was told to do, each statement in order, what came of it all. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { PageProps } from "../app/pages.tsx";
import { api } from "../lib/api.ts";
import { nameOfSegment, segmentOf } from "../lib/route.ts";
import { Link } from "../lib/router.tsx";
import { count, plural } from "../lib/text.ts";
import { duration, at as timeOf } from "../lib/time.ts";
import { Badge } from "../ui/badge.tsx";
import { ButtonLink } from "../ui/button.tsx";
import { Choice } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { PageFrame } from "../ui/page.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import { kindOf, statusOf, verdictOf } from "./fromRecord.ts";
import { trailLink } from "./query.ts";
import { MarkIcon, markOf } from "./row.tsx";
import { Sentence } from "./sentence.tsx";
import { Shapes } from "./shapes.tsx";
import { RunStrip } from "./strip.tsx";
import { tellDeed } from "./tell.ts";
import type { RunPass, RunStatement, RunStory } from "./types.ts";
import { undoneWords } from "./undone.ts";
import "../plots/plots.css";
import "./trail.css";
import "./detail.css";
import "./run.css";

export default function RunPage({ params }: PageProps) {
  const run = nameOfSegment(params.run ?? "");
  const found = useQuery({
    queryKey: ["audit", "run", run],
    queryFn: ({ signal }) => api<RunStory>(`/api/audit/runs/${segmentOf(run)}`, { signal }),
    refetchInterval: 15_000,
  });
  if (found.isPending)
    return (
      <PageFrame title="Run">
        <Loading rows={8} />
      </PageFrame>
    );
  if (found.isError)
    return (
      <PageFrame title="Run">
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      </PageFrame>
    );
  return <Story story={found.data} />;
}

type Which = "all" | "new" | "trouble" | "changes";
const shownFirst = 200;

function Story({ story }: { readonly story: RunStory }) {
  const [which, setWhich] = useState<Which>("all");
  const [most, setMost] = useState(shownFirst);
  const trouble = useMemo(() => new Set([...story.refused, ...story.failed, ...story.undone]), [story]);
  const fitting = story.statements.filter((s) => {
    if (which === "new") return s.fresh;
    if (which === "trouble") return trouble.has(s.step);
    return which === "all" || (s.writes?.length ?? 0) > 0;
  });
  const shown = fitting.slice(0, most);
  const first = story.first === null ? 0 : timeOf(story.first);
  const last = story.last === null ? first : timeOf(story.last);
  const people = [...new Set(story.passes.flatMap(({ subject }) => (subject === null ? [] : [subject])))];
  return (
    <PageFrame
      title="Agent run"
      lead={
        <span className="detail-crumbs">
          <Link to="/runs">Runs</Link> <span aria-hidden="true">/</span>{" "}
          <code>
            <Text value={story.run} />
          </code>
        </span>
      }
      actions={
        <ButtonLink to={trailLink({ run: story.run })} icon="trail">
          In the trail
        </ButtonLink>
      }
    >
      <section className="run-head card" aria-label="In short">
        <p className="run-told">
          <strong>
            <Text value={people[0] ?? "Somebody"} />
          </strong>
          {people.length > 1 ? ` and ${plural(people.length - 1, "other")}` : ""} sent{" "}
          {plural(story.statements.length, "statement")} in {duration(Math.max(0, last - first))}
          {story.passes.length > 1 ? `, in ${plural(story.passes.length, "pass", "passes")}` : ""}
          {story.first === null ? null : (
            <span className="faint">
              , from <Time iso={story.first} />
            </span>
          )}
        </p>
        <div className="badges">
          <Sum
            value={Object.keys(story.read).length}
            tone="neutral"
            one="relation read"
            many="relations read"
          />
          <Sum
            value={Object.keys(story.changed).length}
            tone="hold"
            one="relation changed"
            many="relations changed"
          />
          <Sum value={story.masked.length} tone="mask" one="column masked" many="columns masked" />
          <Sum value={story.refused.length} tone="deny" one="refused" many="refused" />
          <Sum value={story.failed.length} tone="deny" one="failed" many="failed" />
          <Sum value={story.undone.length} tone="hold" one="undone" many="undone" />
          <Sum value={story.unread.length} tone="neutral" one="not analysed" many="not analysed" />
        </div>
        <RunStrip statements={story.statements} first={first} last={last} />
      </section>
      <div className="detail-grid">
        <section className="card run-line" aria-label="Statements in order">
          <header className="card-head">
            <h2>Step by step</h2>
            <Choice<Which>
              label="Which statements"
              value={which}
              onChange={setWhich}
              options={[
                { value: "all", label: "All" },
                { value: "new", label: "New shapes" },
                { value: "changes", label: "Writes" },
                { value: "trouble", label: "Trouble" },
              ]}
            />
          </header>
          {shown.length === 0 ? (
            <Empty icon="trail" title={which === "all" ? "No statements" : "None of them"} />
          ) : (
            <ol className="steps">
              {shown.flatMap((statement, at) => {
                const before = shown[at - 1];
                const heading =
                  before?.pass === statement.pass
                    ? null
                    : story.passes.find((p) => p.pass === statement.pass);
                const step = <Step key={statement.step} statement={statement} first={first} />;
                if (heading == null) return [step];
                const again = shown.slice(0, at).some(({ pass }) => pass === heading.pass);
                const only = story.passes.length === 1;
                return [
                  <Pass key={`pass before ${statement.step}`} pass={heading} only={only} again={again} />,
                  step,
                ];
              })}
            </ol>
          )}
          {fitting.length > shown.length ? (
            <button type="button" className="run-more" onClick={() => setMost(most + 500)}>
              {count(fitting.length - shown.length)} more steps
            </button>
          ) : null}
        </section>
        <div className="detail-side">
          <Relations story={story} />
          <Shapes evolution={story.evolution} />
        </div>
      </div>
    </PageFrame>
  );
}

interface SumProps {
  readonly value: number;
  readonly tone: "neutral" | "hold" | "mask" | "deny";
  readonly one: string;
  readonly many: string;
}

function Sum({ value, tone, one, many }: SumProps) {
  return value === 0 ? null : <Badge tone={tone}>{plural(value, one, many)}</Badge>;
}

interface PassProps {
  readonly pass: RunPass;
  readonly only: boolean;
  /** It has been introduced above: another pass ran between. */
  readonly again: boolean;
}

/** Where a session (or trace) of the run begins, and what its caller claimed then. */
function Pass({ pass, only, again }: PassProps) {
  const says = Object.entries(pass.claimed).filter(([name]) => name !== "run");
  return (
    <li className="pass">
      <p>
        <strong>{only ? "Session" : `Pass ${pass.pass}${again ? ", again" : ""}`}</strong>
        {pass.subject === null ? null : (
          <>
            {" "}
            <Text value={pass.subject} />
          </>
        )}{" "}
        <Link to={trailLink({ session: pass.session })} className="mono faint">
          <Text value={pass.session.slice(0, 13)} />
        </Link>
        {says.length === 0 || again ? null : (
          <span className="claimed-note">
            {" "}
            claims <Text value={says.map(([name, value]) => `${name} ${value}`).join(", ")} />
          </span>
        )}
      </p>
      {pass.prompt === null || again ? null : (
        <blockquote className="prompt" title="The caller says so itself; nobody has proved it">
          <span className="chain-role">prompt, as claimed</span>
          {pass.prompt === "(sealed)" ? (
            <span className="faint">sealed</span>
          ) : (
            <Text value={pass.prompt.slice(0, 2000)} />
          )}
        </blockquote>
      )}
    </li>
  );
}

function Step({ statement, first }: { readonly statement: RunStatement; readonly first: number }) {
  const told = {
    principal: { subject: "", email: null, kind: kindOf(null), actor: [] },
    claimed: {},
    database: statement.database ?? "?",
    command: commandOf(statement.sql ?? statement.exact),
    verdict: verdictOf(statement.verdict),
    rule: statement.rule,
    code: statement.code,
    reads: statement.reads,
    writes: statement.writes,
    masked: statement.masked,
    status: statusOf(statement.status),
    sqlstate: statement.sqlstate,
    rows: statement.rows,
    rowsAffected: statement.affected,
  };
  const undone = undoneWords(statement.undone);
  const sql = statement.exact ?? statement.sql;
  const content = (
    <>
      <span className="step-told">
        <Sentence pieces={tellDeed(told)} />
        {undone === null ? null : <strong className="detail-undone"> {undone}</strong>}
        {statement.fresh ? <Badge tone="accent">new shape</Badge> : null}
      </span>
      <span className="hit-sql">
        {sql === null ? <span className="faint">text sealed</span> : <SqlLine sql={sql} />}
      </span>
    </>
  );
  return (
    <li className="step">
      <span className="step-time faint tabular" title={statement.time}>
        +{duration(Math.max(0, timeOf(statement.time) - first))}
      </span>
      <MarkIcon mark={markOf(told)} />
      {statement.request === null ? (
        <span className="step-text">{content}</span>
      ) : (
        <Link className="step-text" to={`/trail/${encodeURIComponent(statement.request)}`}>
          {content}
        </Link>
      )}
    </li>
  );
}

/** The first word, for the sentence's verb only: the record of a run does not repeat the command. */
function commandOf(sql: string | null): string {
  const word = /^\s*([a-z]+)/i.exec(sql ?? "")?.[1]?.toUpperCase() ?? "";
  return word === "WITH" || word === "TABLE" || word === "VALUES" ? "SELECT" : word;
}

function Relations({ story }: { readonly story: RunStory }) {
  const read = Object.entries(story.read);
  const changed = Object.entries(story.changed);
  if (read.length === 0 && changed.length === 0) return null;
  return (
    <section className="card" aria-label="Relations">
      <header className="card-head">
        <h2>What it touched</h2>
      </header>
      <ul className="run-relations">
        {changed.map(([name, { steps, rows }]) => (
          <li key={`changed ${name}`}>
            <Icon name="database" size={15} />
            <Link to={trailLink({ run: story.run, table: name })}>
              <Text value={name} />
            </Link>
            <Badge tone="hold">{plural(rows, "row")} changed</Badge>
            <span className="faint tabular">{plural(steps.length, "step")}</span>
          </li>
        ))}
        {read
          .filter(([name]) => story.changed[name] === undefined)
          .map(([name, steps]) => (
            <li key={`read ${name}`}>
              <Icon name="database" size={15} />
              <Link to={trailLink({ run: story.run, table: name })}>
                <Text value={name} />
              </Link>
              <span className="faint tabular">{plural(steps.length, "step")}</span>
            </li>
          ))}
        {story.masked.map((name) => (
          <li key={`masked ${name}`}>
            <Icon name="masked" size={15} />
            <span>
              <Text value={name} />
            </span>
            <Badge tone="mask">masked</Badge>
          </li>
        ))}
      </ul>
    </section>
  );
}
