/** Grants that are open now; each can be taken back at once. */
import { useState } from "react";
import { TakeBack } from "../approvals/take-back.tsx";
import { Link } from "../lib/router.tsx";
import type { Grant } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Empty } from "../ui/states.tsx";
import { Table } from "../ui/table.tsx";
import { Text } from "../ui/text.tsx";
import { Countdown } from "../ui/time.tsx";
import { WhoName } from "../ui/who.tsx";

export function Grants({ grants }: { readonly grants: readonly Grant[] }) {
  const [revoking, setRevoking] = useState<string | null>(null);
  if (grants.length === 0)
    return (
      <Empty icon="access" title="No grant is open">
        <p>When a request is agreed to, it stands here until its time is over.</p>
      </Empty>
    );
  return (
    <>
      <Table
        caption="Open grants"
        rows={grants}
        keyOf={(grant) => grant.id}
        columns={[
          {
            name: "Who",
            cell: (grant) => <WhoName who={grant.principal} />,
          },
          { name: "Group", cell: (grant) => <Text value={grant.group} /> },
          { name: "Database", cell: (grant) => <Text value={grant.database} /> },
          { name: "Time", cell: (grant) => <Countdown iso={grant.until} /> },
          {
            name: "Request",
            cell: (grant) => <Link to={`/approvals/${encodeURIComponent(grant.id)}`}>show</Link>,
          },
          {
            name: "Action",
            align: "end",
            cell: (grant) => <Button onClick={() => setRevoking(grant.id)}>Take back</Button>,
          },
        ]}
      />
      {revoking === null ? null : <TakeBack id={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}
