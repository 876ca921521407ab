/** One approval, with everything that a person needs to decide. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../lib/api.ts";
import { useServerEvent } from "../lib/events.ts";
import { useKeys } from "../lib/keys.ts";
import type { Approval, OutcomeEvent } from "../lib/types.ts";
import { ApprovalBadge, Badge } from "../ui/badge.tsx";
import { Icon } from "../ui/icons.tsx";
import { SqlView } from "../ui/sql.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Countdown, RelativeTime } from "../ui/time.tsx";
import { WhoName } from "../ui/who.tsx";
import { Context } from "./context.tsx";
import { Decide } from "./decide.tsx";
import { DecisionBar } from "./decision-bar.tsx";
import { readDraft } from "./draft.ts";
import { Parameters } from "./parameters.tsx";
import { mayDecide } from "./pending.ts";
import { People } from "./people.tsx";
import { EffectPreviewCard } from "./preview.tsx";
import { Result } from "./result.tsx";
import { wish } from "./words.ts";

export function Detail({ id }: { readonly id: string }) {
  const query = useQuery({
    queryKey: ["approvals", "one", id],
    queryFn: ({ signal }) => api<Approval>(`/api/approvals/${encodeURIComponent(id)}`, { signal }),
    staleTime: 2_000,
  });
  if (query.isPending)
    return (
      <div className="card">
        <Loading label="Loading the approval" rows={8} />
      </div>
    );
  if (query.isError)
    return (
      <div className="card">
        <Failure error={query.error} onRetry={() => void query.refetch()} />
      </div>
    );
  return <Loaded approval={query.data} />;
}

function Loaded({ approval }: { readonly approval: Approval }) {
  const [deciding, setDeciding] = useState<"approve" | "deny" | null>(() =>
    approval.state === "pending" ? (readDraft(approval.id)?.verdict ?? null) : null,
  );
  const [outcome, setOutcome] = useState<OutcomeEvent | null>(null);
  useServerEvent("outcome", (event) => {
    if (event.request === approval.request) setOutcome(event);
  });
  const open = approval.state === "pending" && mayDecide(approval);
  useKeys({ a: () => setDeciding("approve") }, open && approval.can.approve);
  useKeys({ d: () => setDeciding("deny") }, open && approval.can.deny);
  // Somebody else was faster, or time ran out: the question is over.
  useEffect(() => {
    if (approval.state !== "pending") setDeciding(null);
  }, [approval.state]);
  const pending = approval.state === "pending";
  return (
    <article className="approval" aria-labelledby="approval-title">
      <div className="card approval-card">
        <header className="approval-head">
          <div className="approval-title">
            <h2 id="approval-title" tabIndex={-1}>
              <WhoName who={approval.requester} />
              <span className="approval-wants"> wants {wish(approval)}</span>
            </h2>
            <p className="approval-sub">
              {pending ? null : <ApprovalBadge state={approval.state} />}
              {pending && approval.mode === "wait" ? (
                <Badge tone="hold">its session stands still</Badge>
              ) : null}
              {pending && approval.mode === "ticket" && approval.kind === "statement" ? (
                <Badge>runs when it is sent again</Badge>
              ) : null}
              <span className="faint">
                asked <RelativeTime iso={approval.created} />
              </span>
            </p>
          </div>
          {pending ? <Countdown iso={approval.expires} from={approval.created} /> : null}
        </header>

        {approval.message === null ? null : (
          <p className="approval-rule">
            <Icon name="policy" size={16} />
            <span>
              <Text value={approval.message} />
              {approval.rules.length === 0 ? null : (
                <span className="faint">
                  {" Rule "}
                  <Text value={approval.rules.join(", ")} />
                </span>
              )}
            </span>
          </p>
        )}
        <Warnings approval={approval} />
        <Result approval={approval} outcome={outcome} />
        <Claim approval={approval} />
        {approval.access === null ? null : (
          <section className="approval-part">
            <h3>Why it is wanted</h3>
            <blockquote className="quote">
              <Text value={approval.access.reason} />
            </blockquote>
          </section>
        )}
        {approval.statements.map((statement, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the statements of one message never move
          <section key={index} className="approval-part">
            <h3>
              {approval.statements.length === 1
                ? "Statement"
                : `Statement ${index + 1} of ${approval.statements.length}`}
            </h3>
            <SqlView sql={statement.sql} parameters={statement.parameters} label={`Statement ${index + 1}`} />
            <Parameters parameters={statement.parameters} />
          </section>
        ))}
        {approval.statements.length === 0 ? null : <EffectPreviewCard approval={approval} />}
        <People approval={approval} />
        <Context approval={approval} />
      </div>
      <DecisionBar approval={approval} onDecide={setDeciding} />
      {deciding !== null && pending ? (
        <Decide key={deciding} approval={approval} verdict={deciding} onClose={() => setDeciding(null)} />
      ) : null}
    </article>
  );
}

function Warnings({ approval }: { readonly approval: Approval }) {
  if (approval.warnings.length === 0) return null;
  return (
    <ul className="warnings" aria-label="Warnings">
      {approval.warnings.map((warning) => (
        <li key={`${warning.code} ${warning.object ?? ""} ${warning.text}`} className="note hold">
          <Icon name="warning" />
          <div>
            <Text value={warning.text} />
            {warning.object === null ? null : (
              <span className="mono warning-object">
                {" "}
                <Text value={warning.object} />
              </span>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** What the caller says it is about. A text that tries to talk an approver into something must not look like ours. */
function Claim({ approval }: { readonly approval: Approval }) {
  const { agent, model, run, intent } = approval.claimed;
  if (agent === undefined && model === undefined && intent === undefined) return null;
  return (
    <section className="approval-part claim" aria-label="What the caller claims">
      <h3>
        Claimed by the caller <Badge tone="hold">not verified</Badge>
      </h3>
      {intent === undefined ? null : (
        <blockquote className="quote">
          <Text value={intent} />
        </blockquote>
      )}
      <p className="faint">
        <Text
          value={[agent, model, run === undefined ? undefined : `run ${run}`]
            .filter((part) => part !== undefined)
            .join(" · ")}
        />
      </p>
    </section>
  );
}
