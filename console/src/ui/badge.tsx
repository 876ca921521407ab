/** Small coloured words: what was decided, what became of it, who it was. Never colour alone. */
import type { ReactNode } from "react";
import type { ApprovalState, Kind, OutcomeStatus, SessionState, Verdict } from "../lib/types.ts";
import { Icon, type IconName } from "./icons.tsx";
import { Text } from "./text.tsx";

export type Tone = "neutral" | "allow" | "deny" | "hold" | "mask" | "accent";

interface BadgeProps {
  readonly tone?: Tone;
  readonly icon?: IconName;
  readonly title?: string;
  readonly children: ReactNode;
}

export function Badge({ tone = "neutral", icon, title, children }: BadgeProps) {
  return (
    <span className={`badge ${tone}`} title={title}>
      {icon === undefined ? null : <Icon name={icon} size={12} />}
      {children}
    </span>
  );
}

/** What the policy said of a statement. Verdicts that this console does not know are shown as they are. */
export function VerdictBadge({
  verdict,
  code,
}: {
  readonly verdict: Verdict;
  readonly code?: string | null;
}) {
  const title = code ?? undefined;
  switch (verdict) {
    case "allow":
      return (
        <Badge tone="allow" icon="check" {...(title ? { title } : {})}>
          allowed
        </Badge>
      );
    case "deny":
      return (
        <Badge tone="deny" icon="cross" {...(title ? { title } : {})}>
          denied
        </Badge>
      );
    case "approve":
      return (
        <Badge tone="hold" icon="clock" {...(title ? { title } : {})}>
          held
        </Badge>
      );
    default:
      return (
        <Badge>
          <Text value={String(verdict)} />
        </Badge>
      );
  }
}

const statusTones: Readonly<Record<OutcomeStatus, Tone>> = {
  ok: "neutral",
  error: "deny",
  denied: "deny",
  cancelled: "hold",
  cut: "hold",
  unknown: "hold",
};

/** What became of a statement. */
export function StatusBadge({
  status,
  sqlstate,
}: {
  readonly status: OutcomeStatus;
  readonly sqlstate?: string | null;
}) {
  const told = sqlstate === null || sqlstate === undefined ? status : `${status} ${sqlstate}`;
  return (
    <Badge tone={statusTones[status] ?? "neutral"}>
      <Text value={told} />
    </Badge>
  );
}

const sessionTones: Readonly<Record<SessionState, Tone>> = {
  idle: "neutral",
  active: "accent",
  "in transaction": "mask",
  "waiting for approval": "hold",
};

export function SessionBadge({ state }: { readonly state: SessionState }) {
  return (
    <Badge tone={sessionTones[state] ?? "neutral"}>
      <Text value={state} />
    </Badge>
  );
}

const approvalTones: Readonly<Record<ApprovalState, readonly [Tone, string]>> = {
  pending: ["hold", "waiting"],
  approved: ["allow", "approved"],
  used: ["allow", "approved and run"],
  denied: ["deny", "denied"],
  expired: ["neutral", "expired"],
  gone: ["neutral", "requester gone"],
  revoked: ["deny", "taken back"],
};

export function ApprovalBadge({ state }: { readonly state: ApprovalState }) {
  const [tone, words] = approvalTones[state] ?? ["neutral", state];
  return <Badge tone={tone}>{words}</Badge>;
}

export function MaskedBadge({ columns }: { readonly columns: readonly string[] }) {
  if (columns.length === 0) return null;
  return (
    <Badge tone="mask" icon="masked" title={columns.join(", ")}>
      {columns.length === 1 ? "1 column masked" : `${columns.length} columns masked`}
    </Badge>
  );
}

const kindIcons: Readonly<Record<Kind, IconName>> = { human: "person", agent: "agent", service: "service" };

export function KindIcon({ kind }: { readonly kind: Kind }) {
  return (
    <span className={`kind ${kind}`} role="img" aria-label={kind} title={kind}>
      <Icon name={kindIcons[kind] ?? "agent"} size={16} />
    </span>
  );
}
