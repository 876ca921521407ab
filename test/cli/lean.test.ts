import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { afterEach, expect, test } from "vitest";
import { folder } from "./support.ts";

const program = join(import.meta.dirname, "../../bin/postern.js");
let cleanup: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of cleanup.reverse()) await step();
  cleanup = [];
});

/** Starts the gateway, waits until it is up, and gives the addresses of all modules that it loaded by then. */
async function loadedBy(more: string): Promise<string> {
  const dir = folder();
  cleanup.push(() => dir.remove());
  const place = (name: string) => join(dir.path, name);
  const { publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "test", alg: "ES256", use: "sig" };
  writeFileSync(place("jwks.json"), JSON.stringify({ keys: [jwk] }));
  // Its upstream is asked for nothing at the start.
  writeFileSync(
    place("postern.yaml"),
    `version: 1
identity: { providers: [{ name: corp, type: oidc, issuer: "https://idp.example.com", audience: postern, jwks: "file:./jwks.json" }] }
databases:
  - name: shop
    server: { host: 127.0.0.1, port: 1, dbname: shop, tls: { mode: disable } }
    logins: [{ groups: [agents], user: reader, password: { env: UPSTREAM_PASSWORD } }]
audit: { dir: audit, durability: process }
${more}
`,
  );
  writeFileSync(
    place("hook.mjs"),
    `import { appendFileSync } from "node:fs";
     import { registerHooks } from "node:module";
     registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(place("loaded"))}, url + "\\n"); return next(url, context); } });`,
  );
  const child = spawn(
    process.execPath,
    ["--import", place("hook.mjs"), program, "serve", "-c", place("postern.yaml")],
    { env: { ...process.env, UPSTREAM_PASSWORD: "secret" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  cleanup.push(() => {
    child.kill("SIGKILL");
    return ended;
  });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    const listen = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("listening for PostgreSQL clients")) resolve();
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    void ended.then(() => reject(new Error(said)));
  });
  return readFileSync(place("loaded"), "utf8");
}

/** Each takes megabytes. */
const doors = /\/src\/(api|mcp)\/|node_modules\/(hono|@hono|@modelcontextprotocol|oauth4webapi|@node-saml)\//;

// A whole gateway starts, with each of its modules told of.
const patience = 120_000;

test(
  "a gateway without an http listener loads no REST, no console, no MCP and no SAML",
  async () => {
    const loaded = await loadedBy("listen: { postgres: 127.0.0.1:0 }");
    expect(loaded).toContain("/src/gateway/index.ts");
    expect(loaded.split("\n").filter((url) => doors.test(url))).toEqual([]);
  },
  patience,
);

test(
  "one whose MCP is off loads nothing of that",
  async () => {
    const loaded = await loadedBy(
      "listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0 }\nmcp: { enabled: false }",
    );
    expect(loaded).toContain("/src/api/index.ts");
    expect(loaded).not.toMatch(/\/src\/mcp\/|node_modules\/(@modelcontextprotocol|@node-saml)\//);
  },
  patience,
);
