/** One message of a client: who, what was decided and why, what it touched, what came back, and proof of it all. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useHasRole } from "../app/me.ts";
import type { PageProps } from "../app/pages.tsx";
import { api } from "../lib/api.ts";
import { useKeys } from "../lib/keys.ts";
import { segmentOf } from "../lib/route.ts";
import { Link, navigate, useSearchParam } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import { ProofCard } from "../proof/card.tsx";
import { Button, ButtonLink } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import { Chain } from "./chain.tsx";
import { DecisionCard } from "./decision.tsx";
import { toldOf } from "./fromRecord.ts";
import { trailLink } from "./query.ts";
import { number, text } from "./record.ts";
import { ResultCard } from "./result.tsx";
import { MarkIcon, markOf } from "./row.tsx";
import { Sentence } from "./sentence.tsx";
import { StatementCard } from "./statement.tsx";
import { pieceText, tell } from "./tell.ts";
import { TouchesCard } from "./touches.tsx";
import type { AuditRequest, Json, PlacedRecord, StatementPart } from "./types.ts";
import { undoneWords } from "./undone.ts";
import "./trail.css";
import "./detail.css";

export default function StatementPage({ params }: PageProps) {
  const request = params.request ?? "";
  const found = useQuery({
    queryKey: ["audit", "request", request],
    queryFn: ({ signal }) => api<AuditRequest>(`/api/audit/${encodeURIComponent(request)}`, { signal }),
    // A statement under way gets its outcome in a moment.
    refetchInterval: ({ state }) => (state.data?.parts.some((part) => part.outcome === null) ? 2_000 : false),
  });
  useKeys({ Escape: () => navigate("/trail"), u: () => navigate("/trail") });
  if (found.isPending)
    return (
      <PageFrame title="Statement">
        <Loading rows={8} />
      </PageFrame>
    );
  if (found.isError)
    return (
      <PageFrame title="Statement">
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      </PageFrame>
    );
  if (found.data.parts.length === 0 && found.data.others.length === 0)
    return (
      <PageFrame title="Statement">
        <Empty
          icon="trail"
          title="There is no such statement"
          action={<ButtonLink to="/trail">To the trail</ButtonLink>}
        />
      </PageFrame>
    );
  return <Request detail={found.data} />;
}

function Request({ detail }: { readonly detail: AuditRequest }) {
  const [chosen, choose] = useSearchParam("part");
  const { parts } = detail;
  const wanted = Number.parseInt(chosen, 10) || 0;
  const at = Math.max(
    0,
    parts.findIndex(({ intent }) => (number(intent.record, "statement.index") ?? 0) === wanted),
  );
  const part = parts[at];
  const choosePart = (next: number) => {
    const index = number(parts[next]?.intent.record, "statement.index") ?? 0;
    choose(index === 0 ? "" : String(index));
  };
  return (
    <PageFrame
      title={
        part === undefined
          ? "Record"
          : parts.length > 1
            ? `Statement ${at + 1} of ${parts.length}`
            : "Statement"
      }
      lead={
        <span className="detail-crumbs">
          <Link to="/trail">Trail</Link> <span aria-hidden="true">/</span>{" "}
          <code>
            <Text value={detail.request} />
          </code>
        </span>
      }
      actions={
        <RunLinks record={part?.intent.record ?? detail.others[0]?.record ?? {}} approval={detail.approval} />
      }
    >
      {parts.length > 1 ? <Parts parts={parts} at={at} onChoose={choosePart} /> : null}
      {part === undefined ? null : (
        <Part key={part.intent.id} part={part} intent={part.intent} detail={detail} />
      )}
      {detail.others.map((other) => (
        <Other key={other.id} placed={other} />
      ))}
    </PageFrame>
  );
}

interface RunLinksProps {
  readonly record: Json;
  readonly approval: string | null;
}

function RunLinks({ record, approval }: RunLinksProps) {
  const auditor = useHasRole("auditor");
  const run = text(record, "claimed.run");
  const session = text(record, "session");
  return (
    <>
      {approval === null ? null : (
        <ButtonLink to={`/approvals/${encodeURIComponent(approval)}`} icon="approvals">
          Approval
        </ButtonLink>
      )}
      {run === null || !auditor ? null : (
        <ButtonLink to={`/runs/${segmentOf(run)}`} icon="agent">
          Story of the run
        </ButtonLink>
      )}
      {session === null ? null : (
        <ButtonLink to={trailLink({ session })} icon="trail">
          Its session
        </ButtonLink>
      )}
    </>
  );
}

interface PartsProps {
  readonly parts: readonly StatementPart[];
  readonly at: number;
  onChoose(at: number): void;
}

/** The statements of one message; a long one is scrolled. */
function Parts({ parts, at, onChoose }: PartsProps) {
  return (
    <nav className="detail-parts" aria-label={plural(parts.length, "statement")}>
      {parts.slice(0, 200).map((part, index) => {
        const { record } = part.intent;
        const told = toldOf(record, part.outcome?.record ?? null);
        return (
          <Button
            key={part.intent.id}
            look={index === at ? "plain" : "quiet"}
            aria-current={index === at ? "true" : undefined}
            onClick={() => onChoose(index)}
          >
            <MarkIcon mark={markOf(told)} /> {index + 1} <Text value={told.command ?? ""} />
          </Button>
        );
      })}
    </nav>
  );
}

interface PartProps {
  readonly part: StatementPart;
  readonly intent: PlacedRecord;
  readonly detail: AuditRequest;
}

function Part({ part, intent, detail }: PartProps) {
  const auditor = useHasRole("auditor");
  const { record } = intent;
  const outcome = part.outcome?.record ?? null;
  const told = useMemo(() => toldOf(record, outcome, emailOf(detail)), [record, outcome, detail]);
  const pieces = tell(told);
  const undone = undoneWords(part.undone);
  const time = text(record, "time");
  return (
    <>
      <div className="detail-told card">
        <MarkIcon mark={markOf(told)} size={20} />
        <p>
          <span className="detail-sentence" title={pieceText(pieces)}>
            <Sentence pieces={pieces} linked />
          </span>
          {undone === null ? null : <strong className="detail-undone">{undone}</strong>}
          <span className="detail-when faint">
            {time === null ? null : <Time iso={time} />} on <Text value={told.database} />
          </span>
        </p>
      </div>
      <div className="detail-grid">
        <div className="detail-main">
          <StatementCard part={part} intent={record} />
          <DecisionCard intent={record} />
          <TouchesCard intent={record} />
          <ResultCard outcome={outcome} masked={told.masked} />
        </div>
        <div className="detail-side">
          <Chain intent={record} email={emailOf(detail)} prompt={part.claimedIntent} />
          {auditor ? (
            <>
              <ProofCard
                title="decision record"
                id={intent.id}
                record={record}
                index={intent.index}
                log={intent.log}
              />
              {part.outcome === null ? null : (
                <ProofCard
                  title="outcome record"
                  id={part.outcome.id}
                  record={part.outcome.record}
                  index={part.outcome.index}
                  log={part.outcome.log}
                />
              )}
            </>
          ) : (
            <p className="note">
              <Icon name="lock" size={16} />
              <span>Auditors see the proof that this is on the record.</span>
            </p>
          )}
        </div>
      </div>
    </>
  );
}

/** The e-mail address, which is sealed in the record, where the session's seal was opened. */
function emailOf({ session }: AuditRequest): string | null {
  return session?.principal.email ?? null;
}

/** A record that is no statement: told as it is. */
function Other({ placed }: { readonly placed: PlacedRecord }) {
  const auditor = useHasRole("auditor");
  return (
    <div className="detail-grid">
      <div className="detail-main">
        <section className="card">
          <header className="card-head">
            <h2>
              <Text value={text(placed.record, "type") ?? "Record"} />
            </h2>
          </header>
          <section className="detail-raw" tabIndex={0} aria-label="The record">
            <pre>
              <Text value={JSON.stringify(placed.record, null, 2)} />
            </pre>
          </section>
        </section>
      </div>
      <div className="detail-side">
        {auditor ? (
          <ProofCard
            title="record"
            id={placed.id}
            record={placed.record}
            index={placed.index}
            log={placed.log}
          />
        ) : null}
      </div>
    </div>
  );
}
