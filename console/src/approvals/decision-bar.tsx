/** The buttons, always in reach: at the bottom of the approval, on a phone above the navigation. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../lib/api.ts";
import type { Approval } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { toast } from "../ui/toast.tsx";
import { mayDecide } from "./pending.ts";
import { stillMissing } from "./words.ts";

interface DecisionBarProps {
  readonly approval: Approval;
  onDecide(verdict: "approve" | "deny"): void;
}

export function DecisionBar({ approval, onDecide }: DecisionBarProps) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () =>
      api<Approval>(`/api/approvals/${encodeURIComponent(approval.id)}/revoke`, { method: "POST", body: {} }),
    onSuccess: () => {
      toast("good", "Taken back.");
      void queries.invalidateQueries({ queryKey: ["approvals"] });
    },
  });
  if (approval.state === "approved" && (approval.kind === "access" || approval.scope.kind === "shape"))
    return (
      <footer className="decision-bar">
        <span className="faint">
          {approval.kind === "access" ? "This access is open." : `${approval.usesLeft} uses left.`}
        </span>
        <Button look="danger" icon="cross" busy={revoke.isPending} onClick={() => revoke.mutate()}>
          Take it back
        </Button>
      </footer>
    );
  if (approval.state !== "pending") return null;
  if (!mayDecide(approval))
    return (
      <footer className="decision-bar">
        <span className="decision-why">
          <Icon name="lock" size={16} />
          <Text value={approval.can.why ?? "This is not yours to decide."} />
        </span>
      </footer>
    );
  const review = approval.kind === "review";
  return (
    <footer className="decision-bar">
      <span className="decision-needs">
        <Text value={stillMissing(approval).join(", and ")} />
      </span>
      <Button
        large
        look="plain"
        className="deny-button"
        icon="cross"
        hint="d"
        onClick={() => onDecide("deny")}
      >
        {review ? "Object" : "Deny"}
      </Button>
      <Button large look="allow" icon="check" hint="a" onClick={() => onDecide("approve")}>
        {review ? "Accept" : "Approve"}
      </Button>
    </footer>
  );
}
