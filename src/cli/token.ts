/** `postern token`: a short-lived Postern token on stdout, or in service and pass files. */
import { CliError } from "./account/error.ts";
import { describeGateway } from "./account/gateway.ts";
import { pgPlace, writeService } from "./account/pgfiles.ts";
import { openAccount } from "./account/tokens.ts";
import { readArgs, UsageError } from "./lib/args.ts";

const usage = `Usage: postern token [--database DB] [--audience LIST] [--agent NAME] [--seconds N] [--service] [--json]

Prints a Postern token (pgt_…): a password for PostgreSQL clients, a bearer token for HTTP and MCP.

      --database DB     good for this database alone
      --audience LIST   where it is good: wire, api, mcp (default: all)
      --agent NAME      for an agent of yours: it acts as an agent in your name, and the record names it
      --seconds N       how long it lives, 300 to 3600
      --service         write it into a service and pass file instead, for: PGSERVICEFILE=… psql service=DB
      --profile NAME    of several logins, this one
      --json            with its id and its end
`;

/** Throws UsageError, CliError. */
export async function token(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, {
    database: { type: "string", short: "d" },
    audience: { type: "string" },
    agent: { type: "string" },
    seconds: { type: "string" },
    service: { type: "boolean" },
    profile: { type: "string" },
    json: { type: "boolean" },
  });
  if (parsed === null) return 0;
  const { database, audience, agent, service, json, profile } = parsed.values;
  const seconds = parsed.values.seconds === undefined ? undefined : Number(parsed.values.seconds);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds > 0))
    throw new UsageError("--seconds is a number of seconds", usage);
  if (service === true && database === undefined) throw new UsageError("--service needs --database", usage);
  const account = openAccount(profile);
  const issued = await account.issue({
    ...(database === undefined ? {} : { database }),
    ...(audience === undefined ? {} : { audience: audience.replaceAll(",", " ") }),
    ...(agent === undefined ? {} : { agent }),
    ...(seconds === undefined ? {} : { seconds }),
  });
  const { access_token: text, id, user, expires } = issued;
  if (service === true && database !== undefined) {
    const place = pgPlace(await describeGateway(account.place));
    const files = writeService(account.name, place, account.place, { database, user, token: text });
    if (json === true)
      process.stdout.write(
        `${JSON.stringify({ service: database, file: files.service, passfile: files.pass, id, expires })}\n`,
      );
    else {
      process.stderr.write(`Good until ${expires}; run this again for a fresh one.\n`);
      process.stdout.write(`PGSERVICEFILE=${quote(files.service)} psql service=${quote(database)}\n`);
    }
    return 0;
  }
  if (json === true) process.stdout.write(`${JSON.stringify({ token: text, id, user, expires })}\n`);
  else {
    if (process.stdout.isTTY) process.stderr.write(`Good until ${expires}.\n`);
    process.stdout.write(`${text}\n`);
  }
  return 0;
}

/** For a POSIX shell. Throws CliError for what no name contains. */
function quote(word: string): string {
  if (word.includes("\0")) throw new CliError(2, "not a name");
  return /^[\w./:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
