/** The first page: what has been happening, who did it, what waits, and whether the record of it is sound. */
import { useQuery } from "@tanstack/react-query";
import { usePendingCount } from "../approvals/pending.ts";
import { api } from "../lib/api.ts";
import { Link, navigate, useSearchParam } from "../lib/router.tsx";
import { count } from "../lib/text.ts";
import { duration } from "../lib/time.ts";
import type { Approval, Page } from "../lib/types.ts";
import { DecideTimes } from "../plots/decide.tsx";
import { Sparkline } from "../plots/spark.tsx";
import { type Bucket, fillBuckets, total } from "../plots/stack.ts";
import { StackedBars } from "../plots/stacked.tsx";
import { periods } from "../plots/time.ts";
import { TopBars, type TopRow } from "../plots/top.tsx";
import { trailLink } from "../trail/query.ts";
import { Choice } from "../ui/form.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { useLiveBuckets } from "./live.ts";
import { LogCard } from "./log.tsx";
import { type Counted, type StatsCount, useStats } from "./stats.ts";
import "../plots/plots.css";
import "./overview.css";

const series = [
  { name: "allow", label: "allowed", look: "allow" },
  { name: "approve", label: "held", look: "hold" },
  { name: "deny", label: "denied", look: "deny" },
] as const;
const verdicts = series.map(({ name }) => name);

export default function OverviewPage() {
  const [chosen, choose] = useSearchParam("period");
  const period = periods.find(({ name }) => name === chosen) ?? periods[1];
  const answer = useStats(period.ms);
  return (
    <PageFrame
      title="Overview"
      lead={`The last ${period.label}`}
      actions={
        <Choice
          label="Period"
          value={period.name}
          onChange={(next) => choose(next === "24h" ? "" : next)}
          options={periods.map(({ name, label }) => ({
            value: name,
            label: name.replace("h", " h").replace("d", " d"),
            title: label,
          }))}
        />
      }
    >
      {answer.isPending ? (
        <Loading rows={8} />
      ) : answer.isError ? (
        <Failure error={answer.error} onRetry={() => void answer.refetch()} />
      ) : (
        <Figures counted={answer.data} ms={period.ms} since={period.name} />
      )}
    </PageFrame>
  );
}

interface FiguresProps {
  readonly counted: Counted;
  readonly ms: number;
  readonly since: string;
}

function Figures({ counted, ms, since }: FiguresProps) {
  const { stats, step, until } = counted;
  const live = useLiveBuckets(until);
  const pending = usePendingCount();
  const end = Math.max(until, ...live.map(({ time }) => time + 1));
  const buckets = fillBuckets([...counted.buckets, ...live], until - ms, end, step);
  const sum = (name: string) => buckets.reduce((all, bucket) => all + (bucket.values[name] ?? 0), 0);
  const statements = buckets.reduce((all, bucket) => all + total(bucket, verdicts), 0);
  const decided = useDecided();
  // The list of rules is cut after the most frequent: then nobody can tell what is left for none.
  const byNoRule =
    stats.rules.length < 20
      ? Math.max(
          0,
          counted.buckets.reduce((all, bucket) => all + (bucket.values.deny ?? 0), 0) -
            stats.rules.reduce((all, { denied }) => all + denied, 0),
        )
      : 0;
  const openBucket = (bucket: Bucket) =>
    navigate(
      trailLink({
        since: new Date(bucket.time).toISOString(),
        until: new Date(bucket.time + step).toISOString(),
      }),
    );
  return (
    <>
      <ul className="tiles" aria-label="In short">
        <Tile
          label="Statements"
          value={count(statements)}
          to={trailLink({ since })}
          values={buckets.map((b) => total(b, verdicts))}
          look="allow"
        />
        <Tile
          label="Denied"
          value={count(sum("deny"))}
          to={trailLink({ since, verdict: "deny" })}
          values={buckets.map((b) => b.values.deny ?? 0)}
          look="deny"
        />
        <Tile
          label="Held for a person"
          value={count(Math.max(stats.held.count, sum("approve")))}
          note={
            pending > 0
              ? `${count(pending)} waiting now`
              : stats.held.medianSeconds === null
                ? ""
                : `${duration(stats.held.medianSeconds * 1000)} to decide`
          }
          to={pending > 0 ? "/approvals" : trailLink({ since, verdict: "approve" })}
          values={buckets.map((b) => b.values.approve ?? 0)}
          look="hold"
        />
        <Tile
          label="Masked"
          value={count(sum("masked"))}
          to={trailLink({ since })}
          values={buckets.map((b) => b.values.masked ?? 0)}
          look="mask"
        />
      </ul>
      <StackedBars
        title="Statements by decision"
        series={series}
        buckets={buckets}
        step={step}
        onOpen={openBucket}
      />
      <div className="overview-grid">
        <TopBars
          title="Agents"
          unit="statements"
          look="allow"
          empty="No agent has sent a statement."
          rows={stats.agents.map((one) => row(one, trailLink({ subject: one.name, since })))}
        />
        <TopBars
          title="Tables"
          unit="statements"
          look="allow"
          empty="No statement touched a table."
          rows={stats.tables.map((one) => row(one, trailLink({ table: one.name, since })))}
        />
        <TopBars
          title="Rules that denied"
          unit="statements denied"
          look="deny"
          empty="No rule denied a statement."
          rows={[
            ...stats.rules
              .filter((one) => one.denied > 0)
              .map((one) => ({
                key: one.name,
                name: one.name,
                value: one.denied,
                to: trailLink({ rule: one.name, verdict: "deny", since }),
              })),
            ...(byNoRule === 0
              ? []
              : [
                  {
                    key: "",
                    name: "No rule: labels, the default, Postern itself",
                    value: byNoRule,
                    to: trailLink({ verdict: "deny", since }),
                  },
                ]),
          ].sort((a, b) => b.value - a.value)}
        />
        <TopBars
          title="People and services"
          unit="statements"
          look="allow"
          empty="No person and no service has sent a statement."
          rows={stats.people.map((one) => row(one, trailLink({ subject: one.name, since })))}
        />
        <DecideTimes
          title="Time to decide"
          approved={decided.approved}
          denied={decided.denied}
          empty="Nobody had to decide anything."
        />
        <LogCard log={stats.log} />
      </div>
      <p className="overview-foot faint">
        Of {count(stats.held.count)} held{" "}
        {stats.held.medianSeconds === null
          ? ""
          : `half were decided within ${duration(stats.held.medianSeconds * 1000)}`}
        {stats.held.p95Seconds === null ? "" : `, 95 of 100 within ${duration(stats.held.p95Seconds * 1000)}`}
        . <Link to="/approvals">Approvals</Link>
      </p>
    </>
  );
}

function row({ name, count: value, denied }: StatsCount, to: string): TopRow {
  return { key: name, name, value, bad: denied, to };
}

interface TileProps {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
  readonly to: string;
  readonly values: readonly number[];
  readonly look: "allow" | "deny" | "hold" | "mask";
}

function Tile({ label, value, note = "", to, values, look }: TileProps) {
  return (
    <li>
      <Link to={to} className="tile">
        <span className="tile-label">{label}</span>
        <strong className="tile-value tabular">{value}</strong>
        <span className="tile-note faint">{note}</span>
        <Sparkline values={values} look={look} />
      </Link>
    </li>
  );
}

/** How long people took, from the latest decided approvals that this person may see. */
function useDecided(): { readonly approved: readonly number[]; readonly denied: readonly number[] } {
  const found = useQuery({
    queryKey: ["approvals", "decided", "times"],
    queryFn: ({ signal }) => api<Page<Approval>>("/api/approvals?state=decided&limit=200", { signal }),
    staleTime: 60_000,
  });
  const approved: number[] = [];
  const denied: number[] = [];
  for (const one of found.data?.items ?? []) {
    const seconds =
      one.decided === null ? Number.NaN : (Date.parse(one.decided) - Date.parse(one.created)) / 1000;
    if (Number.isNaN(seconds)) continue;
    if (one.state === "denied") denied.push(seconds);
    else if (one.state === "approved" || one.state === "used") approved.push(seconds);
  }
  return { approved, denied };
}
