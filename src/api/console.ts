/** The console: files of `dist/console`, read as they are asked for. Unknown addresses get its index.html, which has routes of its own. */
import { createReadStream } from "node:fs";
import { open, readFile, realpath } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Context, Hono } from "hono";
import type { ApiEnv } from "./env.ts";
import { ApiError, failure } from "./failure.ts";
import { consolePolicy } from "./headers.ts";

/** Where the build puts it, in a checkout and in the package alike. */
export const builtConsole = fileURLToPath(new URL("../../dist/console", import.meta.url));

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

/** First parts of addresses that are never the console's. */
const reserved = /^\/(api|oauth|saml|mcp|login|logout|healthz|readyz|metrics|assets|\.well-known)(\/|$)/;

/** The console has a page here, too: login/routes.ts says who gets it. */
const loginPath = "/login";

/** Hashed by the build: what they hold never changes. */
const hashed = /^\/assets\/[\w.-]+-[\w-]{8,}\.[a-z0-9]+$/;

const pageHeaders = { "content-security-policy": consolePolicy, "referrer-policy": "same-origin" } as const;

export function serveConsole(app: Hono<ApiEnv>, folder: string): void {
  app.get("*", async (context) => {
    const { path } = context.req;
    const file = await openAsset(folder, path);
    if (file !== null) return sendFile(context, file, path);
    if ((reserved.test(path) && path !== loginPath) || !wantsPage(context)) return notFound();
    const index = await openAsset(folder, "/index.html");
    return index === null ? notBuilt() : sendFile(context, index, "/index.html");
  });
}

interface Asset {
  readonly path: string;
  readonly size: number;
  readonly type: string;
}

/** Only plain names below the folder, with a type that is known, after links were followed. null: there is none. */
async function openAsset(folder: string, path: string): Promise<Asset | null> {
  if (!/^(\/[A-Za-z0-9_][\w.-]*)+$/.test(path) || path.length > 512) return null;
  const type = types[extname(path)];
  if (type === undefined) return null;
  try {
    const root = await realpath(folder);
    const real = await realpath(join(root, path));
    if (!real.startsWith(root + sep)) return null;
    await using file = await open(real, "r");
    const stats = await file.stat();
    return stats.isFile() ? { path: real, size: stats.size, type } : null;
  } catch {
    return null;
  }
}

async function sendFile(context: Context<ApiEnv>, asset: Asset, path: string): Promise<Response> {
  const headers = new Headers({
    ...pageHeaders,
    "content-type": asset.type,
    "cache-control": hashed.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
    vary: "accept-encoding",
  });
  let sent = asset;
  for (const [encoding, ending] of [
    ["br", ".br"],
    ["gzip", ".gz"],
  ] as const) {
    if (!accepts(context, encoding)) continue;
    const packed = await packedFile(asset, ending);
    if (packed === null) continue;
    sent = packed;
    headers.set("content-encoding", encoding);
    break;
  }
  headers.set("content-length", String(sent.size));
  if (context.req.method === "HEAD") return new Response(null, { headers });
  if (sent.size <= 256 * 1024) return new Response(new Uint8Array(await readFile(sent.path)), { headers });
  return new Response(Readable.toWeb(createReadStream(sent.path)) as ReadableStream<Uint8Array>, { headers });
}

async function packedFile(asset: Asset, ending: string): Promise<Asset | null> {
  try {
    await using file = await open(asset.path + ending, "r");
    return { ...asset, path: asset.path + ending, size: (await file.stat()).size };
  } catch {
    return null;
  }
}

/** RFC 9110 section 12.5.3, as far as browsers use it: named, and not with weight 0. */
function accepts(context: Context<ApiEnv>, encoding: string): boolean {
  return (context.req.header("accept-encoding") ?? "")
    .toLowerCase()
    .split(",")
    .some((one) => {
      const [name, ...weights] = one.split(";").map((text) => text.trim());
      return name === encoding && !weights.some((weight) => /^q=0(\.0*)?$/.test(weight));
    });
}

function wantsPage(context: Context<ApiEnv>): boolean {
  return (context.req.header("accept") ?? "").includes("text/html");
}

function notFound(): Response {
  return failure(new ApiError("NOT_FOUND", "there is nothing at this address"));
}

function notBuilt(): Response {
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Postern</title>
<h1>The console is not built</h1>
<p>This gateway runs from a checkout without its web app. Run <code>npm run build:console</code> there and load this page again.</p>
<p>The REST API is here: <a href="/api/openapi.json">/api/openapi.json</a></p></html>\n`;
  return new Response(page, {
    status: 503,
    headers: { ...pageHeaders, "content-type": "text/html; charset=utf-8" },
  });
}
