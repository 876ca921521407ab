/** Access: ask for a group for a while, and see which grants are open. */
import { useQuery } from "@tanstack/react-query";
import { useHasRole } from "../app/me.ts";
import { api } from "../lib/api.ts";
import { useServerEvent } from "../lib/events.ts";
import type { Grant, Page } from "../lib/types.ts";
import { PageFrame } from "../ui/page.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { Grants } from "./grants.tsx";
import { RequestForm } from "./request.tsx";
import { MyRequests } from "./requests.tsx";
import "./access.css";

export default function Access() {
  const all = useHasRole("auditor");
  const grants = useQuery({
    queryKey: ["grants"],
    queryFn: ({ signal }) => api<Page<Grant>>("/api/grants?limit=500", { signal }),
    refetchInterval: 60_000,
  });
  useServerEvent("approval", (approval) => {
    if (approval.kind === "access") void grants.refetch();
  });
  useServerEvent("resumed", () => void grants.refetch());
  return (
    <PageFrame title="Access" lead="A group for a while, agreed to by a person, gone by itself">
      <div className="access">
        <section className="card" aria-labelledby="ask-title">
          <header className="card-head">
            <h2 id="ask-title">Ask for access</h2>
          </header>
          <RequestForm />
        </section>
        <div className="access-lists">
          <MyRequests />
          <section className="card" aria-labelledby="grants-title">
            <header className="card-head">
              <h2 id="grants-title">{all ? "Open grants" : "Your open grants"}</h2>
            </header>
            {grants.isPending ? (
              <Loading label="Loading grants" rows={2} />
            ) : grants.isError ? (
              <Failure error={grants.error} onRetry={() => void grants.refetch()} />
            ) : (
              <Grants grants={grants.data.items} />
            )}
          </section>
        </div>
      </div>
    </PageFrame>
  );
}
