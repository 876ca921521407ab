/** The person's own requests that wait. */
import { useMe } from "../app/me.ts";
import { usePending } from "../approvals/pending.ts";
import { wish } from "../approvals/words.ts";
import { Link } from "../lib/router.tsx";
import { Countdown } from "../ui/time.tsx";

export function MyRequests() {
  const me = useMe();
  const pending = usePending();
  const own = (pending.data?.items ?? []).filter(
    ({ access, requester }) =>
      access !== null && requester.subject === me.subject && (requester.issuer ?? me.issuer) === me.issuer,
  );
  if (own.length === 0) return null;
  return (
    <section className="card" aria-labelledby="own-title">
      <header className="card-head">
        <h2 id="own-title">Waiting for an answer</h2>
      </header>
      <ul className="own-requests">
        {own.map((approval) => (
          <li key={approval.id}>
            <Link to={`/approvals/${encodeURIComponent(approval.id)}`}>{wish(approval)}</Link>
            <Countdown iso={approval.expires} />
          </li>
        ))}
      </ul>
    </section>
  );
}
