/**
 * `node test/conformance/mcp.ts [FOLDER]`: the official server suite of @modelcontextprotocol/conformance against POST /mcp of a
 * `postern serve`. The package is none of ours: FOLDER is where it was installed (npm install --prefix FOLDER
 * @modelcontextprotocol/conformance). Exit code 0 when everything passed that applies, or the package is not there.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { freePort, listening, stop } from "../../bench/processes.ts";
import { startCluster } from "../support/cluster.ts";
import { runProgram } from "./support/program.ts";
import { createReport } from "./support/report.ts";

/** Scenarios about what this server does not offer, and does not declare; and what they ask for. */
const others: Readonly<Record<string, string>> = {
  "logging-set-level": "logging, which is not offered",
  "completion-complete": "completions, which are not offered",
  "tools-call-simple-text": "a tool of the suite's own server",
  "tools-call-image": "a tool of the suite's own server",
  "tools-call-audio": "a tool of the suite's own server",
  "tools-call-embedded-resource": "a tool of the suite's own server",
  "tools-call-mixed-content": "a tool of the suite's own server",
  "tools-call-with-logging": "a tool of the suite's own server",
  "tools-call-error": "a tool of the suite's own server",
  "tools-call-with-progress": "a tool of the suite's own server",
  "tools-call-sampling": "a tool of the suite's own server",
  "tools-call-elicitation": "a tool of the suite's own server",
  "json-schema-2020-12": "a tool of the suite's own server",
  "elicitation-sep1034-defaults": "a tool of the suite's own server",
  "elicitation-sep1330-enums": "a tool of the suite's own server",
  "resources-list": "resources, which are not offered",
  "resources-read-text": "resources, which are not offered",
  "resources-read-binary": "resources, which are not offered",
  "resources-templates-read": "resources, which are not offered",
  "resources-subscribe": "resources, which are not offered",
  "resources-unsubscribe": "resources, which are not offered",
  "prompts-list": "prompts, which are not offered",
  "prompts-get-simple": "prompts, which are not offered",
  "prompts-get-with-args": "prompts, which are not offered",
  "prompts-get-embedded-resource": "prompts, which are not offered",
  "prompts-get-with-image": "prompts, which are not offered",
};

/** Where the suite only recommends. */
const advice: Readonly<Record<string, string>> = {
  "server-sse-polling": "streams that can be taken up again, which a server without sessions does not have",
  "server-sse-multiple-streams": "sessions, which this server does not have",
};

const password = "conformance";
const program = join(import.meta.dirname, "../../bin/postern.js");
const given = process.argv[2] ?? join(import.meta.dirname, "../..");
const suite = join(given, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
const report = createReport((line) => console.log(line));

if (!existsSync(suite)) {
  report.skip("MCP", `@modelcontextprotocol/conformance is not installed in ${given}`);
  process.exit(0);
}

/** Adds the token, which the suite cannot: everything else, Host and Origin among it, as it came. */
async function tokenProxy(port: number, token: string): Promise<Server> {
  const server = createServer((from, to) => {
    const { method, url, headers } = from;
    const onward = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path: url,
        headers: { ...headers, authorization: `Bearer ${token}` },
      },
      (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(to);
      },
    );
    onward.on("error", () => to.destroy());
    to.on("close", () => onward.destroy());
    from.pipe(onward);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** The suite writes one folder a scenario. */
function checksOf(folder: string, scenario: string): readonly Check[] {
  const name = readdirSync(folder).find((one) => one.startsWith(`server-${scenario}-`));
  if (name === undefined) return [];
  return JSON.parse(readFileSync(join(folder, name, "checks.json"), "utf8")) as Check[];
}

const folder = mkdtempSync(join(tmpdir(), "postern-mcp-conformance-"));
const cluster = await startCluster({});
let gateway: ChildProcess | null = null;
let proxy: Server | null = null;
try {
  await cluster.query("postgres", `create role conformance login password '${password}'`);
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "conformance", alg: "ES256", use: "sig" };
  writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [jwk] }));
  const token = await new SignJWT({ groups: ["testers"], client_id: "conformance" })
    .setProtectedHeader({ alg: "ES256", kid: "conformance", typ: "at+jwt" })
    .setIssuer("https://idp.example.com")
    .setAudience("postern")
    .setSubject("tester")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(privateKey);
  const port = await freePort();
  proxy = await tokenProxy(port, token);
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  writeFileSync(
    join(folder, "postern.yaml"),
    `version: 1
listen: { postgres: 127.0.0.1:${await freePort()}, http: 127.0.0.1:${port}, public_url: "${url}" }
identity:
  providers:
    - { name: conformance, type: oidc, issuer: https://idp.example.com, audience: postern, jwks: file:jwks.json }
databases:
  - name: shop
    server: { host: 127.0.0.1, port: ${cluster.port}, dbname: postgres, tls: { mode: disable } }
    logins: [ { groups: [testers], user: conformance, password: { env: CONFORMANCE_PASSWORD } } ]
audit: { dir: ./audit, durability: process }
`,
  );
  gateway = spawn(process.execPath, [program, "serve", "-c", join(folder, "postern.yaml")], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, CONFORMANCE_PASSWORD: password, POSTERN_LOG: "error" },
  });
  await listening(port, gateway);
  const out = join(folder, "out");
  const ran = await runProgram(process.execPath, [
    suite,
    "server",
    "--url",
    `${url}/mcp`,
    "--suite",
    "all",
    "--output-dir",
    out,
  ]);
  const listed = await runProgram(process.execPath, [suite, "list"]);
  const all = [...(listed.stdout.split("Client scenarios")[0]?.matchAll(/^ {2}- ([\w-]+)/gm) ?? [])];
  for (const [, scenario = ""] of all) {
    const checks = existsSync(out) ? checksOf(out, scenario) : [];
    const failed = checks.filter(({ status }) => status !== "SUCCESS" && status !== "INFO");
    const advised = advice[scenario];
    if (advised !== undefined && failed.length > 0 && failed.every(({ status }) => status === "WARNING"))
      report.known(scenario, advised);
    else if (checks.length > 0 && failed.length === 0) report.pass(`${scenario} (${checks.length} checks)`);
    else if (others[scenario] !== undefined) report.skip(scenario, others[scenario]);
    else
      report.fail(
        scenario,
        failed.map(({ id, status, errorMessage }) => `${status} ${id}: ${errorMessage ?? ""}`).join("\n") ||
          ran.stderr,
      );
  }
} finally {
  proxy?.closeAllConnections();
  proxy?.close();
  if (gateway !== null) await stop(gateway);
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
}
const { passed, failed, known, skipped } = report.counts;
console.log(
  `\n${passed} passed, ${failed} failed, ${known} recommended only, ${skipped} not for this server`,
);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
