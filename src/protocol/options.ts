import { ProtocolError } from "./errors.ts";

/**
 * Reads the `options` of a startup packet: command-line switches of the server, split at white space, where a backslash
 * takes the next character as it is (PostgreSQL manual, "Connection Strings", `options`; pg_split_opts).
 * Understood are `-c name=value`, `-cname=value` and `--name=value`; a "-" in a name stands for "_".
 * @returns names (in the case they were sent) and values, in order.
 * Throws ProtocolError "42601" on every other switch or argument.
 */
export function parseOptions(options: string): [name: string, value: string][] {
  const words = split(options);
  const settings: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "-c") {
      i++;
      settings.push(setting(words[i], "-c"));
    } else if (word.startsWith("-c")) {
      settings.push(setting(word.slice(2), "-c"));
    } else if (word.startsWith("--") && word.length > 2) {
      settings.push(setting(word.slice(2), "--"));
    } else {
      throw new ProtocolError("invalid command-line argument in startup packet options", "42601");
    }
  }
  return settings;
}

function setting(text: string | undefined, flag: string): [string, string] {
  const equals = text === undefined ? -1 : text.indexOf("=");
  if (text === undefined || equals < 1)
    throw new ProtocolError(`${flag} in startup packet options requires a name and a value`, "42601");
  return [text.slice(0, equals).replaceAll("-", "_"), text.slice(equals + 1)];
}

/** White space is what isspace() says in the C locale. A backslash at the very end is dropped, as PostgreSQL does. */
function split(options: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let escaped = false;
  for (const char of options) {
    if (escaped) {
      word = (word ?? "") + char;
      escaped = false;
    } else if (char === "\\") {
      word ??= "";
      escaped = true;
    } else if (/[ \t\n\v\f\r]/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== null) words.push(word);
  return words;
}
