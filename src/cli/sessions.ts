/** `postern sessions list|end` and `postern revoke`. */
import { z } from "zod";
import { ask, clean, expectOk, readOk } from "./account/gateway.ts";
import { type Account, openAccount } from "./account/tokens.ts";
import { readArgs, UsageError } from "./lib/args.ts";

const usage = `Usage: postern sessions list [--database DB] [--subject WHO] [--json]
       postern sessions end ID [--reason TEXT]

  list  open sessions: your own, or everybody's for auditors
  end   end a session, whatever it runs: one of your own, or anybody's for admins

      --profile NAME  of several logins, this one
`;

const list = z.object({
  items: z.array(
    z.looseObject({
      id: z.string(),
      node: z.string(),
      started: z.string(),
      state: z.string(),
      principal: z.looseObject({ subject: z.string(), kind: z.string() }),
      client: z.looseObject({ ip: z.string(), via: z.string() }),
      database: z.string(),
      statement: z.looseObject({ sql: z.string().nullable() }).nullable(),
      expires: z.string().nullable(),
    }),
  ),
  next: z.string().nullable(),
});

/** Throws UsageError, CliError. */
export async function sessions(args: string[]): Promise<number> {
  const parsed = readArgs(
    args,
    usage,
    {
      database: { type: "string" },
      subject: { type: "string" },
      reason: { type: "string" },
      profile: { type: "string" },
      json: { type: "boolean" },
    },
    { least: 1, most: 2 },
  );
  if (parsed === null) return 0;
  const [action, id] = parsed.positionals;
  const { values } = parsed;
  const account = openAccount(values.profile);
  switch (action) {
    case "list":
      return listSessions(account, values);
    case "end": {
      if (id === undefined) throw new UsageError("which session?", usage);
      const query = values.reason === undefined ? "" : `?${new URLSearchParams({ reason: values.reason })}`;
      const path = `/api/sessions/${encodeURIComponent(id)}${query}`;
      expectOk(
        await ask(account.place, path, { method: "DELETE", token: await account.access() }),
        "not ended",
      );
      process.stderr.write(`Session ${clean(id)} was told to end.\n`);
      return 0;
    }
    default:
      throw new UsageError(`there is no action ${JSON.stringify(action)}`, usage);
  }
}

async function listSessions(
  account: Account,
  values: { readonly database?: string; readonly subject?: string; readonly json?: boolean },
): Promise<number> {
  const found: z.output<typeof list>["items"] = [];
  let after: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "500" });
    if (values.database !== undefined) query.set("database", values.database);
    if (values.subject !== undefined) query.set("subject", values.subject);
    if (after !== null) query.set("after", after);
    const answer = await ask(account.place, `/api/sessions?${query}`, { token: await account.access() });
    const page = readOk(answer, "no list", list);
    found.push(...page.items);
    after = page.next;
  } while (after !== null);
  if (found.length === 0 && values.json !== true) process.stdout.write("none\n");
  for (const one of found) {
    const { id, database, principal, client, state, statement, started } = one;
    process.stdout.write(
      values.json === true
        ? `${JSON.stringify(one)}\n`
        : `${[id, started, `${principal.subject} (${principal.kind})`, database, client.ip, state, statement?.sql ?? ""].map(clean).join("  ")}\n`,
    );
  }
  return 0;
}

const revokeUsage = `Usage: postern revoke (--subject WHO | --agent NAME | --jti ID | --sha256 HEX | --everything) --reason TEXT
       postern revoke --list | --lift ID

Ends sessions and refuses tokens on every node, at once; for admins. It holds until it is lifted.

      --subject WHO   a person, agent or service, by its subject
      --agent NAME    what this agent does, for whomever
      --jti ID        one token, and all that was made of it (its id, or that of a Postern token)
      --sha256 HEX    one token by the SHA-256 that the audit log shows
      --everything    everybody: only people who log in anew reach the console, to lift it
      --issuer URL    only of this issuer
      --before        only what was issued until now: whoever logs in anew may go on
      --seconds N     lifted by itself after this time
      --json          as JSON
      --profile NAME  of several logins, this one
`;

const revocation = z.looseObject({
  id: z.string(),
  kind: z.string(),
  value: z.string(),
  mode: z.string(),
  at: z.string(),
  expires: z.string().nullable(),
  reason: z.string(),
});

/** Throws UsageError, CliError. */
export async function revoke(args: string[]): Promise<number> {
  const parsed = readArgs(args, revokeUsage, {
    subject: { type: "string" },
    agent: { type: "string" },
    jti: { type: "string" },
    sha256: { type: "string" },
    everything: { type: "boolean" },
    issuer: { type: "string" },
    before: { type: "boolean" },
    seconds: { type: "string" },
    reason: { type: "string" },
    list: { type: "boolean" },
    lift: { type: "string" },
    profile: { type: "string" },
    json: { type: "boolean" },
  });
  if (parsed === null) return 0;
  const { values } = parsed;
  const { subject, agent, jti, sha256, everything, issuer, reason, lift } = values;
  const account = openAccount(values.profile);
  const show = (one: z.output<typeof revocation>) =>
    process.stdout.write(
      values.json === true
        ? `${JSON.stringify(one)}\n`
        : `${[one.id, one.kind, one.value, one.mode, one.at, one.expires ?? "until lifted", one.reason].map(clean).join("  ")}\n`,
    );
  if (values.list === true) {
    const answer = await ask(account.place, "/api/revocations", { token: await account.access() });
    const found = readOk(answer, "no list", z.object({ items: z.array(revocation) }));
    if (found.items.length === 0 && values.json !== true) process.stdout.write("none\n");
    for (const one of found.items) show(one);
    return 0;
  }
  if (lift !== undefined) {
    const path = `/api/revocations/${encodeURIComponent(lift)}`;
    expectOk(
      await ask(account.place, path, { method: "DELETE", token: await account.access() }),
      "not lifted",
    );
    return 0;
  }
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds > 0))
    throw new UsageError("--seconds is a number of seconds", revokeUsage);
  const what = {
    subject,
    agent,
    jti,
    tokenSha256: sha256,
    everything: everything === true ? true : undefined,
  };
  if (Object.values(what).filter((one) => one !== undefined).length !== 1)
    throw new UsageError(
      "one of --subject, --agent, --jti, --sha256 and --everything is needed",
      revokeUsage,
    );
  if (reason === undefined) throw new UsageError("--reason is needed: it stands on the record", revokeUsage);
  const answer = await ask(account.place, "/api/revocations", {
    token: await account.access(),
    json: { ...what, issuer, ...(values.before === true ? { mode: "before" } : {}), seconds, reason },
  });
  show(readOk(answer, "not revoked", revocation));
  return 0;
}
