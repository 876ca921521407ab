/** The console's files: what is served, how, and what never is. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HttpListener, startHttp } from "../../src/api/index.ts";

const root = mkdtempSync(join(tmpdir(), "postern-console-"));
const built = join(root, "console");
const script = `console.log("${"x".repeat(5000)}")`;
let listener: HttpListener;
let empty: HttpListener;

beforeAll(async () => {
  mkdirSync(join(built, "assets"), { recursive: true });
  writeFileSync(join(root, "secret.json"), '{"secret":true}');
  writeFileSync(join(built, "index.html"), "<!doctype html><title>Console</title>");
  writeFileSync(join(built, "favicon.svg"), "<svg/>");
  writeFileSync(join(built, "assets/app-Ab12Cd34.js"), script);
  writeFileSync(join(built, "assets/app-Ab12Cd34.js.br"), brotliCompressSync(script));
  writeFileSync(join(built, "assets/app-Ab12Cd34.js.gz"), gzipSync(script));
  writeFileSync(join(built, "notes.exe"), "no");
  symlinkSync(join(root, "secret.json"), join(built, "link.json"));
  const deps = { version: "1", readiness: () => ({}), metrics: () => [], onError: () => {} };
  const address = { host: "127.0.0.1", port: 0 };
  listener = await startHttp(address, { ...deps, consoleDir: built }, null);
  empty = await startHttp(address, { ...deps, consoleDir: join(root, "nothing") }, null);
});
afterAll(async () => {
  await Promise.all([listener.close(), empty.close()]);
  rmSync(root, { recursive: true, force: true });
});

interface Got {
  readonly status: number | undefined;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

/** As it stands: no tidying of the path, no unpacking. */
function get(
  path: string,
  headers: Record<string, string> = {},
  from = listener,
  method = "GET",
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ port: from.address.port, host: "127.0.0.1", path, headers, method }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () =>
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}
const page = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

describe("the built console", () => {
  test("its page stands at every address of its own, under a strict policy, never kept", async () => {
    for (const path of ["/", "/live", "/approvals/0198", "/trail/x?y=1", "/trail/api"]) {
      const { status, headers, body } = await get(path, page);
      expect([path, status, body.toString()]).toEqual([path, 200, "<!doctype html><title>Console</title>"]);
      expect(headers["cache-control"]).toBe("no-cache");
      const csp = String(headers["content-security-policy"]);
      expect(csp).toContain("default-src 'self'");
      expect(csp).not.toMatch(/unsafe|https?:|\*/);
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["x-frame-options"]).toBe("DENY");
    }
  });

  test("hashed files are kept for a year, packed as the browser likes", async () => {
    const path = "/assets/app-Ab12Cd34.js";
    const plain = await get(path);
    expect(plain.headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "cache-control": "public, max-age=31536000, immutable",
      "content-length": String(script.length),
      vary: "accept-encoding",
    });
    expect(plain.headers["content-encoding"]).toBeUndefined();
    expect(plain.body.toString()).toBe(script);
    const brotli = await get(path, { "accept-encoding": "gzip, deflate, br, zstd" });
    expect([brotli.headers["content-encoding"], brotli.body]).toEqual(["br", brotliCompressSync(script)]);
    const gzip = await get(path, { "accept-encoding": "br;q=0, GZIP" });
    expect(gzip.headers["content-encoding"]).toBe("gzip");
    const head = await get(path, {}, listener, "HEAD");
    expect([head.status, head.body.length, head.headers["content-length"]]).toEqual([
      200,
      0,
      String(script.length),
    ]);
  });

  test.each([
    "/assets/app-Ab12Cd34.css",
    "/assets/app-Ab12Cd34.js.br",
    "/assets/../../secret.json",
    "/%2e%2e/secret.json",
    "/..%2fsecret.json",
    "/link.json",
    "/notes.exe",
    "/assets",
    "/assets/",
    "/.hidden",
    "/api/nothing",
    "/oauth/nothing",
    "/mcp/x",
    "/.well-known/x",
    "/saml/x",
    "/index.html/",
    `/${"a".repeat(600)}`,
  ])("%s is no file: a 404 in JSON for programs", async (path) => {
    for (const headers of [
      {},
      path.startsWith("/a") || path.includes("link") || path.includes("notes") ? {} : {},
    ]) {
      const { status, body, headers: got } = await get(path, headers);
      expect([status, JSON.parse(body.toString()).error.code]).toEqual([404, "NOT_FOUND"]);
      expect(got["content-security-policy"]).toContain("default-src 'none'");
    }
    expect((await get(path, page)).body.toString()).not.toContain("secret");
  });

  test("addresses of the API never get its page", async () => {
    for (const path of [
      "/api/nothing",
      "/api",
      "/oauth/x",
      "/mcp",
      "/assets/x.js",
      "/healthz/x",
      "/saml/acs",
    ])
      expect((await get(path, page)).status).toBe(404);
    expect((await get("/", {}, listener, "POST")).status).toBe(404);
  });

  test("without a build a page says what to do", async () => {
    const { status, body, headers } = await get("/", page, empty);
    expect([status, body.toString()]).toEqual([503, expect.stringContaining("The console is not built")]);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect((await get("/", {}, empty)).status).toBe(404);
  });
});
