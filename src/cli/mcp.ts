/** `postern mcp`: MCP over standard input and output, for agents that start their servers as programs; it hands everything on to the gateway. */
import { readFile } from "node:fs/promises";
import { CliError } from "./account/error.ts";
import { readArgs, UsageError } from "./lib/args.ts";
import { type Access, bridge } from "./lib/bridge.ts";
import { loginAccess } from "./lib/mcplogin.ts";

const usage = `Usage: postern mcp [--url URL] [--agent NAME] [--token-file FILE]

Speaks MCP (one JSON message a line) on standard input and output, and hands it on to the gateway's /mcp: with the login that
postern login keeps, refreshed by itself, or with a token that you give.

  --url URL          the gateway's address   (default: $POSTERN_URL, then that of your login)
  --agent NAME       act as an agent of this name in yours; the record names it
  --profile NAME     of several logins, this one
  --token-file FILE  instead of your login: a file with a token, read again whenever it is needed (or $POSTERN_TOKEN)
  --ca FILE          PEM file with the authority of the gateway's certificate (default: that of your login)

Tokens go over https, or over http to this machine only.
`;

const defaultUrl = "http://127.0.0.1:8432";

export async function mcp(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, {
    url: { type: "string" },
    agent: { type: "string" },
    profile: { type: "string" },
    "token-file": { type: "string" },
    ca: { type: "string" },
  });
  if (parsed === null) return 0;
  const { agent, profile, ca, "token-file": file } = parsed.values;
  const address = parsed.values.url ?? (process.env.POSTERN_URL || undefined);
  const endpoint = address === undefined ? null : endpointOf(address);
  const given = tokenSource(file, process.env.POSTERN_TOKEN);
  if (given !== null && (agent !== undefined || profile !== undefined))
    throw new UsageError("--agent and --profile are for your login, not for a token that is given", usage);

  const login = loginAccess({ endpoint, agent, profile, ca: ca ?? null, endpointOf });
  let told = "";
  const warn = (text: string) => {
    // Agents try again and again: once is enough.
    if (text !== told) process.stderr.write(`postern mcp: ${text}\n`);
    told = text;
  };
  if (given === null) {
    const fault = login.fault();
    if (fault !== null) warn(fault);
  }
  await bridge({
    access: async (again): Promise<Access> => {
      if (given === null) return login.access(again);
      const place = endpoint === null ? login.place() : null;
      return {
        endpoint: endpoint ?? place?.endpoint ?? endpointOf(defaultUrl),
        ca: ca ?? place?.ca ?? null,
        token: await given(),
      };
    },
    input: process.stdin,
    write: (line) => process.stdout.write(`${line}\n`),
    warn,
  });
  return 0;
}

/** Throws UsageError for an address to which no token may be sent. */
function endpointOf(text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`${JSON.stringify(text)} is no URL`, usage);
  const url = new URL(text);
  const local = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && local))
    throw new UsageError("the address must be https (http only on this machine): tokens are secrets", usage);
  if (url.username !== "" || url.password !== "")
    throw new UsageError("the address may hold no password", usage);
  if (!url.pathname.endsWith("/mcp")) url.pathname = `${url.pathname.replace(/\/+$/, "")}/mcp`;
  url.search = "";
  url.hash = "";
  return url;
}

/** Where a token that is given comes from each time it is needed; a file may be renewed by somebody else. null: none is given. */
function tokenSource(file: string | undefined, given: string | undefined): (() => Promise<string>) | null {
  if (file !== undefined)
    return async () => {
      const text = await readFile(file, "utf8").catch(() => {
        throw new CliError(2, `the token file ${file} cannot be read`);
      });
      return text.trim();
    };
  return given === undefined || given === "" ? null : async () => given;
}
