/** Client certificates: SPIFFE X.509-SVIDs and others as logins, and as what a token is bound to. */
import { createHash } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createIdentity, type Identity } from "../../src/identity/index.ts";
import type { MtlsProviderSettings, ProviderSettings } from "../../src/identity/settings.ts";
import { provider as oidc } from "../identity/helpers.ts";
import { type Certificate, createAuthority, selfSigned } from "../support/certificates.ts";
import { startTestIdp } from "../support/idp.ts";
import {
  askPassword,
  type Bench,
  bench,
  certificate,
  goodToken,
  type Peer,
  password,
  sslRequest,
  startup,
} from "./client-support.ts";

const authority = createAuthority({ key: "ec" });
const stranger = createAuthority({ key: "ec", name: "Somebody else" });
const tls = { ...certificate, clientCa: authority.cert };
const spiffe = "spiffe://prod.example.org/ns/shop/sa/reporter";

let running: { stop(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const one of running) await one.stop();
  running = [];
});

function mtls(changes: Partial<MtlsProviderSettings> = {}): MtlsProviderSettings {
  return {
    name: "mesh",
    type: "mtls",
    subject: "spiffe",
    domains: ["prod.example.org"],
    kinds: [{ kind: "service", when: 'claims.spiffe.trust_domain == "prod.example.org"' }],
    groupsFrom: [{ group: { expression: "claims.spiffe.path.substring(1)" }, when: null }],
    ...changes,
  };
}

async function start(
  providers: readonly ProviderSettings[] = [mtls()],
  auth: ("cert" | "password" | "oauthbearer")[] = ["cert"],
): Promise<Bench> {
  const identity: Identity = await createIdentity(providers);
  const started = await bench({ tls, identity, settings: { auth, tls: "required" } });
  running.push(started, { stop: () => identity.close() });
  return started;
}

const issue = (hosts: readonly string[], more: object = {}) =>
  authority.issue({ hosts, name: "client", ...more });

/** Connects with a certificate and sends the startup packet. */
async function greet(b: Bench, client: Certificate | null, options: object = {}): Promise<Peer> {
  const peer = await b.connect();
  peer.send(sslRequest);
  expect((await peer.read(1)).toString()).toBe("S");
  await peer.secure({ ...(client === null ? {} : { cert: client.cert, key: client.key }), ...options });
  return peer.send(startup());
}

describe("a certificate as login", () => {
  it("an X.509-SVID: subject, groups, and the end of the session", async () => {
    const b = await start();
    const client = issue([spiffe], { until: 1 });
    await greet(b, client);
    const { principal, tls: version } = await b.nextClient();
    expect(principal).toMatchObject({
      subject: spiffe,
      issuer: "spiffe://prod.example.org",
      kind: "service",
      groups: ["ns/shop/sa/reporter"],
      provider: "mesh",
      token: { sha256: createHash("sha256").update(client.der).digest("hex") },
    });
    expect(version).toBe("TLSv1.3");
    const day = 86_400;
    expect(principal.token.expires).toBeGreaterThan(Date.now() / 1000);
    expect(principal.token.expires).toBeLessThanOrEqual(Date.now() / 1000 + day + 1);
    expect(b.failures).toEqual([]);
  });

  it("in TLS 1.2, and in a resumed session", async () => {
    const b = await start();
    const client = issue([spiffe]);
    await greet(b, client, { maxVersion: "TLSv1.2" });
    expect((await b.nextClient()).principal.subject).toBe(spiffe);
    const first = await greet(b, client, { maxVersion: "TLSv1.2" });
    await b.nextClient();
    const { socket } = first;
    const session =
      "getSession" in socket ? (socket as import("node:tls").TLSSocket).getSession() : undefined;
    const again = await greet(b, client, { maxVersion: "TLSv1.2", session });
    expect((again.socket as import("node:tls").TLSSocket).isSessionReused()).toBe(true);
    expect((await b.nextClient()).principal.subject).toBe(spiffe);
  });

  it.each<[string, () => Certificate, string]>([
    ["of another authority", () => stranger.issue({ hosts: [spiffe] }), "not verified"],
    ["that signed itself", () => selfSigned({ hosts: [spiffe] }), "not verified"],
    ["that is over", () => issue([spiffe], { from: -10, until: -1 }), "not verified: CERT_HAS_EXPIRED"],
    ["without a SPIFFE ID", () => issue(["reporter.example.org"]), "not exactly one SPIFFE ID"],
    ["with two of them", () => issue([spiffe, `${spiffe}2`]), "not exactly one SPIFFE ID"],
    [
      "with another URI beside it",
      () => issue([spiffe, "https://x.example.org/"]),
      "not exactly one SPIFFE ID",
    ],
    [
      "of another trust domain",
      () => issue(["spiffe://dev.example.org/a"]),
      'trust domain "dev.example.org" is not configured',
    ],
    [
      "with a name that looks like two",
      () => issue([`${spiffe}, URI:spiffe://prod.example.org/admin`]),
      "not exactly one SPIFFE ID",
    ],
  ])("none %s", async (_, make, why) => {
    const b = await start();
    const peer = await greet(b, make());
    const said = await peer.fatal();
    expect(said.code).toBe("28000");
    expect(said.message).toBe("authentication failed: the client certificate was not accepted");
    expect(b.failures).toHaveLength(1);
    expect(b.failures[0]?.code).toBe("CERTIFICATE_REFUSED");
    expect(b.failures[0]?.cause).toContain(why);
    expect(b.clients).toEqual([]);
  });

  it("none at all", async () => {
    const b = await start();
    expect((await (await greet(b, null)).fatal()).code).toBe("28000");
    expect(b.failures.map(({ code }) => code)).toEqual(["CERTIFICATE_MISSING"]);
  });

  it("DNS and mail names, in their domains; a common name", async () => {
    const b = await start([
      mtls({ name: "hosts", subject: "dns", domains: ["workers.example.org"], kinds: [], groupsFrom: [] }),
      mtls({
        name: "people",
        subject: "email",
        domains: ["example.org"],
        kinds: [{ kind: "human", when: "true" }],
        groupsFrom: [],
      }),
      mtls({
        name: "old",
        subject: "cn",
        domains: [],
        kinds: [],
        groupsFrom: [],
        require: ['claims.cn == "batch-7"'],
      }),
    ]);
    await greet(b, issue(["W1.workers.example.org"]));
    expect((await b.nextClient()).principal).toMatchObject({
      subject: "w1.workers.example.org",
      provider: "hosts",
      kind: "agent",
    });
    await greet(b, issue(["alice@example.org"]));
    expect((await b.nextClient()).principal).toMatchObject({
      subject: "alice@example.org",
      email: "alice@example.org",
      kind: "human",
    });
    await greet(b, issue([], { name: "batch-7" }));
    expect((await b.nextClient()).principal).toMatchObject({ subject: "batch-7", issuer: "mtls:old" });
    for (const hosts of [["x.evil-workers.example.org"], ["*.workers.example.org"], ["a@evil.org"]])
      expect((await (await greet(b, issue(hosts))).fatal()).code).toBe("28000");
  });

  it("who shows none is asked for a token where that is offered; who shows a bad one is refused", async () => {
    const idp = await startTestIdp();
    running.push({ stop: () => idp.close() });
    const b = await start([mtls(), oidc(idp.issuer)], ["cert", "password"]);
    const peer = await greet(b, null);
    expect(await peer.read(askPassword.length)).toEqual(askPassword);
    peer.send(password(await idp.mint()));
    expect((await b.nextClient()).principal.subject).toBe("alice");
    await greet(b, issue([spiffe]));
    expect((await b.nextClient()).principal.subject).toBe(spiffe);
    expect((await (await greet(b, stranger.issue({ hosts: [spiffe] }))).fatal()).code).toBe("28000");
  });

  it("a listener that cannot see certificates does not start", async () => {
    await expect(bench({ tls: certificate, settings: { auth: ["cert"] } })).rejects.toThrow("client_ca");
    await expect(bench({ settings: { auth: ["cert"] } })).rejects.toThrow("client_ca");
  });
});

describe("a token bound to a certificate", () => {
  it("gets in with that certificate only", async () => {
    const idp = await startTestIdp();
    running.push({ stop: () => idp.close() });
    const b = await start([oidc(idp.issuer)], ["password"]);
    const client = issue(["worker.example.org"]);
    const thumbprint = createHash("sha256").update(client.der).digest("base64url");
    const token = await idp.mint({ cnf: { "x5t#S256": thumbprint } });
    const login = async (shown: Certificate | null) => {
      const peer = await greet(b, shown);
      await peer.read(askPassword.length);
      return peer.send(password(token));
    };
    await login(client);
    expect((await b.nextClient()).principal.subject).toBe("alice");
    for (const other of [
      null,
      issue(["worker.example.org"]),
      stranger.issue({ hosts: ["worker.example.org"] }),
    ]) {
      expect((await (await login(other)).fatal()).code).toBe("28P01");
      expect(b.failures.at(-1)?.code).toBe("TOKEN_BOUND");
    }
  });

  it("listeners without client_ca ask for no certificate", async () => {
    const b = await bench({ tls: certificate, settings: { tls: "required" } });
    running.push(b);
    const peer = await greet(b, issue([spiffe]));
    await peer.read(askPassword.length);
    peer.send(password(goodToken));
    expect((await b.nextClient()).principal.subject).toBe("alice");
  });
});
