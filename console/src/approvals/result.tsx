/** What became of an approval that is no longer pending. */
import { Link } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import { duration } from "../lib/time.ts";
import type { Approval, ApprovalState, OutcomeEvent } from "../lib/types.ts";
import { Icon, type IconName } from "../ui/icons.tsx";

const told: Readonly<Record<Exclude<ApprovalState, "pending">, readonly [string, IconName, string]>> = {
  approved: ["allow", "check", "Approved. It runs as soon as its session, or its next attempt, takes it up."],
  used: ["allow", "check", "Approved, and taken up."],
  denied: ["deny", "cross", "Denied. It will never run."],
  expired: ["", "clock", "Nobody decided in time. It will never run."],
  gone: ["", "info", "The caller left before it was decided. It will never run."],
  revoked: ["deny", "cross", "Taken back."],
};

export function Result({
  approval,
  outcome,
}: {
  readonly approval: Approval;
  readonly outcome: OutcomeEvent | null;
}) {
  if (approval.state === "pending") return null;
  const [tone, icon, words] = told[approval.state] ?? ["", "info", approval.state];
  return (
    <div className={`note result ${tone}`} role="status">
      <Icon name={icon} />
      <div>
        {approval.kind === "access" && approval.state === "approved"
          ? "Approved. The access is open now."
          : words}
        {outcome === null ? null : <strong> {ran(outcome)}</strong>}
        {approval.request === null ? null : (
          <>
            {" "}
            <Link to={`/trail/${encodeURIComponent(approval.request)}`}>See it in the trail</Link>
          </>
        )}
      </div>
    </div>
  );
}

function ran(outcome: OutcomeEvent): string {
  if (outcome.status !== "ok")
    return `It ended with ${outcome.status}${outcome.sqlstate === null ? "" : ` ${outcome.sqlstate}`}.`;
  const rows = outcome.rows_affected ?? outcome.rows;
  const time = outcome.duration_us === null ? "" : ` in ${duration(outcome.duration_us / 1000)}`;
  return `It ran: ${rows === null ? (outcome.tag ?? "done") : plural(rows, "row")}${time}.`;
}
