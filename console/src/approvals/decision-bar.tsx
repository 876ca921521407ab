/** The buttons, always in reach: at the bottom of the approval, on a phone above the navigation. */

import { useState } from "react";
import { plural } from "../lib/text.ts";
import type { Approval } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { mayDecide } from "./pending.ts";
import { TakeBack } from "./take-back.tsx";
import { stillMissing } from "./words.ts";

interface DecisionBarProps {
  readonly approval: Approval;
  onDecide(verdict: "approve" | "deny"): void;
}

export function DecisionBar({ approval, onDecide }: DecisionBarProps) {
  const [revoking, setRevoking] = useState(false);
  if (approval.state === "approved" && (approval.kind === "access" || approval.scope.kind === "shape"))
    return (
      <footer className="decision-bar">
        <span className="faint">
          {approval.kind === "access" ? "This access is open." : `${plural(approval.usesLeft, "use")} left.`}
        </span>
        <Button look="danger" icon="cross" onClick={() => setRevoking(true)}>
          Take it back
        </Button>
        {revoking ? <TakeBack id={approval.id} onClose={() => setRevoking(false)} /> : null}
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
      {approval.can.deny ? (
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
      ) : null}
      {approval.can.approve ? (
        <Button large look="allow" icon="check" hint="a" onClick={() => onDecide("approve")}>
          {review ? "Accept" : "Approve"}
        </Button>
      ) : null}
    </footer>
  );
}
