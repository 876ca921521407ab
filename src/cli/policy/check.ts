/** `postern policy check`: loads a policy and says what is in it. */
import { readArgs } from "../lib/args.ts";
import { formatTable } from "../lib/table.ts";
import { findPolicy, placeOptions, reporting } from "./place.ts";

const usage = `Usage: postern policy check [PATH] [-c postern.yaml] [--json]

Loads a policy file, a folder of *.yaml or agent-safe; without PATH the one that postern.yaml names.

Exit code 0: it loads. 2: it does not; every mistake is told as file:line:column.
`;

export async function check(args: string[]): Promise<number> {
  const { policy: _policy, ...options } = placeOptions;
  const parsed = readArgs(args, usage, options, { least: 0, most: 1 });
  if (parsed === null) return 0;
  const { json, config } = parsed.values;
  return reporting(json, async () => {
    const [path] = parsed.positionals;
    const { policy } = await findPolicy(
      { path, config: config ?? (path === undefined ? "postern.yaml" : undefined) },
      usage,
    );
    const { digest, files, rules, labels, detect, needs, observe } = policy;
    if (json === true) {
      process.stdout.write(
        `${JSON.stringify({ ok: true, digest, files, default: policy.default, observe, needs, labels, detect, rules })}\n`,
      );
      return 0;
    }
    const mode = { none: "enforced", some: "partly observed", all: "observed only" }[observe];
    const rows = rules.map((rule) => [
      rule.then,
      rule.name,
      rule.observe ? "observed" : "",
      `${rule.file}:${rule.line}`,
    ]);
    if (rows.length > 0) process.stdout.write(`${formatTable(["THEN", "RULE", "", "AT"], rows)}\n`);
    const hidden = labels.map(({ label, access, mask, use, columns, observe: only }) => [
      label,
      access === "none" ? "never read" : maskText(mask),
      access === "none" ? "" : use,
      only ? "observed" : "",
      columns.join(" "),
    ]);
    if (hidden.length > 0)
      process.stdout.write(`${formatTable(["LABEL", "SHOWN", "USE", "", "COLUMNS"], hidden)}\n`);
    if (detect !== null) {
      const found = detect.rules.map(({ kind, pattern, action }) => [
        kind,
        action === "mask" ? maskText(detect.mask) : "alert",
        pattern ?? "",
      ]);
      process.stdout.write(`${formatTable(["DETECTED", "THEN", "PATTERN"], found)}\n`);
    }
    const estimates = needs.estimate ? "; it asks the server for estimates" : "";
    const analysis = needs.analysis ? "every statement is analysed" : "no statement needs analysis";
    process.stdout.write(`OK  ${digest}\n    ${mode}, default ${policy.default}; ${analysis}${estimates}\n`);
    return 0;
  });
}

function maskText(mask: { readonly kind: string }): string {
  const { kind, ...rest } = mask;
  const words = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return words.length === 0 ? kind : `${kind} ${words.join(" ")}`;
}
