/** One statement in the trail's list. */
import { memo } from "react";
import { Link } from "../lib/router.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import type { Row } from "./hits.ts";
import { Sentence } from "./sentence.tsx";
import { type Told, tell } from "./tell.ts";
import { took } from "./took.ts";

/** Where a statement of the list is shown. */
export function hitLink({
  request,
  statementIndex,
  id,
}: Pick<Row, "request" | "statementIndex" | "id">): string {
  const place = encodeURIComponent(request === "" || request === null ? id : request);
  return `/trail/${place}${statementIndex > 0 ? `?part=${statementIndex}` : ""}`;
}

export type Mark = "allow" | "deny" | "hold" | "fail" | "open" | "none";

/** How a statement ended, at a glance. */
export function markOf({ verdict, status, code }: Pick<Told, "verdict" | "status" | "code">): Mark {
  if (verdict === null) return "none";
  if (code === "APPROVAL_REQUIRED") return "hold";
  if (verdict === "deny" || status === "denied") return "deny";
  if (status === null) return verdict === "approve" ? "hold" : "open";
  if (status === "ok") return "allow";
  return status === "error" ? "fail" : "hold";
}

const marks: Readonly<Record<Mark, readonly [IconName, string]>> = {
  allow: ["check", "allowed and done"],
  deny: ["cross", "denied"],
  hold: ["clock", "held, cut off or unseen"],
  fail: ["warning", "failed"],
  open: ["more", "no outcome yet"],
  none: ["info", "no statement"],
};

export function MarkIcon({ mark, size = 14 }: { readonly mark: Mark; readonly size?: number }) {
  const [icon, label] = marks[mark];
  return (
    <span className={`mark ${mark}`} role="img" aria-label={label} title={label}>
      <Icon name={icon} size={size} />
    </span>
  );
}

export const HitRow = memo(function HitRow({
  row,
  current,
}: {
  readonly row: Row;
  readonly current: boolean;
}) {
  const statement = row.verdict !== null;
  const undone = row.undone === null ? null : row.undone.fate === "rolled_back" ? "undone" : "perhaps undone";
  return (
    <Link
      to={hitLink(row)}
      className={`hit${current ? " current" : ""}`}
      aria-current={current ? "true" : undefined}
    >
      <MarkIcon mark={markOf(row)} />
      <span className="hit-told">
        {statement ? <Sentence pieces={tell(row, false)} /> : <Text value={row.sentence} />}
        <span className="hit-sql">
          {undone === null ? null : <span className="badge hold">{undone}</span>}
          {!statement ? null : row.sql === null || row.sql === "" ? (
            <span className="faint">text sealed</span>
          ) : (
            <SqlLine sql={row.sql} />
          )}
        </span>
      </span>
      <span className="hit-side">
        <Time iso={row.time} />
        <span className="hit-where faint">
          <span className="cut">
            <Text value={row.database} />
          </span>
          <span className="tabular nowrap">{row.status === "denied" ? "" : took(row.durationUs)}</span>
        </span>
      </span>
    </Link>
  );
});
