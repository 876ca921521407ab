/** Names and order of what the gateway has lines for. */

export interface Line {
  readonly key: string;
  readonly name: string;
  readonly text: string;
}

export const languages: Readonly<Record<string, string>> = {
  env: "DATABASE_URL",
  node: "Node.js",
  python: "Python",
  go: "Go",
  java: "Java",
  rust: "Rust",
  ruby: "Ruby",
  php: "PHP",
  dotnet: ".NET",
};

export const mcpClients: Readonly<Record<string, string>> = {
  chatgpt: "ChatGPT",
  claude: "Claude",
  cursor: "Cursor",
  codex: "Codex",
  vscode: "VS Code",
};

/** Known ones first, in this order; others under their own key. */
export function groupsOf(
  lines: Readonly<Record<string, string>>,
  names: Readonly<Record<string, string>>,
): readonly Line[] {
  const order = Object.keys(names);
  const place = (key: string) => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.entries(lines)
    .map(([key, text]) => ({ key, name: names[key] ?? key, text }))
    .sort((one, other) => place(one.key) - place(other.key));
}
