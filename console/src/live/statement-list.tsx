/** The feed of statements. A row opens to the whole of it. */
import { useState } from "react";
import { Link } from "../lib/router.tsx";
import { count, plural } from "../lib/text.ts";
import { duration } from "../lib/time.ts";
import { MaskedBadge, StatusBadge, VerdictBadge } from "../ui/badge.tsx";
import { Icon } from "../ui/icons.tsx";
import { SqlLine, SqlView } from "../ui/sql.tsx";
import { Empty } from "../ui/states.tsx";
import { VirtualList } from "../ui/table.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import { ClaimedNote, WhoName } from "../ui/who.tsx";
import type { Said } from "./feed.ts";

interface StatementListProps {
  readonly statements: readonly Said[];
  readonly filtered: boolean;
}

export function StatementList({ statements, filtered }: StatementListProps) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section className="card live-statements" aria-labelledby="live-statements">
      <header className="card-head">
        <h2 id="live-statements">Statements</h2>
        <span className="faint tabular">{count(statements.length)}</span>
      </header>
      {statements.length > 0 ? (
        <VirtualList
          label="Statements, the newest first"
          items={statements}
          estimate={62}
          keyOf={(said) => said.key}
          row={(said) => (
            <Row
              said={said}
              open={open === said.key}
              onToggle={() => setOpen(open === said.key ? null : said.key)}
            />
          )}
        />
      ) : filtered ? (
        <Empty icon="search" title="No statement fits the filter">
          <p>Take something out of the filter, or look in the trail for older ones.</p>
        </Empty>
      ) : (
        <Empty icon="live" title="Nothing has been said yet">
          <p>
            Statements appear here the moment somebody runs one. <Link to="/connect">Connect</Link> has
            ready-made lines.
          </p>
        </Empty>
      )}
    </section>
  );
}

interface RowProps {
  readonly said: Said;
  readonly open: boolean;
  onToggle(): void;
}

function Row({ said, open, onToggle }: RowProps) {
  const { statement, outcome } = said;
  return (
    <div className={`said ${statement.verdict}${open ? " open" : ""}`}>
      <button type="button" className="said-line" aria-expanded={open} onClick={onToggle}>
        <span className="said-meta">
          <span className="faint">
            <Time iso={statement.time} />
          </span>
          <WhoName who={statement.principal} />
          <span className="said-badges">
            {statement.masked.length === 0 ? null : (
              <span className="said-mask" title={`${statement.masked.length} masked`}>
                <Icon name="masked" size={15} />
                <span className="visually-hidden">masked columns</span>
              </span>
            )}
            <VerdictBadge verdict={statement.verdict} code={statement.code} />
          </span>
        </span>
        <span className="said-sql">
          {statement.sql === null ? (
            <span className="faint said-none">{statement.command || "a message"}, without its text</span>
          ) : (
            <SqlLine sql={statement.sql} />
          )}
          <span className="faint said-result tabular">{result(said)}</span>
        </span>
      </button>
      {open ? (
        <div className="said-more">
          {statement.sql === null ? null : (
            <SqlView sql={statement.sql} label="Statement, literals stripped" />
          )}
          <dl className="facts">
            <div>
              <dt>Decision</dt>
              <dd className="badges">
                <VerdictBadge verdict={statement.verdict} />
                {statement.rule === null ? null : (
                  <span>
                    by rule <Text value={statement.rule} />
                  </span>
                )}
                {statement.code === null ? null : (
                  <span className="mono">
                    <Text value={statement.code} />
                  </span>
                )}
              </dd>
            </div>
            <Objects name="Reads" objects={statement.reads} />
            <Objects name="Writes" objects={statement.writes} />
            {statement.masked.length === 0 ? null : (
              <div>
                <dt>Masked</dt>
                <dd>
                  <MaskedBadge columns={statement.masked} /> <Text value={statement.masked.join(", ")} />
                </dd>
              </div>
            )}
            <div>
              <dt>Database</dt>
              <dd>
                <Text value={statement.database} />
              </dd>
            </div>
            {statement.claimed.agent === undefined ? null : (
              <div>
                <dt>Claimed</dt>
                <dd>
                  <ClaimedNote claimed={statement.claimed} />
                </dd>
              </div>
            )}
            {outcome === null ? null : (
              <div>
                <dt>Outcome</dt>
                <dd className="badges">
                  <StatusBadge status={outcome.status} sqlstate={outcome.sqlstate} />
                  <span>{result(said)}</span>
                </dd>
              </div>
            )}
          </dl>
          <div className="said-links">
            <Link to={`/trail/${encodeURIComponent(statement.request)}`}>In the trail</Link>
            {statement.approval === null ? null : (
              <Link to={`/approvals/${encodeURIComponent(statement.approval)}`}>Its approval</Link>
            )}
          </div>
        </div>
      ) : null}
    </div>
  );
}

function Objects({ name, objects }: { readonly name: string; readonly objects: readonly string[] | null }) {
  if (objects === null || objects.length === 0) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Text value={objects.join(", ")} />
      </dd>
    </div>
  );
}

/** "3 rows, 1.8 ms", "running", or nothing for what never ran. */
function result({ statement, outcome }: Said): string {
  if (outcome === null) return statement.verdict === "allow" ? "running" : "";
  // "COMMIT" counts nothing, "SELECT 0" does.
  const counts = outcome.tag === null || /\d$/.test(outcome.tag);
  const rows = counts ? (outcome.rows_affected ?? outcome.rows) : null;
  const parts: string[] = [];
  if (outcome.status !== "ok" && outcome.status !== "denied") parts.push(outcome.status);
  if (outcome.status !== "denied" && rows !== null) parts.push(plural(rows, "row"));
  if (outcome.status !== "denied" && outcome.duration_us !== null)
    parts.push(duration(outcome.duration_us / 1000));
  return parts.join(", ");
}
