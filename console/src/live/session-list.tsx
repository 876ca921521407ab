/** Open sessions, with what may be done about them. */
import { useHasRole, useMe } from "../app/me.ts";
import { Link } from "../lib/router.tsx";
import { count, plural } from "../lib/text.ts";
import type { Session } from "../lib/types.ts";
import { Badge, SessionBadge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { VirtualList } from "../ui/table.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import { ClaimedNote, WhoName } from "../ui/who.tsx";
import { type Target, targetOf } from "./kill.tsx";

interface SessionListProps {
  readonly sessions: readonly Session[];
  readonly pending: boolean;
  readonly error: unknown;
  readonly filtered: boolean;
  onRetry(): void;
  onEnd(session: Session): void;
  onStop(target: Target): void;
}

export function SessionList({
  sessions,
  pending,
  error,
  filtered,
  onRetry,
  onEnd,
  onStop,
}: SessionListProps) {
  return (
    <section className="card live-sessions" aria-labelledby="live-sessions">
      <header className="card-head">
        <h2 id="live-sessions">Sessions</h2>
        <span className="faint tabular">{count(sessions.length)}</span>
      </header>
      {sessions.length > 0 ? (
        <VirtualList
          label="Open sessions"
          items={sessions}
          estimate={118}
          keyOf={(session) => session.id}
          row={(session) => <Row session={session} onEnd={onEnd} onStop={onStop} />}
        />
      ) : pending ? (
        <Loading label="Loading sessions" />
      ) : error !== null && error !== undefined ? (
        <Failure error={error} onRetry={onRetry} />
      ) : (
        <Empty icon="connect" title={filtered ? "No session fits the filter" : "Nobody is connected"}>
          <p>
            {filtered
              ? "Take something out of the filter."
              : "A session appears here when a client connects."}
          </p>
        </Empty>
      )}
    </section>
  );
}

interface RowProps {
  readonly session: Session;
  onEnd(session: Session): void;
  onStop(target: Target): void;
}

function Row({ session, onEnd, onStop }: RowProps) {
  const me = useMe();
  const admin = useHasRole("admin");
  const own = session.principal.subject === me.subject && session.principal.issuer === me.issuer;
  const target = targetOf(session);
  const { counters } = session;
  return (
    <article className="session">
      <div className="session-head">
        <WhoName who={session.principal} />
        <SessionBadge state={session.state} />
      </div>
      <p className="session-facts">
        <span>
          <Text value={session.database} /> as <Text value={session.login} />
        </span>
        <span className="mono">
          <Text value={session.client.ip} />
        </span>
        <RelativeTime iso={session.started} />
        {session.client.application === null ? null : (
          <span className="cut">
            <Text value={session.client.application} />
          </span>
        )}
        {session.client.via === "wire" ? null : <Badge tone="accent">{session.client.via}</Badge>}
        {session.client.tls === null ? <Badge>no TLS</Badge> : null}
        {session.node === me.node ? null : (
          <Badge>
            node <Text value={session.node} />
          </Badge>
        )}
      </p>
      {session.claimed.agent === undefined ? null : (
        <p>
          <ClaimedNote claimed={session.claimed} />
        </p>
      )}
      {session.statement?.sql == null ? null : (
        <p className="session-sql">
          <SqlLine sql={session.statement.sql} limit={160} />
        </p>
      )}
      <div className="session-foot">
        <span className="faint tabular">
          {plural(counters.statements, "statement")}
          {counters.denied > 0 ? (
            <>
              , <span className="denied">{count(counters.denied)} denied</span>
            </>
          ) : null}
        </span>
        <span className="session-actions">
          {session.approval === null ? null : (
            <Link className="button quiet" to={`/approvals/${encodeURIComponent(session.approval)}`}>
              Decide
            </Link>
          )}
          {admin || own ? (
            <Button look="quiet" icon="cross" onClick={() => onEnd(session)}>
              End
            </Button>
          ) : null}
          {admin && target !== null ? (
            <Button look="quiet" icon="octagon" className="stop" onClick={() => onStop(target)}>
              Stop agent
            </Button>
          ) : null}
        </span>
      </div>
    </article>
  );
}
