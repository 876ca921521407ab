/** `postern approvals …`: what waits for a person. */
import { chooseVerb } from "./lib/args.ts";

const verbs: Readonly<Record<string, () => Promise<(args: string[]) => Promise<number>>>> = {
  list: async () => (await import("./approvals/list.ts")).list,
  show: async () => (await import("./approvals/show.ts")).show,
  approve: async () => (await import("./approvals/decide.ts")).approve,
  deny: async () => (await import("./approvals/decide.ts")).deny,
  revoke: async () => (await import("./approvals/decide.ts")).revoke,
  watch: async () => (await import("./approvals/watch.ts")).watch,
};

const usage = `Usage: postern approvals VERB [options]

  list        what waits, or was decided
  show ID     one request, with everything that somebody who decides should read
  approve ID  agree, once or for a shape for a while
  deny ID     refuse, with a reason
  revoke ID   take an approval or a grant back
  watch       what waits, as it comes

Each asks the gateway that -c postern.yaml or --url names. postern approvals VERB --help says more.
`;

/** Runs a verb. Gives 0 done, 1 refused, 3 not reached. Throws UsageError, ConfigError. */
export async function approvals(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const load = chooseVerb(name, verbs, usage);
  if (load === null) return 0;
  return (await load())(rest);
}
