/** The policy: what is active, what it protects, what it would say, and what another one would have said. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Link, useSearch } from "../lib/router.tsx";
import { plural } from "../lib/text.ts";
import { Badge } from "../ui/badge.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { Columns } from "./columns.tsx";
import { Playground } from "./playground.tsx";
import { Replay } from "./replay.tsx";
import { Rules } from "./rules.tsx";
import { Source } from "./source.tsx";
import { loadPolicy, type Policy } from "./types.ts";
import "../trail/trail.css";
import "../trail/detail.css";
import "./policy.css";

const tabs = [
  { name: "", label: "Rules" },
  { name: "columns", label: "Protected columns" },
  { name: "playground", label: "Playground" },
  { name: "replay", label: "Try a change" },
  { name: "source", label: "Source" },
] as const;

export default function PolicyPage() {
  const tab = useSearch().get("tab") ?? "";
  const found = useQuery({
    queryKey: ["policy"],
    queryFn: ({ signal }) => loadPolicy(signal),
    staleTime: 30_000,
  });

  const bar = useRef<HTMLElement>(null);
  // On a phone the row of tabs is longer than the screen.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the tab whose link has moved
  useEffect(() => {
    bar.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);

  return (
    <PageFrame title="Policy" lead={found.data === undefined ? undefined : <Digest policy={found.data} />}>
      <nav ref={bar} className="tabs" aria-label="Parts of the policy">
        {tabs.map((one) => (
          <Link
            key={one.name}
            to={one.name === "" ? "/policy" : `/policy?tab=${one.name}`}
            className="tab"
            aria-current={one.name === tab ? "page" : undefined}
          >
            {one.label}
          </Link>
        ))}
      </nav>
      {found.isPending ? (
        <Loading rows={8} />
      ) : found.isError ? (
        <Failure error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <Part tab={tabs.some(({ name }) => name === tab) ? tab : ""} policy={found.data} />
      )}
    </PageFrame>
  );
}

function Part({ tab, policy }: { readonly tab: string; readonly policy: Policy }) {
  switch (tab) {
    case "columns":
      return <Columns databases={policy.databases} />;
    case "playground":
      return <Playground policy={policy} />;
    case "replay":
      return <Replay key={policy.digest} policy={policy} />;
    case "source":
      return <Source policy={policy} />;
    default:
      return <Rules policy={policy} />;
  }
}

function Digest({ policy }: { readonly policy: Policy }) {
  return (
    <span className="policy-digest">
      <span>
        {plural(policy.rules.length, "rule")} in {plural(policy.files.length, "file")}; what no rule matches
        is {policy.default === "deny" ? "denied" : "allowed"}.
      </span>
      {policy.observe === "none" ? null : (
        <Badge tone="hold">
          {policy.observe === "all"
            ? "only observes: nothing is enforced but masking"
            : "some rules only observe"}
        </Badge>
      )}
      {policy.digest === null ? null : (
        <>
          <code title="Digest of the active policy; every decision on the record names it">
            {policy.digest.slice(0, 23)}…
          </code>
          <CopyButton text={policy.digest} what="digest" />
        </>
      )}
    </span>
  );
}
