/** Live: who is connected, what they say, as it happens. */
import { useDeferredValue, useMemo, useState } from "react";
import { useHasRole, useMe } from "../app/me.ts";
import { useKeys } from "../lib/keys.ts";
import { useSearchParam } from "../lib/router.tsx";
import type { Session, Verdict } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/form.tsx";
import { PageFrame } from "../ui/page.tsx";
import { useFeed } from "./feed.ts";
import { type Filter, matches } from "./filter.ts";
import { EndSession, KillSwitch, type Target } from "./kill.tsx";
import { Revocations } from "./revocations.tsx";
import { SessionList } from "./session-list.tsx";
import { useSessions } from "./sessions.ts";
import { StatementList } from "./statement-list.tsx";
import "./live.css";

const verdicts: readonly { readonly value: Verdict | ""; readonly label: string }[] = [
  { value: "", label: "All" },
  { value: "allow", label: "Allowed" },
  { value: "deny", label: "Denied" },
  { value: "approve", label: "Held" },
];

export default function Live() {
  const me = useMe();
  const auditor = useHasRole("auditor");
  const [principal, setPrincipal] = useSearchParam("principal");
  const [agent, setAgent] = useSearchParam("agent");
  const [database, setDatabase] = useSearchParam("database");
  const [wanted, setVerdict] = useSearchParam("verdict");
  const verdict = verdicts.find((option) => option.value === wanted)?.value ?? "";
  const [part, setPart] = useState<"statements" | "sessions">("statements");
  const [filtering, setFiltering] = useState(false);
  const [ending, setEnding] = useState<Session | null>(null);
  const [stopping, setStopping] = useState<Target | null>(null);
  const { feed, pause } = useFeed();
  const sessions = useSessions();
  const filter: Filter = useDeferredValue(
    useMemo(() => ({ principal, agent, database, verdict }), [principal, agent, database, verdict]),
  );
  const statements = useMemo(
    () =>
      feed.shown.filter(
        (said) =>
          matches(filter, said.statement) &&
          (filter.verdict === "" || said.statement.verdict === filter.verdict),
      ),
    [feed.shown, filter],
  );
  const open = useMemo(
    () => (sessions.data?.items ?? []).filter((session) => matches(filter, session)),
    [sessions.data, filter],
  );
  const toggle = () => pause(!feed.paused);
  useKeys({ " ": toggle, "/": () => document.getElementById("live-principal")?.focus() });
  const filters = [principal, agent, database, verdict].filter((each) => each !== "").length;
  const filtered = filters > 0;
  return (
    <PageFrame
      title="Live"
      fixed
      lead={
        auditor ? "Sessions and statements as they happen" : "Your own sessions and statements as they happen"
      }
      actions={
        <>
          <Button
            icon="search"
            className="filter-toggle"
            aria-expanded={filtering}
            onClick={() => setFiltering(!filtering)}
          >
            {filters === 0 ? "Filter" : `Filter (${filters})`}
          </Button>
          <Button icon={feed.paused ? "play" : "pause"} aria-pressed={feed.paused} onClick={toggle}>
            {feed.paused ? (feed.waiting.length > 0 ? `Go on (${feed.waiting.length})` : "Go on") : "Pause"}
          </Button>
        </>
      }
    >
      <search className="filters" data-open={filtering}>
        <input
          id="live-principal"
          className="input"
          type="search"
          aria-label="Principal"
          placeholder="Principal"
          value={principal}
          onChange={(event) => setPrincipal(event.target.value)}
        />
        <input
          className="input"
          type="search"
          aria-label="Agent"
          placeholder="Agent"
          value={agent}
          onChange={(event) => setAgent(event.target.value)}
        />
        <select
          className="input"
          aria-label="Database"
          value={database}
          onChange={(event) => setDatabase(event.target.value)}
        >
          <option value="">All databases</option>
          {me.databases.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <Choice label="Verdict" value={verdict} options={verdicts} onChange={setVerdict} />
      </search>
      <Revocations />
      <div className="live-parts">
        <Choice<"statements" | "sessions">
          label="What is shown"
          value={part}
          onChange={setPart}
          options={[
            { value: "statements", label: "Statements" },
            { value: "sessions", label: `Sessions ${sessions.data === undefined ? "" : open.length}` },
          ]}
        />
      </div>
      <div className="live-columns" data-part={part}>
        <StatementList statements={statements} filtered={filtered && feed.shown.length > 0} />
        <SessionList
          sessions={open}
          pending={sessions.isPending}
          error={sessions.error}
          filtered={filtered && (sessions.data?.items.length ?? 0) > 0}
          onRetry={() => void sessions.refetch()}
          onEnd={setEnding}
          onStop={setStopping}
        />
      </div>
      {ending === null ? null : <EndSession session={ending} onClose={() => setEnding(null)} />}
      {stopping === null ? null : (
        <KillSwitch
          target={stopping}
          sessions={sessions.data?.items ?? []}
          onClose={() => setStopping(null)}
        />
      )}
    </PageFrame>
  );
}
