/** `postern audit …`: the verbs of the audit trail. */
import { chooseVerb } from "./lib/args.ts";

const verbs: Readonly<Record<string, () => Promise<(args: string[]) => Promise<number>>>> = {
  search: async () => (await import("./audit/search.ts")).search,
  show: async () => (await import("./audit/show.ts")).show,
  tail: async () => (await import("./audit/tail.ts")).tail,
  verify: async () => (await import("./audit/verify.ts")).verify,
  prove: async () => (await import("./audit/prove.ts")).prove,
  stats: async () => (await import("./audit/stats.ts")).stats,
  run: async () => (await import("./audit/run.ts")).run,
  export: async () => (await import("./audit/export.ts")).exportLog,
  reindex: async () => (await import("./audit/reindex.ts")).reindex,
  "verify-proof": async () => (await import("./audit/prove.ts")).verifyProofFile,
  erase: async () => (await import("./audit/retain.ts")).erase,
  prune: async () => (await import("./audit/retain.ts")).prune,
  match: async () => (await import("./audit/match.ts")).match,
  tiles: async () => (await import("./audit/tiles.ts")).tiles,
  verifier: async () => (await import("./audit/verifier.ts")).verifier,
  fork: async () => (await import("./audit/fork.ts")).fork,
};

const usage = `Usage: postern audit VERB [options]

  search        find records by who, what, where, when and how it ended
  show REQUEST  everything on one statement or client message; --open unseals its text and parameters
  tail [-f]     the latest records, one sentence each
  stats         how many statements, by verdict, principal, table, rule, hour
  run RUN_ID    the story of one agent run: its prompts, statements, refusals, and how its SQL evolved
  export        records as jsonl, ocsf, ecs, cef or otlp
  reindex       make the search index anew, or check it (--check)
  verify DIR    check a log: every leaf, root, signature; exit 1 and the first bad place when something is wrong
  prove ID      write a proof that a record is in the log
  verify-proof  check such a proof, with no access to the log
  match REQUEST FILE  whether a copy of a result is what was delivered
  tiles OUT     write the log as C2SP tlog-tiles, for other software
  verifier      print the verifier as one file, for another machine
  erase         destroy the key of a day: what was sealed on it is unreadable for good
  prune         remove the oldest segments, after recording their root and range
  fork          go on after a restore, on the record, when the anchors know a longer log

Each takes -c postern.yaml or --dir AUDIT_DIR. postern audit VERB --help says more.
Reading the files directly, as these verbs do, cannot itself be recorded.
`;

/** Runs a verb. Gives 0 done, 1 a finding. Throws UsageError, ConfigError. */
export async function audit(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const load = chooseVerb(name, verbs, usage);
  if (load === null) return 0;
  return (await load())(rest);
}
