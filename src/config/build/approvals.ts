/** `approvals:` → who may be asked for what, and who is told. */
import type { ApprovalSettings, WebhookSettings } from "../../approvals/settings.ts";
import type { SecretSource } from "../../facts/secret.ts";
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import { approvals as approvalsSchema } from "../schema/approvals.ts";
import { secretSource } from "../secrets.ts";
import { webhookUrl } from "./audit.ts";
import { type Context, take } from "./context.ts";
import { checkGroups } from "./groups.ts";
import { checkSecret } from "./secret.ts";

/** `providers` and `databases`: the names of those that are configured. */
export function buildApprovals(context: Context, providers: readonly string[]): ApprovalSettings | null {
  const input = take(context, ["approvals"], approvalsSchema);
  if (input === null) return null;
  const names = databaseNames(context);
  const access = input.access.map((offer, index) => {
    const path: Path = ["approvals", "access", index];
    checkGroups(context, [...path, "groups"], offer.groups, providers);
    checkGroups(context, [...path, "approvers", "groups"], offer.approvers.groups, providers);
    if (offer.requesters !== undefined)
      checkGroups(context, [...path, "requesters"], offer.requesters, providers);
    for (const [at, name] of offer.databases.entries())
      if (name !== "*" && !names.includes(name))
        context.problem(
          [...path, "databases", at],
          "is no database of this file",
          'a name of databases, or "*"',
        );
    const { groups, count, within } = offer.approvers;
    return {
      groups: offer.groups,
      databases: offer.databases,
      approvers: { groups, count, withinMs: within * 1000 },
      maxSeconds: offer.max,
      requesters: offer.requesters ?? null,
    };
  });
  const webhooks = input.webhooks.map((webhook, index): WebhookSettings => {
    const path: Path = ["approvals", "webhooks", index];
    const key =
      webhook.secret === undefined ? null : secretSource(webhook.secret, context.folder, context.env);
    if (key !== null) checkSecret(context, [...path, "secret"], key);
    else
      context.warning(
        [...path, "url"],
        "has no secret: whoever receives these messages cannot tell that they are Postern's",
        "",
      );
    return {
      name: `${webhook.shape}-${index + 1}`,
      url: urlOf(context, webhook.url, [...path, "url"]),
      secret: key,
      shape: webhook.shape,
      events: webhook.events,
    };
  });
  return {
    stepUpMs: input.step_up * 1000,
    maxPendingPerPrincipal: input.max_pending_per_principal,
    requestsPerMinute: input.requests_per_minute,
    denials: input.denials,
    denialWindowMs: input.denial_window * 1000,
    shape: { maxUses: input.shape.max_uses, maxSeconds: input.shape.max_time },
    keepMs: input.keep * 1000,
    access,
    webhooks,
  };
}

function urlOf(
  context: Context,
  given: string | Parameters<typeof secretSource>[0],
  path: Path,
): SecretSource {
  const expected = "an https URL without user and password (http only to loopback)";
  if (typeof given !== "string") {
    const source = secretSource(given, context.folder, context.env);
    checkSecret(context, path, source, (text) => {
      if (webhookUrl(text) === null) context.problem(path, "does not give such a URL", expected);
    });
    return source;
  }
  const url = webhookUrl(given);
  if (url === null) context.problem(path, "is not such a URL", expected);
  return { label: "postern.yaml", read: async () => url ?? "" };
}

function databaseNames(context: Context): string[] {
  const databases = valueAt(context.raw, ["databases"]);
  return (Array.isArray(databases) ? databases : []).flatMap((one) => {
    const name = valueAt(one, ["name"]);
    return typeof name === "string" ? [name] : [];
  });
}
