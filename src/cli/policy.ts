/** `postern policy …`: the verbs around policies. */

import { chooseVerb } from "./lib/args.ts";
import type { OpenAnalyser } from "./policy/analyser.ts";

type Verb = (args: string[], openAnalyser: OpenAnalyser | null) => Promise<number>;

const verbs: Readonly<Record<string, () => Promise<Verb>>> = {
  check: async () => (await import("./policy/check.ts")).check,
  test: async () => (await import("./policy/test.ts")).test,
  explain: async () => (await import("./policy/explain.ts")).explain,
  columns: async () => (await import("./policy/columns.ts")).columns,
  replay: async () => (await import("./policy/replay.ts")).replay,
};

const usage = `Usage: postern policy VERB [options]

  check [PATH]  load a policy file or folder and say what is in it, or every mistake with its place
  test [DIR]    run the *.test.yaml beside a policy
  explain SQL   what would be decided for one person and statement, by which rules, and what would be masked
  columns       which columns of the databases are protected, and why
  replay        run recorded statements through another policy and list what would change

A PATH is a policy file, a folder of *.yaml, or agent-safe, which is built in. postern policy VERB --help says more.
`;

/**
 * Runs a verb. Gives 0 done, 1 a finding. `openAnalyser` reads statements with the help of the configured databases; null: the
 * verbs take facts as they are given. Throws UsageError, ConfigError.
 */
export async function policy(args: string[], openAnalyser: OpenAnalyser | null = null): Promise<number> {
  const [name, ...rest] = args;
  const load = chooseVerb(name, verbs, usage);
  if (load === null) return 0;
  return (await load())(rest, openAnalyser);
}
