/** Who has voted, and who must still agree. */
import type { Approval } from "../lib/types.ts";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import { stillMissing } from "./words.ts";

export function People({ approval }: { readonly approval: Approval }) {
  const missing = approval.state === "pending" ? stillMissing(approval) : [];
  if (missing.length === 0 && approval.votes.length === 0) return null;
  return (
    <section className="approval-part" aria-labelledby="people-title">
      <h3 id="people-title">People</h3>
      <ul className="people">
        {approval.votes.map((vote) => (
          <li key={`${vote.approver.issuer} ${vote.approver.subject} ${vote.time}`}>
            <span className={`vote ${vote.verdict}`}>
              <Icon name={vote.verdict === "approve" ? "check" : "cross"} size={14} />
            </span>
            <div>
              <strong>
                <Text value={vote.approver.email ?? vote.approver.subject} />
              </strong>{" "}
              {vote.verdict === "approve" ? "approved" : "denied"}{" "}
              <span className="faint">
                <RelativeTime iso={vote.time} />, signed in <RelativeTime iso={vote.authenticated} />
              </span>
              {vote.scope.kind === "shape" ? (
                <p className="faint">
                  for this shape of statement, {vote.scope.uses} times within{" "}
                  {Math.round(vote.scope.seconds / 60)} min
                </p>
              ) : null}
              {vote.reason === null ? null : (
                <p className="quote">
                  <Text value={vote.reason} />
                </p>
              )}
            </div>
          </li>
        ))}
        {missing.map((text) => (
          <li key={text}>
            <span className="vote">
              <Icon name="clock" size={14} />
            </span>
            <div>
              Needs <Text value={text} />
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
