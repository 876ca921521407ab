/** The trail: every statement on the record, latest first, found by the filters of `postern audit search`. */
import { useMemo, useRef, useState } from "react";
import { useHasRole } from "../app/me.ts";
import { pastStatements, useServerEvent } from "../lib/events.ts";
import { useKeys } from "../lib/keys.ts";
import { navigate, useSearch } from "../lib/router.tsx";
import { count } from "../lib/text.ts";
import { useStats } from "../overview/stats.ts";
import { Button } from "../ui/button.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { VirtualList } from "../ui/table.tsx";
import { Facet, Quick, SetFilters } from "./facets.tsx";
import { mayFit } from "./fresh.ts";
import { useHits } from "./hits.ts";
import { fromSearch, toSearch, trailLink } from "./query.ts";
import { HitRow, hitLink } from "./row.tsx";
import { SearchBar } from "./search.tsx";
import "../plots/plots.css";
import "./trail.css";

const verdicts = [
  { value: "allow", label: "Allowed", look: "allow" },
  { value: "approve", label: "Held", look: "hold" },
  { value: "deny", label: "Denied", look: "deny" },
];
const times = [
  { value: "1h", label: "1 h" },
  { value: "24h", label: "24 h" },
  { value: "7d", label: "7 d" },
  { value: "30d", label: "30 d" },
];
const records = [{ value: "any", label: "All records" }];
/** An event that is older when it comes was told again. */
const tooOld = 10_000;
const mostHeard = 5_000;
const week = 7 * 86_400_000;

export default function TrailPage() {
  const search = useSearch();
  const query = useMemo(() => fromSearch(search), [search]);
  const identity = toSearch(query);
  // A new query is a new list: selection and scroll place begin anew.
  return <Trail key={identity} />;
}

function Trail() {
  const search = useSearch();
  const query = useMemo(() => fromSearch(search), [search]);
  const input = useRef<HTMLInputElement>(null);
  const { found, rows, more, again } = useHits(query);
  const [current, setCurrent] = useState(-1);
  // A list that was fetched on an earlier visit does not have what happened since then.
  const [heard, setHeard] = useState<readonly string[]>(() =>
    rows.length === 0
      ? []
      : pastStatements().flatMap((past) => (mayFit(query, past, Date.now()) ? [past.time] : [])),
  );
  const auditor = useHasRole("auditor");
  const stats = useStats(week, auditor).data?.stats;
  useServerEvent("statement", (event) => {
    if (Date.parse(event.time) < Date.now() - tooOld) return;
    if (mayFit(query, event, Date.now())) setHeard((times) => [...times.slice(-mostHeard), event.time]);
  });
  // Counted against what is shown, so that what happens while a list is on its way is neither left out nor told twice.
  const newest = rows[0]?.time;
  const fresh = found.isPending ? 0 : heard.filter((time) => newest === undefined || time > newest).length;
  const refresh = () => {
    setHeard([]);
    setCurrent(-1);
    again();
  };
  const open = (at: number) => {
    const row = rows[at];
    if (row !== undefined) navigate(hitLink(row));
  };
  useKeys({
    "/": () => input.current?.focus(),
    j: () => setCurrent((at) => Math.min(rows.length - 1, at + 1)),
    k: () => setCurrent((at) => Math.max(0, at - 1)),
    r: refresh,
    Enter: () => open(current),
    o: () => open(current),
  });
  const callers = useMemo(
    () => [...(stats?.agents ?? []), ...(stats?.people ?? [])].sort((a, b) => b.count - a.count),
    [stats],
  );
  const known = useMemo(
    () =>
      stats === undefined
        ? {}
        : {
            subject: callers.map(({ name }) => name),
            table: stats.tables.map(({ name }) => name),
            rule: stats.rules.map(({ name }) => name),
          },
    [stats, callers],
  );
  const filtered = toSearch(query) !== "";
  const noun = rows.every(({ verdict }) => verdict !== null) ? "statement" : "record";

  return (
    <PageFrame title="Trail" fixed>
      <div className="trail-top">
        <SearchBar query={query} known={known} input={input} onSearch={(next) => navigate(trailLink(next))} />
        <div className="trail-quick">
          <Quick query={query} name="verdict" label="Decision" options={verdicts} />
          <Quick query={query} name="since" label="Period" options={times} />
          <Quick query={query} name="type" label="Records" options={records} />
          <SetFilters query={query} />
          <p className="trail-count faint" role="status">
            {found.isPending
              ? "Searching…"
              : `${count(rows.length)}${found.hasNextPage ? "+" : ""} ${noun}${rows.length === 1 && !found.hasNextPage ? "" : "s"}, latest first`}
          </p>
        </div>
      </div>
      <div className="trail-body">
        <div className="trail-list card">
          {fresh === 0 ? null : (
            <button type="button" className="trail-fresh" onClick={refresh}>
              {fresh === 1 ? "1 new statement" : `${count(fresh)} new statements`} — show
            </button>
          )}
          {found.isPending ? (
            <Loading label="Searching the trail" rows={9} />
          ) : found.isError && rows.length === 0 ? (
            <Failure error={found.error} onRetry={() => void found.refetch()} />
          ) : rows.length === 0 ? (
            <Empty
              icon="trail"
              title={filtered ? "Nothing on the record fits" : "Nothing is on the record yet"}
              action={
                filtered ? <Button onClick={() => navigate("/trail")}>Show everything</Button> : undefined
              }
            >
              <p>
                {filtered
                  ? "All filters must fit. Take one away, or look at a longer period."
                  : "Statements appear here as soon as somebody sends one through Postern. See Connect for ready-made lines."}
              </p>
            </Empty>
          ) : (
            <VirtualList
              label="Statements, latest first"
              className="trail-rows"
              items={rows}
              estimate={61}
              keyOf={(row) => row.id}
              row={(row, at) => <HitRow row={row} current={at === current} />}
              onEnd={more}
              current={current}
            />
          )}
          {found.isFetchNextPageError ? (
            <p className="trail-more" role="alert">
              Earlier statements could not be fetched.{" "}
              <Button look="quiet" onClick={() => void found.fetchNextPage()}>
                Try again
              </Button>
            </p>
          ) : null}
        </div>
        {stats === undefined ? null : (
          <aside className="trail-facets" aria-label="Most frequent in the last 7 days">
            <p className="faint">Last 7 days</p>
            <Facet title="Callers" name="subject" query={query} counts={callers} />
            <Facet title="Tables" name="table" query={query} counts={stats.tables} />
            <Facet title="Rules" name="rule" query={query} counts={stats.rules} />
          </aside>
        )}
      </div>
    </PageFrame>
  );
}
