/** Who is stopped at the moment, with the way back. Shown to auditors; admins may lift it. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useHasRole } from "../app/me.ts";
import { api } from "../lib/api.ts";
import { plural } from "../lib/text.ts";
import type { Page, Revocation } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { Table } from "../ui/table.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import { toast } from "../ui/toast.tsx";

export function Revocations() {
  const admin = useHasRole("admin");
  const auditor = useHasRole("auditor");
  const [open, setOpen] = useState(false);
  const queries = useQueryClient();
  const list = useQuery({
    queryKey: ["revocations"],
    queryFn: ({ signal }) => api<Page<Revocation>>("/api/revocations", { signal }),
    enabled: auditor,
    refetchInterval: 30_000,
  });
  const lift = useMutation({
    mutationFn: (id: string) =>
      api<undefined>(`/api/revocations/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSuccess: () => {
      toast("good", "The stop is lifted.");
      void queries.invalidateQueries({ queryKey: ["revocations"] });
    },
  });
  const items = list.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <div className="note deny stopped">
      <Icon name="octagon" />
      <div>
        <strong>{plural(items.length, "caller is", "callers are")} stopped:</strong>{" "}
        <Text value={items.slice(0, 3).map(nameOf).join(", ") + (items.length > 3 ? " …" : "")} />
      </div>
      <Button look="quiet" onClick={() => setOpen(true)}>
        Show
      </Button>
      {open ? (
        <Dialog title="Stopped callers" wide onClose={() => setOpen(false)}>
          <Table
            caption="Stopped callers"
            rows={items}
            keyOf={(item) => item.id}
            columns={[
              { name: "Who", cell: (item) => <Text value={nameOf(item)} /> },
              { name: "Reason", cell: (item) => <Text value={item.reason} /> },
              { name: "By", cell: (item) => <Text value={item.by} /> },
              { name: "Since", cell: (item) => <RelativeTime iso={item.time} /> },
              {
                name: "Action",
                align: "end",
                cell: (item) =>
                  !admin ? null : (
                    <Button
                      busy={lift.isPending && lift.variables === item.id}
                      onClick={() => lift.mutate(item.id)}
                    >
                      Lift
                    </Button>
                  ),
              },
            ]}
          />
        </Dialog>
      ) : null}
    </div>
  );
}

function nameOf(item: Revocation): string {
  if (item.everything) return "everybody";
  return item.agent ?? item.subject ?? item.jti ?? item.id;
}
