/** Tokens that a workload's platform gives it: GitHub Actions, GitLab CI, Kubernetes, or whatever put one into a file or variable. */
import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { audiencesOf } from "./audience.ts";
import { CliError } from "./error.ts";
import { clean } from "./gateway.ts";

/** Where Kubernetes projects tokens: of an audience of one's own first. */
const kubernetesFiles = [
  "/var/run/secrets/tokens/postern",
  "/var/run/secrets/postern/token",
  "/var/run/secrets/kubernetes.io/serviceaccount/token",
];

export interface WorkloadToken {
  readonly token: string;
  /** Where it came from, for people. */
  readonly source: string;
}

/** Whether the caller says which token to take; any other is found on this machine, or made on request. */
export function isGiven(env: NodeJS.ProcessEnv = process.env): boolean {
  return [env.POSTERN_TOKEN_FILE, env.POSTERN_TOKEN, env.POSTERN_ID_TOKEN].some(
    (value) => value !== undefined && value !== "",
  );
}

/**
 * The first that is there: POSTERN_TOKEN_FILE, POSTERN_TOKEN (GitLab's `id_tokens` puts it there), GitHub Actions' endpoint, a projected token of
 * Kubernetes. Throws CliError when there is none, or it cannot be had.
 * @param audience whom a token that is made on request is to be for.
 */
export async function workloadToken(
  audience: string,
  env: NodeJS.ProcessEnv = process.env,
  files: readonly string[] = kubernetesFiles,
): Promise<WorkloadToken> {
  const file = env.POSTERN_TOKEN_FILE;
  if (file !== undefined && file !== "") return { token: readToken(file), source: `file ${file}` };
  const given = env.POSTERN_TOKEN ?? env.POSTERN_ID_TOKEN;
  if (given !== undefined && given !== "") return { token: given.trim(), source: "environment" };
  const url = env.ACTIONS_ID_TOKEN_REQUEST_URL;
  const secret = env.ACTIONS_ID_TOKEN_REQUEST_TOKEN;
  if (url !== undefined && secret !== undefined)
    return { token: await fromGitHub(url, secret, audience), source: "GitHub Actions" };
  if (env.GITHUB_ACTIONS === "true")
    throw new CliError(2, "this job may not ask for a token", "Give it `permissions: { id-token: write }`.");
  const projected = files.find((one) => existsSync(one));
  if (projected !== undefined) {
    const token = readToken(projected);
    // The pod's own token opens the cluster's API: it is for nobody else.
    if (audiencesOf(token)?.includes(audience) !== true)
      throw new CliError(
        2,
        `the token at ${projected} is not for ${JSON.stringify(audience)}`,
        "Mount a projected token of that audience at /var/run/secrets/tokens/postern (docs/identity.md).",
      );
    return { token, source: `Kubernetes (${projected})` };
  }
  if (env.GITLAB_CI === "true")
    throw new CliError(
      2,
      "this job has no token",
      `Give it \`id_tokens: { POSTERN_TOKEN: { aud: ${audience} } }\`.`,
    );
  throw new CliError(
    2,
    "there is no workload token here",
    "Set POSTERN_TOKEN_FILE or POSTERN_TOKEN, or run where the platform gives one (docs/cli.md).",
  );
}

function readToken(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CliError(2, `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "?"})`);
  }
  if (text === "") throw new CliError(2, `${path} is empty`);
  return text;
}

const githubAnswer = z.object({ value: z.string().min(1) });

/** GitHub, "About security hardening with OpenID Connect": the request URL takes the audience as a parameter. */
async function fromGitHub(url: string, secret: string, audience: string): Promise<string> {
  if (!URL.canParse(url)) throw new CliError(2, "ACTIONS_ID_TOKEN_REQUEST_URL is not an address");
  const address = new URL(url);
  address.searchParams.set("audience", audience);
  let body: unknown;
  try {
    const response = await fetch(address, {
      headers: { authorization: `Bearer ${secret}`, accept: "application/json" },
      redirect: "error",
      signal: AbortSignal.timeout(15_000),
    });
    if (!response.ok) throw new CliError(3, `GitHub gave no token (status ${response.status})`);
    body = await response.json();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(3, `GitHub gave no token (${clean(error instanceof Error ? error.name : "failed")})`);
  }
  const parsed = githubAnswer.safeParse(body);
  if (!parsed.success) throw new CliError(3, "GitHub's answer cannot be read");
  return parsed.data.value;
}
