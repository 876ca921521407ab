/** What REST asks of a running gateway's rooms, in its own words. */
import { basename } from "node:path";
import { ApiError, type Caller } from "../../api/index.ts";
import type { Anchoring, AuditLog } from "../../audit/index.ts";
import { IssueError, type PosternTokens } from "../../identity/tokens/index.ts";
import { type CompiledPolicy, PolicyError, policyFiles } from "../../policy/index.ts";
import { policyAt } from "./policy.ts";

export function anchorStates(anchoring: Pick<Anchoring, "states">) {
  return anchoring.states().map(({ anchor, anchored, unanchored, failing, keptAt }) => ({
    anchor,
    anchored,
    unanchored,
    failing,
    ageSeconds: keptAt === null ? null : Math.max(0, Math.round((Date.now() - keptAt) / 1000)),
  }));
}

/** The active policy with its texts, read where it lies: none when what lies there is another one by now. */
export function policyTexts(
  policies: { readonly current: CompiledPolicy },
  place: () => { readonly path: string } | null,
) {
  let known: { readonly digest: string; readonly files: { name: string; text: string }[] } | null = null;
  return {
    current: () => policies.current,
    files() {
      const { digest } = policies.current;
      if (known?.digest !== digest) known = { digest, files: read(place()?.path ?? null, digest) ?? [] };
      // What was changed and put back is found again.
      if (known.files.length === 0) {
        const { files } = known;
        known = null;
        return files;
      }
      return known.files;
    },
  };
}

function read(path: string | null, digest: string): { name: string; text: string }[] | null {
  if (path === null) return null;
  try {
    if (policyAt(path).digest !== digest) return null;
    return policyFiles(path).map(({ file, text }) => ({ name: basename(file), text }));
  } catch (error) {
    if (error instanceof PolicyError) return null;
    throw error;
  }
}

/** A Postern token for whoever asks by the console or with a token of an identity provider: for the wire and MCP, never for the API. */
export async function connectToken(
  tokens: PosternTokens,
  { principal }: Caller,
  wish: { readonly database: string | null; readonly seconds: number | null },
): Promise<{ readonly token: string; readonly expires: number }> {
  // A Postern token may be bound to less than its principal has: /oauth/token knows its bounds.
  if (principal.token.from !== undefined)
    throw new ApiError("FORBIDDEN", "a Postern token is exchanged for another one at /oauth/token");
  try {
    return await tokens.issue(principal, { audience: ["wire", "mcp"], ...wish });
  } catch (error) {
    if (error instanceof IssueError)
      throw new ApiError(error.code === "slow_down" ? "TOO_MANY_REQUESTS" : "FORBIDDEN", error.message);
    throw error;
  }
}

/** What whoever answers for the gateway should know when they look in. */
export function warningsOf(
  policy: CompiledPolicy | null,
  audit: Pick<AuditLog, "failure" | "low">,
  store: { readonly failure: Error | null },
): string[] {
  const warnings: string[] = [];
  if (audit.failure !== null) warnings.push("The audit log cannot be written: nothing is forwarded.");
  else if (audit.low) warnings.push("The disk of the audit log is nearly full: no new session begins.");
  if (store.failure !== null) warnings.push("The store does not answer: nothing that needs approval runs.");
  if (policy === null) warnings.push("No policy is loaded: every statement passes, and is recorded.");
  else if (policy.observe === "all")
    warnings.push("The policy only observes: nothing but masking is enforced.");
  else if (policy.observe === "some") warnings.push("Some rules of the policy only observe.");
  return warnings;
}
