/** What agents did, run by run, the latest first: each leads to its story. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../lib/api.ts";
import { segmentOf } from "../lib/route.ts";
import { Link, useSearchParam } from "../lib/router.tsx";
import { clip, count, plural, visible } from "../lib/text.ts";
import { at, duration } from "../lib/time.ts";
import { Badge, KindIcon } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/form.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import type { RunList, RunSummary } from "./types.ts";
import "./run.css";

const periods = [
  { value: "24h", label: "24 h" },
  { value: "7d", label: "7 d" },
  { value: "30d", label: "30 d" },
] as const;
type Period = (typeof periods)[number]["value"];
const kinds: Readonly<Record<RunSummary["kind"], string>> = {
  run: "run",
  trace: "trace",
  session: "session without a run",
};

export default function RunsPage() {
  const [since, setSince] = useSearchParam("since");
  const [who, setWho] = useSearchParam("subject");
  const period = periods.find(({ value }) => value === since)?.value ?? "7d";
  return (
    <PageFrame
      title="Runs"
      lead="What agents did, run by run"
      actions={
        <Choice<Period>
          label="Period"
          value={period}
          onChange={(next) => setSince(next === "7d" ? "" : next)}
          options={periods}
        />
      }
    >
      <Search who={who} onSearch={setWho} />
      <Runs key={`${period} ${who}`} since={period} who={who} />
    </PageFrame>
  );
}

function Search({ who, onSearch }: { readonly who: string; onSearch(who: string): void }) {
  const [text, setText] = useState(who);
  return (
    <form
      className="runs-search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(text.trim());
      }}
    >
      <input
        className="input"
        type="search"
        aria-label="Subject of the token"
        placeholder="Whose: subject of the token, such as agent-7"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (event.target.value === "") onSearch("");
        }}
      />
      <Button type="submit" icon="search">
        Find
      </Button>
    </form>
  );
}

function Runs({ since, who }: { readonly since: Period; readonly who: string }) {
  const found = useInfiniteQuery({
    queryKey: ["runs", since, who],
    queryFn: ({ pageParam, signal }) => {
      const search = new URLSearchParams({ since, limit: "50" });
      if (who !== "") search.set("subject", who);
      if (pageParam !== null) search.set("after", pageParam);
      return api<RunList>(`/api/audit/runs?${search}`, { signal });
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next }) => next,
    refetchInterval: 60_000,
  });
  if (found.isPending) return <Loading rows={8} />;
  if (found.isError) return <Failure error={found.error} onRetry={() => void found.refetch()} />;
  const runs = found.data.pages.flatMap(({ items }) => items);
  if (runs.length === 0)
    return (
      <Empty icon="agent" title={who === "" ? "No run in this time" : "No run of this subject in this time"}>
        <p>
          An agent names its run with the start-up option <code>postern.run</code> or a traceparent; what
          names none is told session by session.
        </p>
      </Empty>
    );
  return (
    <>
      <Table
        caption="Runs, the latest first"
        columns={columns}
        rows={runs}
        keyOf={({ kind, run }) => `${kind} ${run}`}
      />
      {found.hasNextPage ? (
        <div className="runs-more">
          <Button busy={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Show more
          </Button>
        </div>
      ) : null}
    </>
  );
}

const columns: readonly Column<RunSummary>[] = [
  {
    name: "Who",
    cell: ({ subject, principalKind, others }) => (
      <span className="who">
        {isKind(principalKind) ? <KindIcon kind={principalKind} /> : null}
        <strong className="who-name">
          <Text value={subject ?? "unknown"} />
        </strong>
        {others === 0 ? null : (
          <span
            className="faint nowrap"
            title="The name of a run is what callers claim, and anybody can claim it"
          >
            and {plural(others, "other")}
          </span>
        )}
      </span>
    ),
  },
  {
    name: "Run",
    cell: ({ run, kind, agent, model }) => (
      <span className="run-cell">
        <Link to={`/runs/${segmentOf(run)}`} title={visible(run)}>
          <Text value={clip(run, 60)} />
        </Link>
        <span className="faint">
          {[kinds[kind], agent === null ? null : `says it is ${[agent, model].filter(Boolean).join(", ")}`]
            .filter((part) => part !== null)
            .map((part, place) => (
              <span key={part}>
                {place > 0 ? " · " : null}
                <Text value={clip(part, 80)} />
              </span>
            ))}
        </span>
      </span>
    ),
  },
  { name: "Databases", cell: ({ databases }) => <Text value={databases.join(", ") || "none"} /> },
  { name: "Statements", align: "end", cell: ({ statements }) => count(statements) },
  {
    name: "Denied",
    align: "end",
    cell: ({ denied }) => (denied === 0 ? "0" : <Badge tone="deny">{count(denied)}</Badge>),
  },
  { name: "Took", align: "end", cell: ({ first, last }) => duration(at(last) - at(first)) },
  { name: "Last", align: "end", cell: ({ last }) => <RelativeTime iso={last} /> },
];

function isKind(kind: string | null): kind is "agent" | "human" | "service" {
  return kind === "agent" || kind === "human" || kind === "service";
}
