/** `postern policy explain`: one statement, one person, every rule's verdict. */
import type { DecisionLimits } from "../../facts/decision.ts";
import type { PolicyDecision, SessionFacts } from "../../policy/index.ts";
import type { MaskReport } from "../../policy/lab/analyser.ts";
import { type Explained, explainOne } from "../../policy/lab/explain.ts";
import { readFacts } from "../../policy/lab/facts.ts";
import { plainSession, readPrincipal, readSession } from "../../policy/lab/person.ts";
import { withEstimate, withMasks } from "../../policy/lab/run.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { formatTable, printable } from "../lib/table.ts";
import type { OpenAnalyser } from "./analyser.ts";
import { readGiven } from "./given.ts";
import { findPolicy, placeOptions, reporting } from "./place.ts";

const usage = `Usage: postern policy explain --as PRINCIPAL --database NAME [-c postern.yaml | --facts FACTS] SQL

Says what would be decided for a statement, by which rules, what it touches, and where each output column comes from and how it
would be masked. Nothing is run. Several statements count as one message; EXECUTE and FETCH find what earlier ones prepared.

      --as PRINCIPAL     such as '{ kind: agent, groups: [agents] }', or a file with it
      --database NAME    the database it is for
      --facts FACTS      the statement's facts, such as '{ kind: select, effects: [read] }', instead of analysing it
      --session SESSION  such as '{ via: mcp, client_ip: 10.0.0.1 }'
  -p, --policy PATH      another policy than the configuration's
  -c, --config FILE      the gateway's configuration: the statement is analysed on its databases
      --json

Exit code 0: it would be allowed. 1: denied or held. 2: a mistake in what was given. 3: a database cannot be asked.
`;

export async function explain(args: string[], openAnalyser: OpenAnalyser | null): Promise<number> {
  const word = { type: "string" } as const;
  const options = { ...placeOptions, as: word, database: word, facts: word, session: word } as const;
  const parsed = readArgs(args, usage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values } = parsed;
  const { as, database, json } = values;
  const [sql = ""] = parsed.positionals;
  if (as === undefined) throw new UsageError("--as is missing", usage);
  if (database === undefined) throw new UsageError("--database is missing", usage);
  return reporting(json, async () => {
    const principal = readGiven("--as", as, readPrincipal);
    const session = values.session === undefined ? null : values.session;
    const given = (base: SessionFacts) =>
      session === null
        ? base
        : readGiven("--session", session, (reader, spot) => readSession(reader, spot, base));
    if (values.facts !== undefined) {
      const { policy } = await findPolicy({ path: values.policy, config: values.config }, usage);
      const facts = readGiven("--facts", values.facts, (reader, spot) => readFacts(reader, spot, sql));
      const input = { principal, session: given(plainSession(database)), statement: facts, now: new Date() };
      return tell([explainOne(policy, sql, input, null)], json === true);
    }
    if (openAnalyser === null)
      throw new UsageError("--facts is missing: statements cannot be analysed here", usage);
    const place = await findPolicy({ path: values.policy, config: values.config ?? "postern.yaml" }, usage);
    if (place.settings === null) throw new UsageError("-c is missing", usage);
    const opened = await openAnalyser(place.settings);
    try {
      const analysed = await opened.analyse({ database, sql, principal, policy: place.policy });
      if (!analysed.ok) return refusedText(analysed.code, analysed.message, json === true);
      const session = given(analysed.session);
      const explained: Explained[] = [];
      for (const one of analysed.statements) {
        const input = { principal, session, statement: one.facts, now: new Date() };
        explained.push(explainOne(place.policy, one.sql, await withEstimate(place.policy, input, one), one));
      }
      return tell(explained, json === true);
    } finally {
      await opened.close();
    }
  });
}

function refusedText(code: string, message: string, json: boolean): number {
  const line = json
    ? JSON.stringify({ verdict: "deny", code, message })
    : `DENY     ${code}: ${printable(message)}\n         nothing of it would run there, so no rule is asked`;
  process.stdout.write(`${line}\n`);
  return 1;
}

function tell(explained: readonly Explained[], json: boolean): number {
  if (explained.length === 0 && !json) process.stdout.write("ALLOW    the text holds no statement\n");
  for (const one of explained) process.stdout.write(json ? `${JSON.stringify(asJson(one))}\n` : asText(one));
  return explained.every((one) => verdictOf(one) === "allow") ? 0 : 1;
}

/** What comes of it first, then how. */
function asJson(one: Explained) {
  const { verdict, code, message } = withMasks(one.decision, one.masks);
  const decision = { ...one.decision, relax: Object.fromEntries(one.decision.relax) };
  return { verdict, code, message, ...one, decision };
}

function verdictOf({ decision, masks }: Explained): PolicyDecision["verdict"] {
  return withMasks(decision, masks).verdict;
}

function asText(one: Explained): string {
  const { decision, facts, masks, rules, refusal } = one;
  const lines: string[] = [];
  const line = (text: string) => lines.push(printable(text));
  const refused = refusal ?? (masks !== null && !masks.ok ? masks : null);
  if (refused !== null) {
    line(`DENY     ${refused.code}: ${refused.message}`);
    if (refused.hint !== null) line(`         ${refused.hint}`);
    if (refusal !== null) line("         the gateway itself refuses it, so no rule is asked");
  } else {
    const by = decision.rule === null ? "by the default" : `by ${decision.rule}`;
    line(
      `${decision.verdict.toUpperCase().padEnd(8)} ${by}${decision.code === null ? "" : ` (${decision.code})`}`,
    );
    for (const text of [decision.message, decision.hint]) if (text !== null) line(`         ${text}`);
  }
  if (decision.would !== null)
    line(
      `         would be: ${decision.would.verdict}${decision.would.rule === null ? "" : ` by ${decision.would.rule}`} (${decision.would.code}; only observed)`,
    );
  for (const { rule, groups, count, withinMs, ticket } of decision.approvers)
    line(
      `         ${rule}: ${count} of ${groups.join(", ")} within ${withinMs / 1000}s${ticket ? ", as a ticket" : ""}`,
    );
  const limits = limitsText(decision.limits);
  if (limits !== "") line(`         limits: ${limits}`);
  if (decision.unmask.length > 0) line(`         unmasked: ${decision.unmask.join(", ")}`);
  lines.push("");
  const touched: readonly [string, readonly string[]][] = [
    ["effects", facts.effects.length === 0 ? ["none"] : facts.effects],
    ["reads", facts.reads],
    ["writes", facts.writes],
    ["columns", facts.columns],
    ["functions", facts.functions],
    ["labels", facts.labels],
    ["in predicates", facts.labelsInPredicates],
  ];
  for (const [name, list] of touched) if (list.length > 0) line(`${name.padEnd(14)} ${list.join(", ")}`);
  lines.push("");
  const rows = rules.map((rule) => [
    rule.outcome + (rule.detail === null ? "" : `: ${rule.detail}`),
    rule.then,
    rule.rule,
    rule.observe ? "observed" : "",
  ]);
  if (refusal !== null) return `${lines.join("\n")}\n`;
  return `${lines.join("\n")}${formatTable(["RULE SAYS", "THEN", "RULE", ""], rows)}${outputs(masks)}\n`;
}

/** As a policy file would say it. */
function limitsText({ rows, bytes, timeoutMs, affectedRows, perMinute }: DecisionLimits): string {
  const given: readonly [string, number | null, string][] = [
    ["rows", rows, String(rows)],
    ["bytes", bytes, bytes !== null && bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}MiB` : String(bytes)],
    ["timeout", timeoutMs, `${(timeoutMs ?? 0) / 1000}s`],
    ["affected_rows", affectedRows, String(affectedRows)],
    ["per_minute", perMinute, String(perMinute)],
  ];
  return given.flatMap(([name, value, text]) => (value === null ? [] : [`${name} ${text}`])).join(", ");
}

function outputs(masks: MaskReport | null): string {
  if (masks === null || !masks.ok || masks.outputs === null) return "";
  const rows = masks.outputs.map(({ name, sources, plain, mask, label }) => [
    name,
    sources.length === 0 ? "(no column)" : sources.join(", "),
    plain || sources.length === 0 ? "" : "computed",
    mask === null ? "as it is" : `${mask}${label === null ? "" : ` (${label})`}`,
  ]);
  return `\n${formatTable(["OUTPUT", "FROM", "", "SHOWN"], rows)}`;
}
