/** Where a fault that another room found stands in the file. */
import { resolve } from "node:path";
import { valueAt } from "./explain.ts";
import { FileFault, readText } from "./files.ts";
import { ConfigError, formatPath, type Path } from "./problem.ts";
import { maxFileBytes, readSource } from "./source.ts";

/**
 * A ConfigError for a setting of an identity provider: `key` is the place below it, e.g. "kinds[1].when". A file that has
 * changed or gone since it was loaded gives the place 1:1.
 */
export async function providerError(
  file: string,
  provider: string,
  key: string,
  what: string,
): Promise<ConfigError> {
  const below = key.split(/[.[\]]+/).filter((part) => part !== "");
  const tail: Path = below.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  let text = "";
  try {
    text = await readText(resolve(file), maxFileBytes, { keepMark: true });
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
  }
  const source = readSource(text, file);
  const list = valueAt(source.value, ["identity", "providers"]);
  const index = Array.isArray(list) ? list.findIndex((one) => valueAt(one, ["name"]) === provider) : -1;
  const path: Path = ["identity", "providers", ...(index < 0 ? [] : [index, ...tail])];
  return new ConfigError([
    { file, ...source.place(path, "value"), key: formatPath(path), what, expected: expectedOf(tail) },
  ]);
}

const condition = "a CEL condition over claims and groups, such as '\"employees\" in claims.groups'";

/** What the setting should be, by its last name. */
function expectedOf(tail: Path): string {
  switch (tail.findLast((part) => typeof part === "string")) {
    case "when":
    case "require":
      return condition;
    case "value":
      return "a CEL expression for one or more groups, such as '\"repo/\" + claims.repository'";
    case "metadata":
      return "the identity provider's SAML 2.0 metadata: a file, or an https URL";
    case "token_types":
      return "types of tokens that are made for logins, such as at+jwt";
    case "jwks":
      return 'a JSON Web Key Set: { "keys": [public keys] }';
    default:
      return "";
  }
}
