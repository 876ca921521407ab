/** `postern approvals list`. */
import { readArgs, UsageError } from "../lib/args.ts";
import { openRest, reporting, restOptions, restUsage } from "../lib/rest.ts";
import { approvalOf, pageOf } from "./decode.ts";
import { listText } from "./text.ts";

const usage = `Usage: postern approvals list [--state pending|decided] [--kind statement|access|review] [-n N] [--json]

What you asked for and what you may decide; with the role of an auditor, all.

      --state S    pending (default, oldest first) or decided (newest first)
      --kind K     only statements, requests for access, or reviews of break-glass uses
  -n N             at most so many (default 50)
      --json       one approval a line
${restUsage}`;

const pageSize = 100;

export async function list(args: string[]): Promise<number> {
  const options = {
    ...restOptions,
    state: { type: "string", default: "pending" },
    kind: { type: "string" },
    n: { type: "string", short: "n", default: "50" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const most = Number(values.n);
  if (!Number.isSafeInteger(most) || most < 1) throw new UsageError("-n is not a number above 0", usage);
  if (!["pending", "decided"].includes(values.state))
    throw new UsageError("--state is pending or decided", usage);
  if (values.kind !== undefined && !["statement", "access", "review"].includes(values.kind))
    throw new UsageError("--kind is statement, access or review", usage);
  const rest = await openRest(values, usage);
  return reporting("approvals list", async () => {
    const found: unknown[] = [];
    let after: string | undefined;
    do {
      const page = pageOf(
        await rest.get("/api/approvals", {
          state: values.state,
          kind: values.kind,
          limit: String(Math.min(pageSize, most - found.length)),
          after,
        }),
      );
      found.push(...page.items);
      after = page.next ?? undefined;
    } while (after !== undefined && found.length < most);
    if (values.json === true) for (const one of found) process.stdout.write(`${JSON.stringify(one)}\n`);
    else process.stdout.write(listText(found.map(approvalOf), Date.now()));
    return 0;
  });
}
