/**
 * Which statements hold a password or the like. When unsure a statement is secret: its exact text is then not stored
 * anywhere, its stripped text still is, and the values of its parameters are not. Those of others are looked at one by one (looksSecret).
 */
import { type JsonObject, objectAt, stringAt } from "./tree.ts";

/**
 * A value that carries credentials: password=…, password '…', "password": …, //user:password@, Bearer …
 * Each alternative is linear: no two repeated classes beside each other share a character.
 */
const secretValue =
  /passw(?:or)?d["'\]\s]{0,16}[=:'$]|\/\/[^\s/@:]{0,256}:[^\s/@]{1,256}@|\bbearer\s|begin [a-z ]{0,32}private key/i;
/** No value shorter than this can match. */
export const secretLiteralLength = 6;
/** Names of settings and options whose value is a credential, or may be. */
const secretName = /passw|passphrase|secret|token|credential|key|conninfo/i;
/** Words in a text that nobody could parse, or in the body of a function. */
const secretWord = /password|passwd|identified|secret|token|credential/i;
/** Functions whose constant arguments and parameters are credentials or keys (dblink, pgcrypto). */
const secretFunction =
  /^(?:dblink_connect|dblink_connect_u|crypt|hmac|encrypt|encrypt_iv|decrypt|decrypt_iv|pgp_(?:sym|pub)_.*)$/;

/** True for a string (literal or constant) that looks like it carries credentials. */
export function looksSecret(value: string): boolean {
  return value.length >= secretLiteralLength && secretValue.test(value);
}

/** True for a text that may hold a secret, judged by its words alone: for texts that could not be parsed. */
export function mentionsSecret(text: string): boolean {
  return secretWord.test(text);
}

/** Statements that carry connection options, and where. Any option at all makes them secret. */
const optionHolders: ReadonlyMap<string, string> = new Map([
  ["CreateUserMappingStmt", "options"],
  ["AlterUserMappingStmt", "options"],
  ["CreateForeignServerStmt", "options"],
  ["AlterForeignServerStmt", "options"],
  ["CreateFdwStmt", "options"],
  ["AlterFdwStmt", "options"],
  ["CreateSubscriptionStmt", "conninfo"],
  ["AlterSubscriptionStmt", "conninfo"],
]);

export interface NodeSecret {
  /** This node makes its statement secret. */
  readonly secret: boolean;
  /** Whether it does depends on its literals. */
  readonly literal: boolean;
  /** The secret is a setting's value, and so may be written as a plain word. */
  readonly setting: boolean;
}
const harmless: NodeSecret = { secret: false, literal: false, setting: false };
const secret: NodeSecret = { secret: true, literal: false, setting: false };
const secretSetting: NodeSecret = { secret: true, literal: false, setting: true };

/**
 * Looks at one node of the parser's tree: `name` its type, `node` its fields. Strings are judged by looksSecret().
 */
export function nodeSecret(name: string, node: JsonObject): NodeSecret {
  const holder = optionHolders.get(name);
  if (holder !== undefined) return node[holder] === undefined ? harmless : secret;
  switch (name) {
    case "DefElem":
      return secretName.test(stringAt(node, "defname")) ? secret : harmless;
    case "VariableSetStmt":
      return secretName.test(stringAt(node, "name")) && node.args !== undefined ? secretSetting : harmless;
    case "FuncCall":
      return functionSecret(node);
    case "DoStmt":
    case "CreateFunctionStmt":
      return bodyMentionsSecret(node) ? secret : harmless;
    default:
      return harmless;
  }
}

function functionSecret(node: JsonObject): NodeSecret {
  const name = lastName(node.funcname);
  const args = node.args;
  if (secretFunction.test(name))
    return /"(?:A_Const|ParamRef)"/.test(JSON.stringify(args ?? "")) ? secret : harmless;
  if (name !== "set_config") return harmless;
  const first = Array.isArray(args) ? objectAt(objectAt(args[0], "A_Const"), "sval") : undefined;
  const setting = stringAt(first, "sval");
  return { secret: secretName.test(setting), literal: true, setting: false };
}

function lastName(names: unknown): string {
  if (!Array.isArray(names)) return "";
  const last: unknown = names[names.length - 1];
  return stringAt(objectAt(last, "String"), "sval").toLowerCase();
}

/** The body is a string in a DefElem named "as"; a word in it is enough. What makes roles may put the rest of its text together. */
function bodyMentionsSecret(node: JsonObject): boolean {
  const options = node.options ?? node.args;
  return /passw|credential|(?:create|alter)(?:\s|\\[nrt])+(?:role|user|subscription)\b/i.test(
    JSON.stringify(options ?? ""),
  );
}
