/** Postern tokens at the listener over real TLS: bound to a certificate, by OAUTHBEARER, by SCRAM with and without channel binding. */
import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import type { ListenerSettings } from "../../src/gateway/settings.ts";
import { createIdentity } from "../../src/identity/index.ts";
import {
  createPosternTokens,
  type IssueRequest,
  type PosternTokens,
} from "../../src/identity/tokens/index.ts";
import {
  type ChannelBinding,
  certificateHash,
  encodeFrontend,
  scramClient,
} from "../../src/protocol/index.ts";
import { memoryStore } from "../../src/store/index.ts";
import { provider as oidc } from "../identity/helpers.ts";
import { type Certificate, createAuthority } from "../support/certificates.ts";
import {
  askPassword,
  type Bench,
  bench,
  certificate,
  message,
  type Peer,
  password,
  sslRequest,
  startup,
} from "./client-support.ts";

const authority = createAuthority({ key: "ec" });
const stranger = createAuthority({ key: "ec", name: "Somebody else" });
const issuer = "https://idp.example";
const bearer = "OAUTHBEARER";
const ok = { type: "R", body: Buffer.from([0, 0, 0, 0]) };

let running: { stop(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const one of running) await one.stop();
  running = [];
});

interface Place extends Bench {
  readonly tokens: PosternTokens;
}

async function start(auth: ListenerSettings["auth"]): Promise<Place> {
  const store = memoryStore();
  const tokens = createPosternTokens({ store });
  const identity = await createIdentity([oidc(issuer)], { tokens });
  const started = await bench({
    tls: { ...certificate, clientCa: authority.cert },
    identity,
    settings: { auth, tls: "required" },
  });
  running.push(started, { stop: () => identity.close() }, { stop: () => store.close() });
  return { ...started, tokens };
}

function person(): Principal {
  const now = Math.floor(Date.now() / 1000);
  return {
    subject: "erin",
    issuer,
    email: null,
    kind: "human",
    groups: ["dba"],
    actor: [],
    provider: "corp",
    claims: { sub: "erin" },
    token: { jti: "j1", sha256: "a".repeat(64), issued: now, expires: now + 3 * 86_400 },
  };
}

const give = (place: Place, request: IssueRequest = {}) =>
  place.tokens.issue(person(), { seconds: 3600, ...request });

const thumbprintOf = ({ der }: Certificate) => createHash("sha256").update(der).digest("base64url");

/** Through TLS to behind the startup packet. */
async function greet(place: Bench, user = "erin", client: Certificate | null = null): Promise<Peer> {
  const peer = await place.connect();
  peer.send(sslRequest);
  expect((await peer.read(1)).toString()).toBe("S");
  await peer.secure(client === null ? {} : { cert: client.cert, key: client.key });
  return peer.send(startup({ user }));
}

describe("a Postern token bound to a certificate", () => {
  const client = authority.issue({ hosts: ["worker.example.org"], until: 1 });

  async function login(place: Place, token: string, shown: Certificate | null) {
    const peer = await greet(place, "erin", shown);
    expect(await peer.read(askPassword.length)).toEqual(askPassword);
    return peer.send(password(token));
  }

  it("gets in with that certificate only, and the session ends with it", async () => {
    const place = await start(["password"]);
    const { token } = await give(place, { certificate: thumbprintOf(client) });
    await login(place, token, client);
    const { principal, certificateExpires } = await place.nextClient();
    expect(principal.subject).toBe("erin");
    const end = Date.now() / 1000 + 86_400;
    expect(certificateExpires).toBeGreaterThan(end - 86_400);
    expect(certificateExpires).toBeLessThanOrEqual(end + 1);
    for (const other of [
      null,
      authority.issue({ hosts: ["worker.example.org"] }),
      stranger.issue({ hosts: ["worker.example.org"] }),
    ]) {
      expect((await (await login(place, token, other)).fatal()).code).toBe("28P01");
      expect(place.failures.at(-1)?.code).toBe("TOKEN_BOUND");
    }
  });

  it("a certificate that nobody vouches for sets no end, nor does none", async () => {
    const place = await start(["password"]);
    const { token } = await give(place);
    await login(place, token, null);
    expect((await place.nextClient()).certificateExpires ?? null).toBeNull();
    await login(place, token, stranger.issue({ hosts: ["worker.example.org"] }));
    expect((await place.nextClient()).certificateExpires ?? null).toBeNull();
  });

  it("by SCRAM as well", async () => {
    const place = await start(["scram"]);
    const { token, user } = await give(place, { certificate: thumbprintOf(client) });
    expect(await scram(await greet(place, user, client), token)).toEqual(ok);
    expect((await place.nextClient()).certificateExpires).toBeGreaterThan(Date.now() / 1000);
    await expect(scram(await greet(place, user), token)).rejects.toThrow("28P01");
    expect(place.failures.at(-1)?.code).toBe("TOKEN_BOUND");
  });
});

describe("a Postern token by OAUTHBEARER", () => {
  const carry = (token: string, gs2 = "n,,") =>
    encodeFrontend({
      type: "saslInitialResponse",
      mechanism: bearer,
      data: Buffer.from(`${gs2}\x01auth=Bearer ${token}\x01\x01`),
    });

  it("is taken as any other token", async () => {
    const place = await start(["oauthbearer"]);
    const { token } = await give(place, { audience: ["wire"], database: "shop" });
    const peer = await greet(place);
    expect(await peer.message()).toEqual({ type: "R", body: Buffer.from(`\0\0\0\x0a${bearer}\0\0`) });
    peer.send(carry(token));
    expect((await place.nextClient()).principal).toMatchObject({ subject: "erin", groups: ["dba"] });
    expect(place.failures).toEqual([]);
  });

  it.each<[string, IssueRequest, string]>([
    ["for another place", { audience: ["api", "mcp"] }, "TOKEN_AUDIENCE"],
    ["for another database", { database: "user" }, "TOKEN_DATABASE"],
    ["bound to a certificate", { certificate: "A".repeat(43) }, "TOKEN_BOUND"],
  ])("is refused when it is %s, in the words of every refusal", async (_what, request, code) => {
    const place = await start(["oauthbearer"]);
    const { token } = await give(place, request);
    const peer = await greet(place);
    await peer.message();
    peer.send(carry(token));
    const failure = await peer.message();
    expect(JSON.parse(failure.body.subarray(4).toString())).toMatchObject({ status: "invalid_token" });
    peer.send(message("p", "\x01"));
    expect((await peer.fatal()).code).toBe("28000");
    expect(place.failures.map((one) => one.code)).toEqual([code]);
    expect(JSON.stringify(place.failures)).not.toContain(token.slice(20));
  });

  it("takes no authorization for somebody else", async () => {
    const place = await start(["oauthbearer"]);
    const { token } = await give(place);
    const peer = await greet(place);
    await peer.message();
    peer.send(carry(token, "n,a=root,"));
    expect((await peer.fatal()).code).toMatch(/^(08P01|0A000)$/);
    expect(place.clients).toEqual([]);
  });
});

/** Goes through SCRAM; gives AuthenticationOk, rejects with the SQLSTATE of a refusal. */
async function scram(peer: Peer, token: string, binding?: ChannelBinding) {
  const asked = await peer.message();
  expect(asked.body.subarray(4).toString("latin1")).toBe("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
  const client = scramClient({ password: token, channelBinding: binding ?? bindingOf(peer) });
  peer.send(
    encodeFrontend({ type: "saslInitialResponse", mechanism: client.mechanism, data: client.first() }),
  );
  const first = await refusalOr(peer);
  peer.send(encodeFrontend({ type: "saslResponse", data: await client.final(first.body.subarray(4)) }));
  const final = await refusalOr(peer);
  client.verify(final.body.subarray(4));
  expect(client.verified).toBe(true);
  return ok;
}

async function refusalOr(peer: Peer) {
  const next = await peer.message();
  if (next.type === "E") throw new Error(/\0C([0-9A-Z]{5})\0/.exec(next.body.toString("latin1"))?.[1] ?? "?");
  return next;
}

function bindingOf(peer: Peer): ChannelBinding {
  const data = certificateHash((peer.socket as TLSSocket).getPeerCertificate().raw);
  if (data === null) throw new Error("no binding data");
  return { type: "tls-server-end-point", data };
}

describe("SCRAM-SHA-256-PLUS", () => {
  it("binds the login to the certificate that the client saw", async () => {
    const place = await start(["scram", "password"]);
    const { token, user } = await give(place);
    await scram(await greet(place, user), token);
    expect((await place.nextClient()).principal.subject).toBe("erin");
    expect(place.failures).toEqual([]);
  });

  it("finds out a login that somebody passes on from a connection of their own", async () => {
    const place = await start(["scram", "password"]);
    const { token, user } = await give(place);
    const other = certificateHash(createAuthority({ key: "ec" }).issue().der);
    if (other === null) throw new Error("no binding data");
    const relayed = scram(await greet(place, user), token, { type: "tls-server-end-point", data: other });
    await expect(relayed).rejects.toThrow(/28P01|28000|08P01/);
    expect(place.clients).toEqual([]);
  });

  it("finds out who took the offer of binding away", async () => {
    const place = await start(["scram", "password"]);
    const { token, user } = await give(place);
    await expect(scram(await greet(place, user), token, "tls-without-plus")).rejects.toThrow(/28000|08P01/);
    expect(place.clients).toEqual([]);
  });

  it("a client that does not bind gets in as everywhere", async () => {
    const place = await start(["scram", "password"]);
    const { token, user } = await give(place);
    await scram(await greet(place, user), token, "none");
    expect((await place.nextClient()).principal.subject).toBe("erin");
  });

  it("a wrong token, and a user without one, are refused alike at the end", async () => {
    const place = await start(["scram"]);
    const { user } = await give(place);
    const wrong = (await give(place)).token;
    for (const name of [user, "pgt_AAAAAAAAAAAA", "erin"])
      await expect(scram(await greet(place, name), wrong)).rejects.toThrow("28P01");
    expect(place.failures.map(({ code }) => code)).toEqual(["TOKEN_PROOF", "TOKEN_PROOF", "TOKEN_PROOF"]);
    expect(place.clients).toEqual([]);
  });

  it("a token that ended during the exchange is refused, though the proof is right", async () => {
    const place = await start(["scram"]);
    const { id, token, user } = await give(place);
    const peer = await greet(place, user);
    await peer.message();
    const client = scramClient({ password: token, channelBinding: bindingOf(peer) });
    peer.send(
      encodeFrontend({ type: "saslInitialResponse", mechanism: client.mechanism, data: client.first() }),
    );
    const first = await peer.message();
    await place.tokens.end(id);
    peer.send(encodeFrontend({ type: "saslResponse", data: await client.final(first.body.subarray(4)) }));
    expect((await peer.fatal()).code).toBe("28P01");
    expect(place.failures.map(({ code }) => code)).toEqual(["TOKEN_UNKNOWN"]);
  });
});
