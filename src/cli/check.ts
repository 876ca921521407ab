/** `postern check`: the configuration, then what each of its logins may do. */
import { formatProblem, loadConfig, type Settings } from "../config/index.ts";
import type { UpstreamConnection } from "../gateway/ports.ts";
import type { DatabaseSettings, LoginSettings } from "../gateway/settings.ts";
import { connectUpstream, UpstreamError } from "../gateway/upstream/connect.ts";
import { configOption, readArgs } from "./lib/args.ts";
import { type Finding, inspect } from "./lib/findings.ts";
import { openProviders } from "./lib/identity.ts";
import { readPolicy } from "./lib/policy.ts";
import { disconnect, QueryError, query } from "./lib/query.ts";
import { formatTable, printable } from "./lib/table.ts";

const usage = `Usage: postern check [-c postern.yaml] [--json]

Checks the configuration without starting anything, then connects to every database with every login and reports what
the login may do there, with the SQL that would narrow it. Changes nothing.

  risk    goes around Postern's protection (superuser, BYPASSRLS, owner of tables, dangerous roles …)
  grant   what the login may write or create: for you to judge

Exit codes: 0 no risk found, 1 a risk, or a login that cannot connect, 2 wrong usage or configuration.
`;

interface Report {
  readonly database: string;
  readonly login: string;
  readonly groups: readonly string[];
  readonly ok: boolean;
  /** Why it could not be looked at; holds no address. */
  readonly error: string | null;
  readonly version: string | null;
  /** TLS version towards the server; null: none. */
  readonly tls: string | null;
  readonly findings: readonly Finding[];
}

const timeoutMs = 15_000;

/** Gives the exit code. Throws UsageError, ConfigError. */
export async function check(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { ...configOption, json: { type: "boolean" } });
  if (parsed === null) return 0;
  const settings = await loadConfig(parsed.values.config);
  (await openProviders(settings, parsed.values.config)).close();
  if (settings.policy !== null) readPolicy(settings.policy);
  for (const warning of settings.warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
  const reports: Report[] = [];
  for (const database of settings.gateway.databases)
    for (const login of database.logins) reports.push(await look(database, login));
  const ok = reports.every((report) => report.ok);
  const text =
    parsed.values.json === true
      ? `${JSON.stringify(asJson(settings, reports, ok), null, 2)}\n`
      : asText(reports);
  process.stdout.write(text);
  return ok ? 0 : 1;
}

async function look(database: DatabaseSettings, login: LoginSettings): Promise<Report> {
  const report = { database: database.name, login: login.user, groups: login.groups };
  const failed = (error: string): Report => ({
    ...report,
    ok: false,
    error,
    version: null,
    tls: null,
    findings: [],
  });
  let connection: UpstreamConnection;
  try {
    connection = await connectUpstream(database, login, new Map([["application_name", "postern check"]]), {
      timeoutMs,
    });
  } catch (error) {
    if (error instanceof UpstreamError) return failed(`cannot connect: ${error.cause}`);
    throw error;
  }
  try {
    // Nothing here writes, and nothing of the login's own settings may change what names mean.
    await query(connection, "set default_transaction_read_only = on");
    await query(connection, "set search_path = pg_catalog");
    const ask = (sql: string) => query(connection, sql);
    const [ssl] = await ask(
      "select s.version from pg_catalog.pg_stat_ssl s where s.pid = pg_catalog.pg_backend_pid()",
    );
    const findings = await inspect(ask, database, login);
    const ok = findings.every((finding) => finding.level !== "risk");
    return { ...report, ok, error: null, version: connection.version, tls: ssl?.[0] ?? null, findings };
  } catch (error) {
    if (error instanceof QueryError) return failed(`cannot be looked at: ${error.message}`);
    throw error;
  } finally {
    disconnect(connection);
  }
}

function asJson(settings: Settings, reports: readonly Report[], ok: boolean) {
  return { ok, config: settings.file, digest: settings.digest, logins: reports };
}

function asText(reports: readonly Report[]): string {
  const header = ["DATABASE", "LOGIN", "SERVER", "TLS", "RESULT"];
  const rows = reports.map((r) => [r.database, r.login, r.version ?? "-", r.tls ?? "none", result(r)]);
  let text = formatTable(header, rows);
  for (const report of reports) {
    if (report.findings.length === 0) continue;
    text += `\n${printable(report.database)} as ${printable(report.login)} (${printable(report.groups.join(", "))}):\n`;
    for (const { level, code, what, remedy } of report.findings)
      text += `  ${level.padEnd(5)}  ${code}: ${printable(what)}\n         ${printable(remedy)}\n`;
  }
  return text;
}

function result(report: Report): string {
  if (report.error !== null) return report.error;
  const risks = report.findings.filter((finding) => finding.level === "risk").length;
  return risks === 0 ? "ok" : `${risks} ${risks === 1 ? "risk" : "risks"}`;
}
