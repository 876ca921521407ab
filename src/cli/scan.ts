/** `postern scan`: samples the columns of a database and proposes labels for them. */
import { loadConfig, type Settings } from "../config/index.ts";
import { OfflineUnavailable } from "../gateway/analyst/offline.ts";
import type { UpstreamConnection } from "../gateway/ports.ts";
import type { DatabaseSettings, LoginSettings } from "../gateway/settings.ts";
import { connectUpstream, UpstreamError } from "../gateway/upstream/connect.ts";
import { configOption, readArgs, UsageError } from "./lib/args.ts";
import { readPolicy } from "./lib/policy.ts";
import { disconnect, QueryError, query } from "./lib/query.ts";
import { type DatabaseScan, ScanLost, type ScanQuery, scanDatabase } from "./lib/scan.ts";
import { printable } from "./lib/table.ts";
import { openOffline } from "./policy/open.ts";

const usage = `Usage: postern scan DATABASE [-c postern.yaml] [--rows N] [--threshold T] [--login USER] [--json]

Samples the columns of a database of the configuration and prints proposed labels for a policy as YAML, with what was found and how
sure it is: e-mail addresses, payment cards, IBANs, phone numbers, tokens and keys … Columns that the configuration's policy labels
already are left out. No value is printed, kept or sent anywhere.

  -c, --config FILE  the gateway's configuration (default: postern.yaml)
      --rows N       rows of each table that are looked at, 1 to 10000 (default: 1000)
      --threshold T  confidence from which a label is proposed, 0 to 1 (default: 0.6); below it is a comment
      --login USER   the login that reads (default: the database's first); what it may not read is skipped
      --json         the findings as JSON

Exit code 0: done. 2: a mistake in what was given. 3: the database cannot be reached.
`;

const timeoutMs = 15_000;

/** Gives the exit code. Throws UsageError, ConfigError. */
export async function scan(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...configOption,
    rows: word,
    threshold: word,
    login: word,
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { config, json = false } = parsed.values;
  const rows = numberIn("--rows", parsed.values.rows ?? "1000", 1, 10_000, /^\d+$/);
  const threshold = numberIn("--threshold", parsed.values.threshold ?? "0.6", 0, 1, /^\d+(\.\d+)?$/);
  const settings = await loadConfig(config);
  const { database, login } = choose(settings, parsed.positionals[0] ?? "", parsed.values.login);
  try {
    const covered = await coveredColumns(settings, database, login);
    const report = await scanned(database, login, { rows, threshold, covered });
    process.stdout.write(json ? `${JSON.stringify(asJson(report, database.name), null, 2)}\n` : report.yaml);
    if (!json) process.stderr.write(summary(report, covered.size));
    return 0;
  } catch (error) {
    const message = reason(error);
    if (message === null) throw error;
    process.stderr.write(`postern scan: ${printable(message)}\n`);
    return 3;
  }
}

function numberIn(option: string, text: string, least: number, most: number, form: RegExp): number {
  const value = Number(text);
  if (form.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`${option} is ${JSON.stringify(text)}; expected ${least} to ${most}`, usage);
}

function choose(settings: Settings, name: string, user: string | undefined) {
  const { databases } = settings.gateway;
  const database = databases.find((one) => one.name === name);
  if (database === undefined) {
    const known = databases.map((one) => one.name).join(", ");
    throw new UsageError(`there is no database ${JSON.stringify(name)}; expected one of ${known}`, usage);
  }
  const login = database.logins.find((one) => user === undefined || one.user === user);
  if (login === undefined)
    throw new UsageError(`database ${name} has no login ${JSON.stringify(user)}`, usage);
  return { database, login };
}

/** What the policy protects already, with everything that is computed or inherited from it. */
async function coveredColumns(
  { policy, gateway }: Settings,
  database: DatabaseSettings,
  login: LoginSettings,
): Promise<ReadonlySet<string>> {
  if (policy === null) return new Set();
  const compiled = readPolicy(policy);
  const offline = openOffline(gateway.databases);
  try {
    const { view } = await offline.view(database, login, compiled);
    return new Set([...view.protectedSet.columns, ...view.observedSet.columns].map((column) => column.name));
  } finally {
    await offline.close();
  }
}

async function scanned(
  database: DatabaseSettings,
  login: LoginSettings,
  options: { readonly rows: number; readonly threshold: number; readonly covered: ReadonlySet<string> },
): Promise<DatabaseScan> {
  const parameters = new Map([["application_name", "postern scan"]]);
  const connection = await connectUpstream(database, login, parameters, { timeoutMs });
  const progress = progressLine();
  try {
    const ask = asking(connection);
    // Nothing here writes, waits for long, or lets the login's own settings choose what names mean.
    await ask("set default_transaction_read_only = on");
    await ask("set search_path = pg_catalog");
    await ask("set lock_timeout = '1s'");
    await ask(`set statement_timeout = '${timeoutMs - 5_000}ms'`);
    return await scanDatabase(ask, { ...options, database: database.name, onProgress: progress.show });
  } finally {
    progress.clear();
    disconnect(connection);
  }
}

/** A statement that is refused skips its relation; a connection that is gone, or has lost step, ends the scan. */
function asking(connection: UpstreamConnection): ScanQuery {
  return async (sql) => {
    try {
      return await query(connection, sql, timeoutMs);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      if (/^(?:08|57P)/.test(error.sqlstate) || error.message === "no answer in time")
        throw new ScanLost(error.message);
      throw error;
    }
  };
}

function progressLine() {
  const { stderr } = process;
  let shown = false;
  return {
    show(done: number, total: number, relation: string): void {
      if (!stderr.isTTY) return;
      const width = Math.max(20, (stderr.columns ?? 80) - 1);
      stderr.write(`\r\u001b[K${printable(`${done}/${total} ${relation}`).slice(0, width)}`);
      shown = true;
    },
    clear(): void {
      if (shown) stderr.write("\r\u001b[K");
    },
  };
}

function summary({ relations, columns, findings, skipped }: DatabaseScan, covered: number): string {
  const proposed = findings.filter((finding) => finding.proposed).length;
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
  let text = `${count(columns, "column")} of ${count(relations, "table")}: ${count(proposed, "label")} proposed, ${findings.length - proposed} to look at`;
  if (covered > 0) text += `; protected already: ${count(covered, "column")}`;
  if (skipped.length > 0) text += `\nnot readable, skipped: ${printable(skipped.join(", "))}`;
  return `${text}\n`;
}

function asJson({ relations, columns, findings, skipped, yaml }: DatabaseScan, database: string) {
  return { database, relations, columns, findings, skipped, yaml };
}

function reason(error: unknown): string | null {
  if (error instanceof UpstreamError) return `cannot connect: ${error.cause}`;
  if (error instanceof QueryError || error instanceof ScanLost || error instanceof OfflineUnavailable)
    return error.message;
  return null;
}
