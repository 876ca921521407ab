/** `postern approvals show`. */
import { readArgs } from "../lib/args.ts";
import { openRest, type Rest, reporting, restOptions, restUsage } from "../lib/rest.ts";
import { approvalOf, previewOf } from "./decode.ts";
import { previewLines, showText } from "./text.ts";

const usage = `Usage: postern approvals show ID [--preview] [--json]

Who asks for what, with the parameters in place, what it touches, and what to look out for.

      --preview    run it in a transaction that is rolled back, and show what it would change
      --json       the approval as one JSON object
${restUsage}`;

export async function show(args: string[]): Promise<number> {
  const options = { ...restOptions, preview: { type: "boolean" }, json: { type: "boolean" } } as const;
  const parsed = readArgs(args, usage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  const rest = await openRest(values, usage);
  return reporting("approvals show", async () => {
    const path = pathOf(positionals[0] ?? "");
    if (values.preview === true) await askPreview(rest, path);
    const answer = await rest.get(path);
    process.stdout.write(
      values.json === true ? `${JSON.stringify(answer)}\n` : showText(approvalOf(answer), Date.now()),
    );
    return 0;
  });
}

export function pathOf(id: string): string {
  return `/api/approvals/${encodeURIComponent(id)}`;
}

/** Has the gateway run it and roll it back. */
export async function askPreview(rest: Rest, path: string): Promise<string> {
  return `${previewLines(previewOf(await rest.post(`${path}/preview`, {}))).join("\n")}\n`;
}
