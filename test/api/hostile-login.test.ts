/** What pages of others, and whoever has time, can do to logins: fill the record and the store, and keep people out. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { readLeaves } from "../support/postern.ts";
import { createSamlIdp } from "../support/saml.ts";

const dir = mkdtempSync(join(tmpdir(), "postern-hostile-login-"));
let idp: TestIdp;
let gateway: ComposedGateway;
let url: string;

beforeAll(async () => {
  idp = await startTestIdp();

  writeFileSync(join(dir, "idp.xml"), createSamlIdp().metadata());
  writeFileSync(join(dir, "password"), "x");
  const settings = await parseConfig(
    `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0, public_url: "https://postern.example.com" }
identity:
  providers:
    - name: corp
      type: oidc
      issuer: ${idp.issuer}
      audience: postern
      kinds: [ { kind: human, when: 'true' } ]
      client: { id: postern-console }
    - { name: adfs, type: saml, metadata: idp.xml, audience: "https://postern.example.com" }
  lockout: { per_ip: 10, per_principal: 10, window: 5m, first: 10s, longest: 15m }
databases:
  - name: shop
    server: { host: 127.0.0.1, port: 1, dbname: shop, tls: { mode: disable } }
    logins: [ { groups: ["corp:testers"], user: nobody, password: { file: password } } ]
audit: { dir: audit, node: test, durability: process }
`,
    join(dir, "postern.yaml"),
  );
  gateway = await composeGateway(settings, pino({ level: "silent" }));
  url = `http://127.0.0.1:${gateway.http?.address.port}`;
}, 60_000);
afterAll(async () => {
  await gateway?.stop(0);
  await idp?.close();
  rmSync(dir, { recursive: true, force: true });
});

const get = (path: string) => fetch(url + path, { redirect: "manual" });
const acs = () =>
  fetch(`${url}/saml/acs`, {
    method: "POST",
    headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
    body: new URLSearchParams({ SAMLResponse: "PHg+", RelayState: "x" }),
  });

async function failures(code?: string): Promise<number> {
  await gateway.audit.settle();
  return (await readLeaves(join(dir, "audit"))).filter(
    (leaf) => leaf.type === "auth.failed" && (code === undefined || leaf.code === code),
  ).length;
}

describe("a page that makes its visitor's browser fail", () => {
  test("at /saml/acs and /saml/done does not shut their tokens out, and leaves few records", async () => {
    const before = await failures();
    for (let i = 0; i < 30; i++) await acs();
    for (let i = 0; i < 30; i++) await get(`/saml/done?state=${"x".repeat(32)}`);
    expect((await acs()).status).toBe(429);
    expect((await failures()) - before).toBeLessThan(30);
    // The same address, with a token.
    const token = await idp.mint({ sub: "erin", groups: ["testers"] });
    const me = await fetch(`${url}/api/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(me.status).toBe(200);
  });

  test("at /login/callback leaves few records", async () => {
    const before = await failures("LOGIN_STATE");
    for (let i = 0; i < 100; i++) expect((await get(`/login/callback?state=s${i}&code=c`)).status).toBe(400);
    const put = (await failures("LOGIN_STATE")) - before;
    expect(put).toBeGreaterThan(0);
    expect(put).toBeLessThanOrEqual(60);
  });
});

test("logins by SAML that one address begins are counted: each takes room in the store", async () => {
  let status = 0;
  for (let i = 0; i < 250 && status !== 429; i++) status = (await get("/saml/login?provider=adfs")).status;
  expect(status).toBe(429);
});
