/** One entry of a YAML list, cut out of its file for reading. It decides nothing. */

const most = 60;

/** The list entry that begins on `line` (from 1), without its indentation; null: no entry begins there. */
export function entryAt(text: string, line: number): string | null {
  const lines = text.split(/\r?\n/);
  let at = line - 1;
  // A rule's place is that of its mapping: its dash may stand on the line before.
  if (!isEntry(lines[at]) && isEntry(lines[at - 1])) at -= 1;
  const first = lines[at];
  if (first === undefined || !isEntry(first)) return null;
  const indent = indentOf(first);
  const out = [first];
  for (const next of lines.slice(at + 1, at + most)) {
    if (next.trim() !== "" && indentOf(next) <= indent) break;
    out.push(next);
  }
  while (out.at(-1)?.trim() === "") out.pop();
  return out.map((one) => one.slice(Math.min(indent, indentOf(one)))).join("\n");
}

function isEntry(line: string | undefined): boolean {
  return line !== undefined && /^\s*-(?:\s|$)/.test(line);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
