/** Approvals in words. */
import { oneLine, plural, visible } from "../lib/text.ts";
import { span } from "../lib/time.ts";
import type { Approval } from "../lib/types.ts";

/** What is wanted, in a line: "UPDATE on shop", "group oncall on shop for 1 hour". */
export function wish(approval: Approval): string {
  const database = visible(approval.database);
  if (approval.access !== null)
    return `group ${visible(approval.access.group)} on ${database} for ${span(approval.access.seconds)}`;
  const first = approval.statements[0];
  const more = approval.statements.length - 1;
  const command = visible(oneLine(first?.command ?? "statement", 40));
  const what = more > 0 ? `${command} and ${plural(more, "more statement")}` : command;
  return approval.kind === "review"
    ? `${what} on ${database}, run without waiting`
    : `${what} on ${database}`;
}

/** Who must still agree: "1 more of data-stewards or dpo". */
export function stillMissing(approval: Approval): readonly string[] {
  return approval.missing.map(({ groups, count }) => `${count} more of ${visible(groups.join(" or "))}`);
}
