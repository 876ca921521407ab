/** `postern check`: the configuration, then what each of its logins may do. */
import { formatProblem, loadConfig, type Settings } from "../config/index.ts";
import type { UpstreamConnection } from "../gateway/ports.ts";
import type { DatabaseSettings, LoginSettings } from "../gateway/settings.ts";
import { connectUpstream, UpstreamError } from "../gateway/upstream/connect.ts";
import type { CompiledPolicy } from "../policy/index.ts";
import { configOption, readArgs, UsageError } from "./lib/args.ts";
import { type Finding, inspect } from "./lib/findings.ts";
import { absentFunctions } from "./lib/functions.ts";
import { hardenConditions, hardenSteps, printableSql } from "./lib/harden.ts";
import { openProviders } from "./lib/identity.ts";
import { idlePatterns } from "./lib/labels.ts";
import { policyAt, readPolicy } from "./lib/policy.ts";
import { type Analysis, type Posture, postureFindings, readPosture } from "./lib/posture.ts";
import { disconnect, QueryError, query } from "./lib/query.ts";
import { absentNames } from "./lib/rules.ts";
import { formatTable, printable } from "./lib/table.ts";
import { openOffline } from "./policy/open.ts";

const usage = `Usage: postern check [-c postern.yaml] [--harden [--read-only]] [--json]

Checks the configuration without starting anything, then connects to every database with every login and reports what
the login may do there, with the SQL that would narrow it. With a policy: labels and rules that name what there is nowhere, and
what the database could enforce as well. Changes nothing.

  risk      goes around Postern's protection (superuser, BYPASSRLS, owner of tables, dangerous roles …)
  grant     what the login may write or create: for you to judge
  advice    what PostgreSQL itself could refuse, should Postern ever fail
  ANALYSIS  yes: the server says what statements touch; logged: and writes that into its log, too

  -c, --config FILE  the gateway's configuration (default: postern.yaml)
      --harden       print the SQL that makes PostgreSQL enforce it: grants by column, masking views, security_invoker; and at the
                     end what of it is in place already. An administrator looks through it and runs it
      --read-only    with --harden: the logins are meant to read only
      --json

Exit codes: 0 no risk found, 1 a risk, or a login that cannot connect, 2 wrong usage or configuration.
`;

export interface Report {
  readonly database: string;
  readonly login: string;
  readonly groups: readonly string[];
  readonly ok: boolean;
  /** Why it could not be looked at; holds no address. */
  readonly error: string | null;
  readonly version: string | null;
  /** TLS version towards the server; null: none. */
  readonly tls: string | null;
  /** What the server tells the gateway of statements; null: it could not be asked. */
  readonly analysis: Analysis | null;
  readonly findings: readonly Finding[];
}

/** A report with what it was made of. */
interface Look {
  readonly report: Report;
  readonly posture: Posture | null;
}

const timeoutMs = 15_000;

/** Gives the exit code. Throws UsageError, ConfigError. */
export async function check(args: string[]): Promise<number> {
  const flag = { type: "boolean" } as const;
  const parsed = readArgs(args, usage, { ...configOption, json: flag, harden: flag, "read-only": flag });
  if (parsed === null) return 0;
  const { json = false, harden = false, "read-only": readOnly = false } = parsed.values;
  if (readOnly && !harden) throw new UsageError("--read-only goes with --harden", usage);
  const settings = await loadConfig(parsed.values.config);
  (await openProviders(settings, parsed.values.config)).close();
  const policy = settings.policy === null ? null : readPolicy(settings.policy);
  for (const warning of settings.warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
  const { databases } = settings.gateway;
  const offline = openOffline(databases);
  const looks: Look[] = [];
  try {
    for (const database of databases)
      for (const login of database.logins)
        looks.push(
          await look(database, login, (by) => readPosture(offline, database, login, by, readOnly), policy),
        );
  } finally {
    await offline.close();
  }
  const reports = looks.map(({ report }) => report);
  const ok = reports.every((report) => report.ok);
  const warnings = policyWarnings(settings, policy, looks);
  if (harden) process.stdout.write(json ? hardenJson(looks) : hardenText(looks));
  else if (json)
    process.stdout.write(`${JSON.stringify(asJson(settings, reports, warnings, ok), null, 2)}\n`);
  else process.stdout.write(asText(reports));
  if (!json) for (const warning of warnings) process.stderr.write(`warning: ${printable(warning)}\n`);
  return ok ? 0 : 1;
}

async function look(
  database: DatabaseSettings,
  login: LoginSettings,
  read: (policy: CompiledPolicy) => Promise<Posture>,
  policy: CompiledPolicy | null,
): Promise<Look> {
  const known = { database: database.name, login: login.user, groups: login.groups };
  const failed = (error: string): Look => ({
    posture: null,
    report: { ...known, ok: false, error, version: null, tls: null, analysis: null, findings: [] },
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
    const posture = await read(policy ?? policyAt("agent-safe"));
    const findings = [
      ...(await inspect(ask, database, login)),
      ...(policy === null ? [] : postureFindings(posture)),
    ];
    const report: Report = {
      ...known,
      ok: findings.every((finding) => finding.level !== "risk"),
      error: null,
      version: connection.version,
      tls: ssl?.[0] ?? null,
      analysis: posture.analysis,
      findings,
    };
    return { report, posture };
  } catch (error) {
    if (error instanceof QueryError) return failed(`cannot be looked at: ${error.message}`);
    if (error instanceof Error && unreadable.has(error.name))
      return failed(`cannot be looked at: ${error.message}`);
    throw error;
  } finally {
    disconnect(connection);
  }
}

/** Errors of the analysis, whose messages are ours. */
const unreadable: ReadonlySet<string> = new Set([
  "OfflineUnavailable",
  "QuestionRefused",
  "TalkLost",
  "CatalogError",
  "CatalogUnavailable",
]);

/** What the policy and the configuration name, and the databases do not have. */
function policyWarnings(settings: Settings, policy: CompiledPolicy | null, looks: readonly Look[]): string[] {
  const { databases } = settings.gateway;
  const looked = databases.map(({ name }) => ({
    database: name,
    catalog: looks.find(({ report }) => report.database === name)?.posture?.catalog ?? null,
  }));
  const functions = databases.flatMap(({ name, functions: own }, i) =>
    absentFunctions(own?.trusted ?? [], looked[i]?.catalog ?? null).map(
      (one) => `databases[${i}].functions: ${one} is no function of database ${name}`,
    ),
  );
  if (policy === null) return functions;
  const labels = idlePatterns(policy, looked).map(
    ({ label, pattern, what }) => `label ${label}: ${pattern} ${what}`,
  );
  const rules = absentNames(policy, databases, looked).map(
    ({ rule, file, line, fact, text }) =>
      `rule ${rule} (${file}:${line}): ${fact} is never ${JSON.stringify(text)}: there is none`,
  );
  return [...functions, ...labels, ...rules];
}

function asJson(settings: Settings, reports: readonly Report[], warnings: readonly string[], ok: boolean) {
  return { ok, config: settings.file, digest: settings.digest, logins: reports, warnings };
}

function hardenJson(looks: readonly Look[]): string {
  const logins = looks.map(({ report: { database, login, error }, posture }) => ({
    database,
    login,
    error,
    steps: posture === null ? [] : hardenSteps(posture),
    conditions: posture === null ? [] : hardenConditions(posture),
  }));
  return `${JSON.stringify({ logins }, null, 2)}\n`;
}

/** A script: whatever is no SQL is a comment. */
function hardenText(looks: readonly Look[]): string {
  let text =
    "-- Made by postern check --harden. Look through it; an administrator runs it in each database.\n";
  const comment = (line: string) => {
    text += `-- ${printable(line)}\n`;
  };
  const said = new Set<string>();
  for (const { report, posture } of looks) {
    text += "\n";
    comment(
      `database ${report.database} (${posture?.catalog.database ?? "not reached"}), login ${report.login}`,
    );
    if (posture === null) {
      comment(report.error ?? "");
      continue;
    }
    for (const { why, sql } of hardenSteps(posture)) {
      // Rights of PUBLIC are found for every login.
      const fresh = sql.filter((one) => !said.has(`${report.database}\n${one}`));
      if (sql.length > 0 && fresh.length === 0) continue;
      comment(why);
      for (const one of fresh) {
        said.add(`${report.database}\n${one}`);
        text += `${printableSql(one)}\n`;
      }
    }
  }
  text += "\n-- In place already:\n";
  for (const { report, posture } of looks)
    for (const { what, met } of posture === null ? [] : hardenConditions(posture))
      comment(`${met ? "yes" : "NO "}  ${report.database} as ${report.login}: ${what}`);
  return text;
}

function asText(reports: readonly Report[]): string {
  const header = ["DATABASE", "LOGIN", "SERVER", "TLS", "ANALYSIS", "RESULT"];
  const rows = reports.map((r) => [
    r.database,
    r.login,
    r.version ?? "-",
    r.tls ?? "none",
    analysisText(r.analysis),
    result(r),
  ]);
  let text = formatTable(header, rows);
  for (const report of reports) {
    if (report.findings.length === 0) continue;
    text += `\n${printable(report.database)} as ${printable(report.login)} (${printable(report.groups.join(", "))}):\n`;
    for (const { level, code, what, remedy } of report.findings)
      text += `  ${level.padEnd(6)}  ${code}: ${printable(what)}\n          ${printable(remedy)}\n`;
  }
  return text;
}

function analysisText(analysis: Analysis | null): string {
  if (analysis === null) return "-";
  if (!analysis.trees) return "no";
  return analysis.log === "granted" || analysis.log === "server" ? "yes" : "logged";
}

function result(report: Report): string {
  if (report.error !== null) return report.error;
  const risks = report.findings.filter((finding) => finding.level === "risk").length;
  return risks === 0 ? "ok" : `${risks} ${risks === 1 ? "risk" : "risks"}`;
}
