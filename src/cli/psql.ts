/** `postern psql DB [-- args]`: psql with a fresh token, which never stands on its command line or in its environment. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { CliError } from "./account/error.ts";
import { describeGateway } from "./account/gateway.ts";
import { accountHome, privateFolder, writePrivate } from "./account/home.ts";
import { passLine, pgEnvironment, pgPlace } from "./account/pgfiles.ts";
import { keepRenewed } from "./account/renew.ts";
import { openAccount } from "./account/tokens.ts";
import { readArgs } from "./lib/args.ts";

const usage = `Usage: postern psql DB [--agent NAME] [--profile NAME] [-- psql's arguments]

Runs psql on a database behind the gateway. Its sessions are renewed for as long as it runs and your login lasts.
POSTERN_PSQL names another program than psql.
`;

/** Gives psql's exit code. Throws UsageError, CliError. */
export async function psql(args: string[]): Promise<number> {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  const passed = end < 0 ? [] : args.slice(end + 1);
  const parsed = readArgs(
    own,
    usage,
    { agent: { type: "string" }, profile: { type: "string" } },
    { least: 1, most: 1 },
  );
  if (parsed === null) return 0;
  const [database = ""] = parsed.positionals;
  const { agent } = parsed.values;
  const account = openAccount(parsed.values.profile);
  const place = pgPlace(await describeGateway(account.place));
  const request = { audience: "wire", database, seconds: 3600, ...(agent === undefined ? {} : { agent }) };
  const issued = await account.issue(request);
  const folder = mkdtempSync(join(privateFolder(join(accountHome(), "run")), "psql-"));
  const passfile = join(folder, "pgpass");
  // Whatever new connection psql makes (\\c) reads the file again.
  const user = account.profile.subject.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 63) || "postern";
  const write = (token: string) => writePrivate(passfile, `${passLine(place, "*", "*", token)}\n`);
  write(issued.access_token);
  const run = randomUUID();
  const renewing = keepRenewed({ account, request, run, expires: issued.expires, onToken: write });
  try {
    return await runProgram(process.env.POSTERN_PSQL || "psql", passed, {
      ...withoutPg(process.env),
      ...pgEnvironment(place, account.place, { database, user, passfile }),
      PGOPTIONS: `${process.env.PGOPTIONS ?? ""} -c postern.run=${run}`.trim(),
    });
  } finally {
    renewing.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the user has set for other servers must not lead this connection elsewhere. */
function withoutPg(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = new Set([
    "PGPASSWORD",
    "PGSERVICE",
    "PGHOSTADDR",
    "PGSSLMODE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
  ]);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.has(name)));
}

function runProgram(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: "inherit", env });
    // Ctrl-C is psql's: it cancels a statement.
    const ignore = () => {};
    process.on("SIGINT", ignore);
    child.on("error", (error: NodeJS.ErrnoException) => {
      process.off("SIGINT", ignore);
      const missing = error.code === "ENOENT";
      fail(
        new CliError(
          2,
          missing ? `${program} is not installed` : `${program} cannot be run (${error.code})`,
          missing ? "Install PostgreSQL's client, or use postern connect with another one." : null,
        ),
      );
    });
    child.on("close", (code, signal) => {
      process.off("SIGINT", ignore);
      done(code ?? 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0)));
    });
  });
}
