/** Approvals for a terminal. What comes from strangers is made printable; what is only claimed is marked so. */
import type { Approval, EffectPreview } from "../../facts/approval.ts";
import { formatTable, printable } from "../lib/table.ts";
import { inPlace, literalOf } from "./inplace.ts";

/** One line each. */
export function listText(items: readonly Approval[], now: number): string {
  if (items.length === 0) return "none\n";
  return formatTable(
    ["ID", "STATE", "AGE", "WHO", "DATABASE", "WHAT", "WAITS FOR"],
    items.map((one) => [
      one.id,
      one.state,
      age(now - Date.parse(one.created)),
      who(one),
      one.database,
      whatOf(one),
      one.missing.map(({ count, groups }) => `${count} of ${groups.join("|")}`).join(", "),
    ]),
  );
}

export function whatOf({ access, kind, statements }: Approval): string {
  if (access !== null) return `group ${access.group} for ${age(access.seconds * 1000)}`;
  const touched = statements.map(({ command, writes, reads }) =>
    `${command} ${(writes.length > 0 ? writes : reads).join(", ")}`.trim(),
  );
  return `${kind === "review" ? "REVIEW of " : ""}${touched.join("; ")}`;
}

function who({ requester }: Approval): string {
  const through = requester.actor.map(({ subject }) => subject).join(", ");
  return `${requester.kind} ${requester.subject}${through === "" ? "" : ` through ${through}`}`;
}

/** Milliseconds as "12s", "5m", "3h", "2d". */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}

/** Everything that somebody who decides should read. */
export function showText(one: Approval, now: number): string {
  const lines: string[] = [];
  const say = (name: string, value: string | null) => {
    if (value !== null && value !== "") lines.push(`${name.padEnd(12)}${printable(value)}`);
  };
  const left = Date.parse(one.expires) - now;
  say("approval", one.id);
  say("state", one.state + (one.state === "pending" && left > 0 ? `, ${age(left)} left` : ""));
  say("why", one.why);
  say(
    "who",
    `${who(one)}${one.requester.email === null ? "" : ` (${one.requester.email})`}, ${one.requester.provider}`,
  );
  say("from", [one.ip, one.application].filter((word) => word !== null && word !== "").join(", "));
  for (const [name, value] of Object.entries(one.claimed)) if (value !== undefined) say(`${name} *`, value);
  say("database", one.login === "" ? one.database : `${one.database} as ${one.login}`);
  if (typeof one.role === "string") say("role", one.role);
  say("rules", one.rules.join(", "));
  say("message", one.message);
  if (one.access !== null) {
    say("group", `${one.access.group} for ${age(one.access.seconds * 1000)}`);
    say("reason *", one.access.reason);
  }
  if (one.breakGlass !== null) say("BREAK GLASS", `it ran without approval: ${one.breakGlass.reason}`);
  if (one.transaction !== null) {
    say("transaction", `open for ${age(one.transaction.ageMs)}`);
    say("locks", one.transaction.locks.join(", "));
  }
  for (const [index, statement] of one.statements.entries()) {
    lines.push(
      "",
      one.statements.length === 1 ? "statement" : `statement ${index + 1} of ${one.statements.length}`,
    );
    lines.push(...block(inPlace(statement.sql, statement.parameters)));
    for (const text of statement.prepared ?? []) lines.push("  which runs", ...block(text));
    for (const [at, parameter] of statement.parameters.entries())
      lines.push(`  $${at + 1} ${printable(parameter.type)} = ${printable(literalOf(parameter))}`);
    say("  command", statement.command + (statement.unboundedWrite ? ", reaches EVERY ROW" : ""));
    say("  writes", statement.writes.join(", "));
    say("  reads", statement.reads.join(", "));
    say("  functions", statement.functions.join(", "));
    say("  labels", statement.labels.join(", "));
    say("  IN CLEAR", (statement.unmask ?? []).join(", "));
    say("  masked", statement.masked.join(", "));
  }
  const { seen } = one;
  if (seen !== null && seen !== undefined && seen.requests > 1) {
    say("this shape", `asked ${seen.requests} times, ${seen.approved} approved, ${seen.denied} denied`);
    for (const [index, ranges] of seen.parameters.entries())
      for (const [at, { least, most, distinct }] of ranges.entries())
        if (least !== null && most !== null)
          lines.push(
            `  ${seen.parameters.length > 1 ? `statement ${index + 1} ` : ""}$${at + 1} from ${printable(least)} to ${printable(most)} (${distinct} values)`,
          );
  }
  if (one.estimate !== null) say("estimate", `${rowsText(one.estimate.rows)}, cost ${one.estimate.cost}`);
  if (one.limits.affectedRows !== null) say("limit", `at most ${rowsText(one.limits.affectedRows)} changed`);
  for (const { code, text } of one.warnings) say("WARNING", `${text} (${code})`);
  if (one.preview !== null) lines.push("", ...previewLines(one.preview));
  lines.push("");
  for (const vote of one.votes) {
    const scope =
      vote.scope.kind === "once" ? "" : ` for ${vote.scope.uses} uses in ${age(vote.scope.seconds * 1000)}`;
    say(
      vote.verdict === "approve" ? "approved by" : "denied by",
      `${vote.approver.subject}${scope}, ${vote.time}${vote.reason === null ? "" : `: ${vote.reason}`}`,
    );
  }
  for (const { rule, groups, count } of one.missing)
    say("waits for", `${count} of ${groups.join(" or ")} (${rule})`);
  if (one.state === "approved" && one.usesLeft > 0) say("uses left", `${one.usesLeft}, until ${one.expires}`);
  say("page", one.url);
  if (Object.keys(one.claimed).length > 0 || one.access !== null)
    lines.push("", "* claimed by the caller, not verified");
  return `${lines.join("\n")}\n`;
}

function block(sql: string): string[] {
  return sql.split(/\r\n|\r|\n/).map((line) => `  | ${printable(line)}`);
}

/** What it would change. */
export function previewLines(preview: EffectPreview): string[] {
  if (preview.refused !== null) return [`preview     refused: ${printable(preview.refused)}`];
  const lines = [
    `preview     ${preview.rowsAffected === null ? "? rows" : rowsText(preview.rowsAffected)} (run and rolled back ${preview.time})`,
  ];
  for (const note of preview.notes) lines.push(`            ${printable(note)}`);
  const { sample } = preview;
  if (sample === null) return lines;
  const header = sample.columns.map(({ name, masked }) => (masked ? `${name} (masked)` : name));
  const part = (title: string, rows: readonly (readonly (string | null)[])[]) => {
    if (rows.length === 0) return;
    const table = formatTable(
      header,
      rows.map((row) => row.map((cell) => cell ?? "NULL")),
    );
    lines.push(
      title,
      ...table
        .trimEnd()
        .split("\n")
        .map((line) => `  ${line}`),
    );
  };
  part("before", sample.before);
  part("after", sample.after);
  if (sample.truncated) lines.push("  … and more");
  return lines;
}

function rowsText(count: number): string {
  return `${count} row${count === 1 ? "" : "s"}`;
}
