/** `postern mcp`: MCP over standard input and output, for agents that start their servers as programs; it hands everything on to the gateway. */
import { readFile } from "node:fs/promises";
import { readArgs, UsageError } from "./lib/args.ts";
import { bridge } from "./lib/bridge.ts";

const usage = `Usage: postern mcp [--url URL] [--token-file FILE]

Speaks MCP (one JSON message a line) on standard input and output, and hands it on to the gateway's /mcp with your token.

  --url URL          the gateway's address, e.g. https://postern.example.com   (default: $POSTERN_URL, then http://127.0.0.1:8432)
  --token-file FILE  a file with the token, read again whenever it is needed (default: $POSTERN_TOKEN)

Tokens go over https, or over http to this machine only.
`;

const defaultUrl = "http://127.0.0.1:8432";

export async function mcp(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, {
    url: { type: "string" },
    "token-file": { type: "string" },
  });
  if (parsed === null) return 0;
  const endpoint = endpointOf(parsed.values.url ?? process.env.POSTERN_URL ?? defaultUrl);
  const token = tokenSource(parsed.values["token-file"], process.env.POSTERN_TOKEN);
  await bridge({
    endpoint,
    token,
    input: process.stdin,
    write: (line) => process.stdout.write(`${line}\n`),
    warn: (text) => process.stderr.write(`postern mcp: ${text}\n`),
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

/** Where the token comes from each time it is needed; a file may be renewed by somebody else. */
function tokenSource(file: string | undefined, given: string | undefined): () => Promise<string> {
  if (file !== undefined) return async () => (await readFile(file, "utf8")).trim();
  if (given === undefined || given === "")
    throw new UsageError("there is no token: give --token-file, or set POSTERN_TOKEN", usage);
  return async () => given;
}
