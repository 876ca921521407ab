/** A verification's outcome in words. */
import type { VerifyReport } from "./report.ts";

/** Text of a record on a terminal: control characters could move the cursor or recolour what is shown. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?");
}

/** Lines for a person; `dir` names the log where its name is not known. */
export function describeReport(dir: string, r: VerifyReport): string {
  const lines: string[] = [];
  const what = `${r.size} records under ${r.checkpoints} checkpoints, ${r.sealedFrames} sealed frames, ${r.segments} segments`;
  lines.push(`${r.ok ? "OK  " : "BAD "} ${plain(r.origin ?? dir)}: ${what}`);
  if (r.firstBadPlace !== null) {
    const { file, offset, leaf, problem, torn } = r.firstBadPlace;
    const where =
      file === "" ? "" : `${plain(file)}, byte ${offset}${leaf === null ? "" : `, record ${leaf}`}: `;
    lines.push(`     first bad place: ${where}${plain(problem)}`);
    if (torn)
      lines.push("     A crash can leave this behind; opening the log repairs it and says so in the log.");
  }
  if (r.root !== null) lines.push(`     root ${r.root}, signed ${r.time ?? "?"}`);
  if (r.continues === true) lines.push("     continues the checkpoint given");
  if (r.anchors !== null) {
    const { checked, newest, givenUp } = r.anchors;
    const latest = newest === null ? "" : `, the newest of ${newest.size} records, signed ${newest.time}`;
    lines.push(`     continues ${checked} checkpoints of its anchors${latest}`);
    if (newest !== null && r.leaves > newest.size)
      lines.push(`     ${r.leaves - newest.size} records came after it and are not anchored`);
    if (givenUp > 0) lines.push(`     ${givenUp} checkpoints of its anchors were given up by a fork`);
  }
  for (const { index, time, reason, size, largest } of r.forks)
    lines.push(
      `     FORK at record ${index}, ${time}: the log went on from ${size} records, ${Math.max(0, largest - size)} of ${largest} that had been anchored were given up. Reason: ${plain(reason)}`,
    );
  if (r.pruned !== null) lines.push(`     its first ${r.pruned} records were pruned, which is on the record`);
  if (r.keys.length > 1)
    lines.push(
      `     signed with ${r.keys.length} keys one after the other, each certified by the one before`,
    );
  if (r.unsignedTail !== null)
    lines.push(
      `     ${r.unsignedTail.leaves} records (${r.unsignedTail.bytes} bytes) behind the last checkpoint are not signed yet`,
    );
  if (r.key !== null)
    lines.push(
      `     key ${plain(r.key)}${r.keyFrom === "folder" ? " (from the log's own folder: compare it)" : ""}`,
    );
  return `${lines.join("\n")}\n`;
}
