/** Connection lines of many clients. `{token}` stands for the token: it is put in where it is shown, and nowhere else. Pure. */

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Free text to Postern: who one is the token says. */
  readonly user: string;
  readonly tls: boolean;
}

const token = "{token}";

function hostPort({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function url(to: Endpoint, scheme: string, mode: string): string {
  const { user, database } = to;
  return `${scheme}://${encodeURIComponent(user)}:${token}@${hostPort(to)}/${encodeURIComponent(database)}${mode}`;
}

/** The token in PGPASSWORD: on the command line itself it would show in the list of processes. */
export function psqlLine(to: Endpoint): string {
  const { host, port, user, database, tls } = to;
  const words = [
    `host=${host}`,
    `port=${port}`,
    `dbname=${word(database)}`,
    `user=${word(user)}`,
    `sslmode=${sslmode(tls)}`,
  ];
  return `PGPASSWORD='${token}' psql ${shell(words.join(" "))}`;
}

/** libpq, "Connection Strings": values in single quotes, with backslashes before quotes and backslashes. */
function word(value: string): string {
  return /^[\w.@-]+$/.test(value) ? value : `'${value.replaceAll(/['\\]/g, "\\$&")}'`;
}

/** One word of a POSIX shell. */
function shell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function sslmode(tls: boolean): string {
  return tls ? "verify-full" : "disable";
}

export function urlLines(to: Endpoint): Record<string, string> {
  const mode = `?sslmode=${sslmode(to.tls)}`;
  const { host, database, user, tls, port } = to;
  return {
    env: `DATABASE_URL="${url(to, "postgresql", mode)}"`,
    node: url(to, "postgresql", mode),
    python: url(to, "postgresql", mode),
    go: url(to, "postgres", mode),
    java: `jdbc:postgresql://${hostPort(to)}/${encodeURIComponent(database)}?user=${encodeURIComponent(user)}&password=${token}&sslmode=${sslmode(tls)}`,
    ruby: url(to, "postgresql", mode),
    dotnet: `Host=${host};Port=${port};Database=${database};Username=${user};Password=${token};SSL Mode=${tls ? "VerifyFull" : "Disable"}`,
    rust: url(to, "postgresql", mode),
    php: `pgsql:host=${host};port=${port};dbname=${database};sslmode=${sslmode(tls)}`,
  };
}

/** Configuration of MCP clients for the gateway's endpoint. */
export function mcpLines(publicUrl: string): Record<string, string> {
  const address = `${publicUrl}/mcp`;
  const json = (value: unknown) => JSON.stringify(value, null, 2);
  const headers = { Authorization: `Bearer ${token}` };
  return {
    chatgpt: address,
    claude: `claude mcp add --transport http postern ${shell(address)} --header ${shell(`Authorization: Bearer ${token}`)}`,
    cursor: json({ mcpServers: { postern: { url: address, headers } } }),
    codex: `[mcp_servers.postern]\nurl = ${JSON.stringify(address)}\nbearer_token_env_var = "POSTERN_TOKEN"\n`,
    vscode: json({ servers: { postern: { type: "http", url: address, headers } } }),
  };
}
