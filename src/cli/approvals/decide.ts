/** `postern approvals approve | deny | revoke`. */
import { createInterface } from "node:readline/promises";
import type { Approval, ApprovalScope } from "../../facts/approval.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { parseSpan } from "../lib/moment.ts";
import { openRest, reporting, restOptions, restUsage } from "../lib/rest.ts";
import { approvalOf } from "./decode.ts";
import { askPreview, pathOf } from "./show.ts";
import { withStepUp } from "./step-up.ts";
import { age, showText } from "./text.ts";

const approveUsage = `Usage: postern approvals approve ID [--reason TEXT] [--uses N --for TIME] [--preview] [-y]

Agrees. On a terminal it is shown first, and you are asked; when your login is not of the last minutes, you log in there
once more, for this one decision. Agents never approve.

      --reason T   why, for the record
      --uses N     for statements of this shape: so many runs
      --for TIME   and so long: 15m, 2h
      --preview    show first what it would change
  -y, --yes        do not ask
      --json       the approval as one JSON object
${restUsage}`;

const denyUsage = `Usage: postern approvals deny ID --reason TEXT [--json]

Refuses: it will never run.

      --reason T   why, for the requester and the record
      --json       the approval as one JSON object
${restUsage}`;

const revokeUsage = `Usage: postern approvals revoke ID --reason TEXT [--json]

Takes back an approval that has not been used, one for a shape, or a grant of access.

      --reason T   why, for the record
      --json       the approval as one JSON object
${restUsage}`;

const reason = { reason: { type: "string" }, json: { type: "boolean" } } as const;

export async function approve(args: string[]): Promise<number> {
  const options = {
    ...restOptions,
    ...reason,
    uses: { type: "string" },
    for: { type: "string" },
    preview: { type: "boolean" },
    yes: { type: "boolean", short: "y" },
  } as const;
  const parsed = readArgs(args, approveUsage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  const scope = scopeOf(values.uses, values.for);
  const rest = await openRest(values, approveUsage);
  return reporting("approvals approve", async () => {
    const path = pathOf(positionals[0] ?? "");
    const asks = values.yes !== true && process.stdin.isTTY === true && process.stdout.isTTY === true;
    if (values.preview === true) process.stderr.write(await askPreview(rest, path));
    if (asks) {
      process.stdout.write(showText(approvalOf(await rest.get(path)), Date.now()));
      if (!(await confirmed("Approve? [y/N] "))) return 1;
    }
    const answer = await withStepUp(rest, (as) =>
      as.post(`${path}/approve`, { reason: values.reason ?? null, scope }),
    );
    return tell(answer, values.json === true);
  });
}

function scopeOf(uses: string | undefined, span: string | undefined): ApprovalScope {
  if (uses === undefined && span === undefined) return { kind: "once" };
  const seconds = parseSpan(span ?? "");
  if (uses === undefined || !/^[1-9]\d{0,5}$/.test(uses) || seconds === null)
    throw new UsageError("for a shape: --uses N and --for TIME, such as --uses 20 --for 2h", approveUsage);
  return { kind: "shape", uses: Number(uses), seconds };
}

async function confirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim());
  } finally {
    lines.close();
  }
}

export function deny(args: string[]): Promise<number> {
  return withReason("deny", args, denyUsage);
}

export function revoke(args: string[]): Promise<number> {
  return withReason("revoke", args, revokeUsage);
}

async function withReason(verb: "deny" | "revoke", args: string[], usage: string): Promise<number> {
  const parsed = readArgs(args, usage, { ...restOptions, ...reason }, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  if (values.reason === undefined) throw new UsageError("--reason is missing", usage);
  const rest = await openRest(values, usage);
  return reporting(`approvals ${verb}`, async () => {
    const answer = await withStepUp(rest, (as) =>
      as.post(`${pathOf(positionals[0] ?? "")}/${verb}`, { reason: values.reason }),
    );
    return tell(answer, values.json === true);
  });
}

export function tell(answer: unknown, json: boolean): number {
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : `${resultOf(approvalOf(answer))}\n`);
  return 0;
}

function resultOf({ id, state, missing, usesLeft, scope, access, expires }: Approval): string {
  switch (state) {
    case "pending":
      return missing.length === 0
        ? `${id} waits for a decision`
        : `${id} waits for ${missing.map(({ count, groups }) => `${count} more of ${groups.join(" or ")}`).join(", ")}`;
    case "approved":
      if (access !== null) return `${id}: group ${access.group} until ${expires}`;
      return scope.kind === "once"
        ? `${id} is approved`
        : `${id} is approved for ${usesLeft} uses in ${age(scope.seconds * 1000)}`;
    default:
      return `${id} is ${state}`;
  }
}
