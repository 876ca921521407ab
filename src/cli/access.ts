/** `postern access …`: a group for a while, after approval. */

import { revoke as revokeApproval, tell } from "./approvals/decide.ts";
import { approvalOf, pageOf } from "./approvals/decode.ts";
import { age } from "./approvals/text.ts";
import { chooseVerb, readArgs, UsageError } from "./lib/args.ts";
import { parseSpan } from "./lib/moment.ts";
import { isObject, openRest, reporting, restOptions, restUsage } from "./lib/rest.ts";
import { formatTable } from "./lib/table.ts";

const usage = `Usage: postern access VERB [options]

  request DB   ask for a group on a database, for a while
  list         who has which group now
  revoke ID    take a grant back, at once

postern access VERB --help says more.
`;

const requestUsage = `Usage: postern access request DATABASE --group GROUP --for TIME --reason TEXT [--json]

Asks for a group for a while. What can be asked for: approvals.access in the gateway's postern.yaml. It begins when it is approved, in
open sessions too, and ends by itself.

      --group G    the group
      --for TIME   how long: 30m, 2h
      --reason T   what for
      --json       the request as one JSON object
${restUsage}`;

const listUsage = `Usage: postern access list [--json]

      --json       one grant a line
${restUsage}`;

/** Runs a verb. Gives 0 done, 1 refused, 3 not reached. Throws UsageError, ConfigError. */
export async function access(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const verb = chooseVerb(name, { request, list, revoke: revokeApproval }, usage);
  return verb === null ? 0 : verb(rest);
}

async function request(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...restOptions,
    group: word,
    for: word,
    reason: word,
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, requestUsage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values, positionals } = parsed;
  const { group, reason } = values;
  const seconds = parseSpan(values.for ?? "");
  if (group === undefined || reason === undefined)
    throw new UsageError("--group and --reason are needed", requestUsage);
  if (seconds === null) throw new UsageError("--for is a time such as 30m or 2h", requestUsage);
  const rest = await openRest(values, requestUsage);
  return reporting("access request", async () => {
    const answer = await rest.post("/api/access", { database: positionals[0], group, seconds, reason });
    const { url } = approvalOf(answer);
    const code = tell(answer, values.json === true);
    if (values.json !== true && url !== null) process.stdout.write(`${url}\n`);
    return code;
  });
}

async function list(args: string[]): Promise<number> {
  const parsed = readArgs(args, listUsage, { ...restOptions, json: { type: "boolean" } } as const);
  if (parsed === null) return 0;
  const { values } = parsed;
  const rest = await openRest(values, listUsage);
  return reporting("access list", async () => {
    const grants: unknown[] = [];
    let after: string | undefined;
    do {
      const page = pageOf(await rest.get("/api/grants", { limit: "100", after }));
      grants.push(...page.items);
      after = page.next ?? undefined;
    } while (after !== undefined);
    if (values.json === true) {
      for (const one of grants) process.stdout.write(`${JSON.stringify(one)}\n`);
      return 0;
    }
    const text = (value: unknown) => (typeof value === "string" ? value : "");
    const rows = grants
      .filter(isObject)
      .map((one) => [
        text(one.id),
        isObject(one.principal) ? text(one.principal.subject) : "",
        text(one.group),
        text(one.database),
        age(Date.parse(text(one.until)) - Date.now()),
        text(one.reason),
      ]);
    process.stdout.write(
      rows.length === 0 ? "none\n" : formatTable(["ID", "WHO", "GROUP", "DATABASE", "LEFT", "REASON"], rows),
    );
    return 0;
  });
}
