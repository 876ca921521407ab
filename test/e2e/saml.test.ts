/** SAML through a whole gateway: console, token endpoint, and the wire with a real database behind it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import pg from "pg";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { freePort } from "../../src/demo/state.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { readLeaves } from "../support/postern.ts";
import {
  type AssertionParts,
  asPassword,
  assertionXml,
  createSamlIdp,
  encode,
  responseXml,
} from "../support/saml.ts";

const idp = createSamlIdp();
let folder = "";
let cluster: Cluster;
let gateway: ComposedGateway;
let url = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-saml-e2e-"));
  cluster = await startCluster({ hba: ["host all all 127.0.0.1/32 scram-sha-256"] });
  await cluster.query("postgres", "create role shop_reader login password 'pw'");
  await writeFile(join(folder, "idp.xml"), idp.metadata());
  const port = await freePort(0);
  url = `http://127.0.0.1:${port}`;
  const file = join(folder, "postern.yaml");
  const text = `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:${port} }
identity:
  providers:
    - name: adfs
      type: saml
      metadata: ./idp.xml
      audience: ${url}
      kinds: [ { kind: human, when: '"people" in groups' } ]
databases:
  - name: shop
    server: { host: 127.0.0.1, port: ${cluster.port}, dbname: postgres }
    logins: [ { groups: [people], user: shop_reader, password: { env: PW } } ]
audit: { dir: audit, node: test, durability: process }
store: sqlite:./postern.db
`;
  gateway = await composeGateway(await parseConfig(text, file, { PW: "pw" }), pino({ level: "silent" }));
});
afterAll(async () => {
  await gateway?.stop(0);
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

const signed = (parts: AssertionParts = {}) =>
  idp.sign(
    assertionXml({
      audience: [url],
      recipient: `${url}/saml/acs`,
      attributes: { groups: ["people"], email: ["alice@example.com"] },
      ...parts,
    }),
  );

async function connect(password: string): Promise<pg.Client> {
  const [address] = gateway.gateway.addresses;
  const port = address !== undefined && "port" in address ? address.port : 0;
  const client = new pg.Client({ host: "127.0.0.1", port, user: "anyone", database: "shop", password });
  client.on("error", () => {});
  await client.connect();
  return client;
}

describe("in the browser", () => {
  async function begin(query = "") {
    const response = await fetch(`${url}/saml/login?provider=adfs${query}`, { redirect: "manual" });
    expect(response.status).toBe(302);
    const location = new URL(response.headers.get("location") ?? "");
    const xml = inflateRawSync(
      Buffer.from(location.searchParams.get("SAMLRequest") ?? "", "base64"),
    ).toString();
    return {
      cookie: response.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "",
      request: / ID="([^"]+)"/.exec(xml)?.[1] ?? "",
      state: location.searchParams.get("RelayState") ?? "",
    };
  }
  const answer = (request: string, state: string, parts: AssertionParts = {}) =>
    fetch(`${url}/saml/acs`, {
      method: "POST",
      redirect: "manual",
      // As a browser posts a form that another site made.
      headers: {
        origin: "https://idp.example.com",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
      },
      body: new URLSearchParams({
        SAMLResponse: encode(
          responseXml(signed({ inResponseTo: request, ...parts }), {
            destination: `${url}/saml/acs`,
            inResponseTo: request,
          }),
        ),
        RelayState: state,
      }),
    });

  test("a person gets a console session", async () => {
    const { providers } = (await (await fetch(`${url}/api/login`)).json()) as { providers: unknown };
    expect(providers).toEqual([{ name: "adfs", type: "saml", url: "/saml/login?provider=adfs" }]);
    const { cookie, request, state } = await begin("&return=/live");
    const posted = await answer(request, state);
    expect(posted.status).toBe(303);
    const done = await fetch(`${url}${posted.headers.get("location") ?? ""}`, {
      redirect: "manual",
      headers: { cookie },
    });
    expect(done.status).toBe(302);
    expect(done.headers.get("location")).toBe("/live");
    const session = done.headers.getSetCookie().find((one) => one.startsWith("postern_session="));
    expect(session).toContain("HttpOnly");
    const me = await fetch(`${url}/api/me`, { headers: { cookie: session?.split(";", 1)[0] ?? "" } });
    expect(await me.json()).toMatchObject({
      subject: "alice",
      provider: "adfs",
      email: "alice@example.com",
      kind: "human",
      groups: ["people"],
      stepUpFresh: true,
    });
  });

  test("an agent gets none, and the record says why", async () => {
    const { cookie, request, state } = await begin();
    const posted = await answer(request, state, { attributes: { groups: ["agents"] } });
    const done = await fetch(`${url}${posted.headers.get("location") ?? ""}`, {
      redirect: "manual",
      headers: { cookie },
    });
    expect(done.status).toBe(403);
    expect(done.headers.getSetCookie().some((one) => one.startsWith("postern_session="))).toBe(false);
    await gateway.audit.settle();
    const failed = readLeaves(join(folder, "audit")).filter((leaf) => leaf.type === "auth.failed");
    expect(JSON.stringify(failed)).toContain("LOGIN_AGENT");
  });

  test("a forged answer: refused in plain words, on the record with its cause", async () => {
    const { request, state } = await begin();
    const response = await answer(request, state, { audience: ["https://other.example.com"] });
    expect(response.status).toBe(403);
    expect(await response.text()).not.toContain("audience");
    await gateway.audit.settle();
    const failed = readLeaves(join(folder, "audit")).filter((leaf) => leaf.type === "auth.failed");
    expect(JSON.stringify(failed)).toContain("TOKEN_AUDIENCE");
  });
});

describe("on the wire", () => {
  test("an assertion is a password, once", async () => {
    const password = asPassword(signed());
    const client = await connect(password);
    expect(
      (await client.query("select current_user, current_setting('postern.subject') as subject")).rows,
    ).toEqual([{ current_user: "shop_reader", subject: "alice" }]);
    await client.end();
    await expect(connect(password)).rejects.toMatchObject({ code: "28P01" });
    await gateway.audit.settle();
    const failed = readLeaves(join(folder, "audit")).filter((leaf) => leaf.type === "auth.failed");
    expect(JSON.stringify(failed)).toContain("TOKEN_REPLAYED");
    expect(JSON.stringify(failed)).not.toContain(password.slice(0, 60));
  });

  test("exchanged, it lasts for more than one connection", async () => {
    const assertion = asPassword(signed({ recipient: `${url}/oauth/token` }));
    const exchange = () =>
      fetch(`${url}/oauth/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "urn:ietf:params:oauth:grant-type:saml2-bearer",
          assertion,
          audience: "wire",
        }),
      });
    const response = await exchange();
    const { access_token: token } = (await response.json()) as { access_token: string };
    expect({ status: response.status, token }).toMatchObject({
      status: 200,
      token: expect.stringMatching(/^pgt_/),
    });
    for (let i = 0; i < 2; i++) {
      const client = await connect(token);
      expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
      await client.end();
    }
    expect((await exchange()).status).toBe(400);
  });
});
