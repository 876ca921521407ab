import type { Path } from "../problem.ts";
import type { Context } from "./context.ts";

/**
 * Groups are "group" or "provider:group". With several providers a bare group would be granted by whichever of them says it,
 * so there the provider must be named.
 */
export function checkGroups(
  context: Context,
  path: Path,
  groups: readonly string[],
  providers: readonly string[],
): void {
  for (const [index, group] of groups.entries()) {
    const colon = group.indexOf(":");
    const prefix = colon < 0 ? null : group.slice(0, colon);
    if (prefix !== null && !providers.includes(prefix))
      context.problem(
        [...path, index],
        "no provider has the name before the colon",
        `provider:group with ${known(providers)}`,
      );
    else if (prefix !== null && colon === group.length - 1)
      context.problem([...path, index], "there is no group after the colon", "provider:group");
    else if (prefix === null && providers.length > 1)
      context.problem(
        [...path, index],
        "it is not said which provider's group is meant",
        `provider:group with ${known(providers)}`,
      );
  }
}

function known(providers: readonly string[]): string {
  return providers.length === 0 ? "a provider of identity.providers" : `provider ${providers.join(" or ")}`;
}
