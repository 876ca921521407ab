/** Approvals: the inbox beside what is chosen in it; on a phone one after the other. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import type { PageProps } from "../app/pages.tsx";
import { api } from "../lib/api.ts";
import { useKeys } from "../lib/keys.ts";
import { useMedia } from "../lib/media.ts";
import { Link, navigate, useSearchParam } from "../lib/router.tsx";
import { at } from "../lib/time.ts";
import type { Approval, Page } from "../lib/types.ts";
import { Choice } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Detail } from "./detail.tsx";
import { InboxList } from "./list.tsx";
import { usePending } from "./pending.ts";
import "./approvals.css";

export default function Approvals({ params }: PageProps) {
  const wide = useMedia("(min-width: 1021px)");
  const [wanted, setState] = useSearchParam("state");
  const state = wanted === "decided" ? "decided" : "pending";
  const suffix = state === "decided" ? "?state=decided" : "";
  const pending = usePending();
  const decided = useQuery({
    queryKey: ["approvals", "decided"],
    queryFn: ({ signal }) => api<Page<Approval>>("/api/approvals?state=decided&limit=100", { signal }),
    enabled: state === "decided",
  });
  const list = state === "pending" ? pending : decided;
  const items = state === "pending" ? urgentFirst(pending.data?.items ?? []) : (decided.data?.items ?? []);
  const chosen = params.id ?? null;
  const first = items[0]?.id ?? null;
  const current = chosen ?? (wide ? first : null);
  // What is shown beside the list is fixed by the address: when the list changes, a key press never meets another one.
  useEffect(() => {
    if (wide && chosen === null && first !== null)
      navigate(`/approvals/${encodeURIComponent(first)}${suffix}`, { replace: true });
  }, [wide, chosen, first, suffix]);

  const move = (step: number) => {
    const here = items.findIndex((item) => item.id === current);
    const next = items[here < 0 ? 0 : Math.min(items.length - 1, Math.max(0, here + step))];
    if (next === undefined) return;
    if (wide || chosen !== null)
      navigate(`/approvals/${encodeURIComponent(next.id)}${suffix}`, { replace: true });
    else focusRow(next.id);
  };
  useKeys({
    j: () => (wide || chosen !== null ? move(1) : stepFocus(1)),
    k: () => (wide || chosen !== null ? move(-1) : stepFocus(-1)),
    Enter: () => {
      if (wide) document.getElementById("approval-title")?.focus();
      else if (items[0] !== undefined) navigate(`/approvals/${encodeURIComponent(items[0].id)}${suffix}`);
    },
  });
  useEffect(() => {
    if (current !== null && wide)
      document
        .querySelector(`[data-approval="${CSS.escape(current)}"]`)
        ?.scrollIntoView({ block: "nearest" });
  }, [current, wide]);

  if (!wide && chosen !== null)
    return (
      <PageFrame
        title="Approval"
        actions={
          <Link to={`/approvals${suffix}`} className="button quiet back">
            <Icon name="back" size={16} />
            <span>All approvals</span>
          </Link>
        }
      >
        <Detail key={chosen} id={chosen} />
      </PageFrame>
    );
  return (
    <PageFrame
      title="Approvals"
      fixed={wide}
      lead="What waits for a person"
      actions={
        <Choice<"pending" | "decided">
          label="Which approvals"
          value={state}
          onChange={(next) => {
            if (chosen !== null) navigate(`/approvals${next === "decided" ? "?state=decided" : ""}`);
            else setState(next === "decided" ? next : "");
          }}
          options={[
            {
              value: "pending",
              label: `Waiting ${pending.data === undefined ? "" : pending.data.items.length}`,
            },
            { value: "decided", label: "Decided" },
          ]}
        />
      }
    >
      {list.isPending ? (
        <Loading label="Loading approvals" />
      ) : list.isError ? (
        <Failure error={list.error} onRetry={() => void list.refetch()} />
      ) : items.length === 0 && chosen === null ? (
        <Empty icon="approvals" title={state === "pending" ? "Nothing waits" : "Nothing was decided yet"}>
          {state === "pending" ? (
            <p>
              A statement that a rule wants a person for appears here at once. Keep the tab open: its title
              counts what waits, and notifications can be turned on in the account menu.
            </p>
          ) : (
            <p>Decisions of the last days will be listed here; the trail has all of them.</p>
          )}
        </Empty>
      ) : (
        <div className="inbox">
          <nav className="card inbox-side" aria-label="Approvals">
            {items.length === 0 ? (
              <Empty
                icon="approvals"
                title={state === "pending" ? "Nothing else waits" : "Nothing was decided yet"}
              />
            ) : (
              <InboxList items={items} current={current} suffix={suffix} />
            )}
          </nav>
          {wide && current !== null ? <Detail key={current} id={current} /> : null}
        </div>
      )}
    </PageFrame>
  );
}

function urgentFirst(items: readonly Approval[]): readonly Approval[] {
  return items.toSorted((one, other) => at(one.expires) - at(other.expires));
}

function focusRow(id: string): void {
  document.querySelector<HTMLElement>(`[data-approval="${CSS.escape(id)}"]`)?.focus();
}

/** Without a chosen one the focus itself walks through the list. */
function stepFocus(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-approval]")];
  const focused = document.activeElement;
  const here = focused instanceof HTMLElement ? rows.indexOf(focused) : -1;
  rows[Math.min(rows.length - 1, Math.max(0, here + step))]?.focus();
}
