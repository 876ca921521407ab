import { ConfigError, parseConfig, type Settings } from "../../src/config/index.ts";

/** The smallest configuration that is accepted; without the keys named. */
export function minimal(...without: string[]): string {
  const sections: Record<string, string> = {
    version: "version: 1",
    identity: `identity:
  providers:
    - name: corp
      type: oidc
      issuer: https://idp.example.com
      audience: postern`,
    databases: `databases:
  - name: shop
    server: { host: 127.0.0.1 }
    logins:
      - { groups: [dba], user: shop_admin, password: { env: PW } }`,
  };
  const kept = Object.entries(sections).filter(([name]) => !without.includes(name));
  return `${kept.map(([, text]) => text).join("\n")}\n`;
}

/** The problems of a text as "line:column key: what; expected …", or [] when it is accepted. */
export async function problemsOf(
  text: string,
  env: NodeJS.ProcessEnv = { PW: "x" },
  file = "/nowhere/p.yaml",
): Promise<string[]> {
  try {
    await parseConfig(text, file, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n").map((line) => line.replace(`${file}:`, ""));
  }
}

export function settingsOf(
  text: string,
  env: NodeJS.ProcessEnv = { PW: "x" },
  file = "/nowhere/p.yaml",
): Promise<Settings> {
  return parseConfig(text, file, env);
}

/**
 * Takes the marks ‸ out of a text: they stand where its problems are expected, in the order of the file. Gives the text and
 * the problems with their places in front.
 */
export function placed(marked: string, problems: readonly string[]): { text: string; expected: string[] } {
  const [first = "", ...parts] = marked.split("‸");
  let text = first;
  const places = parts.map((part) => {
    const lines = text.split("\n");
    text += part;
    return `${lines.length}:${(lines.at(-1) ?? "").length + 1}`;
  });
  if (places.length !== problems.length) throw new Error("as many marks as problems are needed");
  return { text, expected: problems.map((problem, index) => `${places[index]} ${problem}`) };
}
