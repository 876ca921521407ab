/** Which policy a verb is about, and its mistakes as an exit code. */
import { loadConfig, type Settings } from "../../config/index.ts";
import { OfflineUnavailable } from "../../gateway/analyst/offline.ts";
import { type CompiledPolicy, formatPolicyProblem, PolicyError } from "../../policy/index.ts";
import { UsageError } from "../lib/args.ts";
import { policyAt } from "../lib/policy.ts";
import { printable } from "../lib/table.ts";

export const placeOptions = {
  config: { type: "string", short: "c" },
  policy: { type: "string", short: "p" },
  json: { type: "boolean" },
} as const;

export interface PolicyPlace {
  /** Where the policy lies. */
  readonly path: string;
  readonly policy: CompiledPolicy;
  /** null: no configuration was named. */
  readonly settings: Settings | null;
}

/** The policy named by `path`, else the configuration's. Throws UsageError, ConfigError, PolicyError. */
export async function findPolicy(
  given: { readonly path: string | undefined; readonly config: string | undefined },
  usage: string,
): Promise<PolicyPlace> {
  const settings = given.config === undefined ? null : await loadConfig(given.config);
  const path = given.path ?? settings?.policy?.path;
  if (path === undefined)
    throw new UsageError(
      settings === null ? "which policy? (a path, or -c postern.yaml)" : `${given.config} names no policy`,
      usage,
    );
  return { path, policy: policyAt(path), settings };
}

/** Runs a verb; the mistakes of a policy or test file are printed, one a line, and give 2; a database that cannot be asked gives 3. */
export async function reporting(json: boolean | undefined, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof OfflineUnavailable) {
      process.stderr.write(`postern: ${printable(error.message)}\n`);
      return 3;
    }
    if (!(error instanceof PolicyError)) throw error;
    if (json === true) process.stdout.write(`${JSON.stringify({ ok: false, problems: error.problems })}\n`);
    else for (const problem of error.problems) process.stderr.write(`${formatPolicyProblem(problem)}\n`);
    return 2;
  }
}
