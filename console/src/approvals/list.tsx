/** The inbox: what waits, the most urgent first; or what was decided. */

import { Link } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import type { Approval } from "../lib/types.ts";
import { ApprovalBadge, Badge } from "../ui/badge.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Text } from "../ui/text.tsx";
import { Countdown, RelativeTime } from "../ui/time.tsx";
import { WhoName } from "../ui/who.tsx";
import { mayDecide } from "./pending.ts";
import { wish } from "./words.ts";

interface InboxListProps {
  readonly items: readonly Approval[];
  readonly current: string | null;
  readonly suffix: string;
}

export function InboxList({ items, current, suffix }: InboxListProps) {
  return (
    <ul className="inbox-list">
      {items.map((approval) => (
        <li key={approval.id}>
          <Link
            to={`/approvals/${encodeURIComponent(approval.id)}${suffix}`}
            className="inbox-row"
            data-approval={approval.id}
            aria-current={approval.id === current ? "true" : undefined}
          >
            <Row approval={approval} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Row({ approval }: { readonly approval: Approval }) {
  const pending = approval.state === "pending";
  return (
    <>
      <span className="inbox-top">
        <WhoName who={approval.requester} />
        {pending ? (
          <Countdown iso={approval.expires} from={approval.created} />
        ) : (
          <RelativeTime iso={approval.decided ?? approval.created} />
        )}
      </span>
      <span className="inbox-what">
        {approval.access === null ? (
          <SqlLine sql={approval.statements[0]?.sql ?? ""} limit={140} />
        ) : (
          <Text value={wish(approval)} />
        )}
      </span>
      <span className="inbox-tags">
        <Badge icon="database">
          <Text value={approval.database} />
        </Badge>
        {pending ? null : <ApprovalBadge state={approval.state} />}
        {approval.kind === "access" ? <Badge tone="accent">access</Badge> : null}
        {approval.kind === "review" ? <Badge tone="hold">review</Badge> : null}
        {pending && approval.mode === "wait" ? <Badge tone="hold">session waits</Badge> : null}
        {approval.warnings.length > 0 ? (
          <Badge tone="deny" icon="warning">
            {plural(approval.warnings.length, "warning")}
          </Badge>
        ) : null}
        {approval.votes.length > 0 && pending ? (
          <Badge tone="allow">{plural(approval.votes.length, "vote")}</Badge>
        ) : null}
        {pending && !mayDecide(approval) ? <Badge icon="lock">not yours</Badge> : null}
      </span>
    </>
  );
}
