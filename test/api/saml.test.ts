/** A login by SAML in the browser, from /saml/login to the end, and those who try to join in. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { Hono } from "hono";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { samlRoutes } from "../../src/api/saml.ts";
import { createIdentity, type Identity } from "../../src/identity/index.ts";
import { createProtection } from "../../src/identity/protection.ts";
import { memoryStoreForTests } from "../support/memory-store.ts";
import { assertionXml, createSamlIdp, encode, publicUrl, responseXml, spEntityId } from "../support/saml.ts";

const idp = createSamlIdp();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-saml-api-"));
  await writeFile(join(folder, "idp.xml"), idp.metadata());
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let identity: Identity;
let app: Hono;
let failures: { code: string; cause: string }[];
let logins: { subject: string; returnTo: string | null; before: string | null }[];
let store: ReturnType<typeof memoryStoreForTests>;
let time = 0;
beforeEach(async () => {
  failures = [];
  logins = [];
  time = 0;
  store = memoryStoreForTests(() => Date.now() + time);
  identity = await createIdentity(
    [
      {
        name: "adfs",
        type: "saml",
        metadata: join(folder, "idp.xml"),
        entityId: null,
        audience: [spEntityId],
        attributes: { subject: null, groups: "groups", email: "email" },
        kinds: [],
        signed: "assertion",
        sessionSeconds: 3600,
        acs: null,
      },
    ],
    { store, publicUrl: () => publicUrl },
  );
  app = new Hono();
  samlRoutes({
    providers: () => identity.saml,
    store,
    secure: () => true,
    sessionOf: (context) => context.req.header("x-session") ?? null,
    onLogin: (principal, { returnTo, before }) => {
      logins.push({ subject: principal.subject, returnTo, before });
      return new Response(null, { status: 302, headers: { location: "/", "set-cookie": "session=1" } });
    },
    onFailure: (failure) => failures.push(failure),
    protection: createProtection({
      perIp: 3,
      perPrincipal: 3,
      windowSeconds: 60,
      firstSeconds: 10,
      longestSeconds: 60,
    }),
    ip: () => "192.0.2.1",
  })(app);
  return () => identity.close();
});

interface Begun {
  readonly cookie: string;
  readonly request: string;
  readonly state: string;
}

async function begin(query = "", headers: Record<string, string> = {}): Promise<Begun> {
  const response = await app.request(`/saml/login${query}`, { headers });
  expect(response.status).toBe(302);
  const set = response.headers.get("set-cookie") ?? "";
  expect(set).toMatch(/^__Host-postern_saml=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
  const location = new URL(response.headers.get("location") ?? "");
  expect(location.origin + location.pathname).toBe("https://idp.example.com/sso");
  const xml = inflateRawSync(
    Buffer.from(location.searchParams.get("SAMLRequest") ?? "", "base64"),
  ).toString();
  return {
    cookie: set.split(";", 1)[0] ?? "",
    request: / ID="([^"]+)"/.exec(xml)?.[1] ?? "",
    state: location.searchParams.get("RelayState") ?? "",
  };
}

function answer(request: string): string {
  return encode(responseXml(idp.sign(assertionXml({ inResponseTo: request })), { inResponseTo: request }));
}

function post(fields: Record<string, string> | [string, string][]) {
  return app.request("/saml/acs", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields).toString(),
  });
}

async function deliver(login: Begun): Promise<string> {
  const response = await post({ SAMLResponse: answer(login.request), RelayState: login.state });
  expect(response.status).toBe(303);
  return response.headers.get("location") ?? "";
}

test("from the login to the end", async () => {
  const login = await begin("?provider=adfs&return=%2Ftrail%3Fx%3D1", { "x-session": "the one before" });
  const location = await deliver(login);
  expect(location).toBe(`/saml/done?state=${login.state}`);
  const done = await app.request(location, { headers: { cookie: login.cookie } });
  expect(done.status).toBe(302);
  expect(done.headers.getSetCookie()).toEqual([
    "session=1",
    "__Host-postern_saml=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure",
  ]);
  // The session is named where it was shown: on the way back from another site the browser keeps its cookie to itself.
  expect(logins).toEqual([{ subject: "alice", returnTo: "/trail?x=1", before: "the one before" }]);
  expect(failures).toEqual([]);
});

test("SP metadata, and a provider nobody knows", async () => {
  const response = await app.request("/saml/metadata?provider=adfs");
  expect(response.headers.get("content-type")).toBe("application/samlmetadata+xml");
  expect(await response.text()).toContain("/saml/acs");
  for (const path of ["metadata", "login"])
    expect((await app.request(`/saml/${path}?provider=other`)).status).toBe(404);
});

describe("who tries to join in", () => {
  test("another browser cannot end a login, nor one without cookie", async () => {
    const login = await begin();
    const location = await deliver(login);
    const other = await begin();
    for (const cookie of [other.cookie, "", "__Host-postern_saml=x"]) {
      const response = await app.request(location, { headers: { cookie } });
      expect(response.status).toBe(403);
    }
    expect(logins).toEqual([]);
    expect(failures.map(({ code }) => code)).toEqual(["TOKEN_REQUEST", "TOKEN_REQUEST", "TOKEN_REQUEST"]);
  });

  test("nor one with a neighbour's cookie, or with two", async () => {
    const login = await begin();
    const location = await deliver(login);
    const { cookie: second } = await begin();
    for (const cookie of [login.cookie.replace("__Host-", ""), `${login.cookie}; ${second}`])
      expect((await app.request(location, { headers: { cookie } })).status).toBe(403);
    expect(logins).toEqual([]);
  });

  test("the end comes once", async () => {
    const login = await begin();
    const location = await deliver(login);
    const headers = { cookie: login.cookie };
    const ends = await Promise.all([app.request(location, { headers }), app.request(location, { headers })]);
    expect(ends.map(({ status }) => status).sort()).toEqual([302, 403]);
    expect(logins).toHaveLength(1);
  });

  test("a response is taken once", async () => {
    const login = await begin();
    const fields = { SAMLResponse: answer(login.request), RelayState: login.state };
    expect((await post(fields)).status).toBe(303);
    expect((await post(fields)).status).toBe(403);
  });

  test("an answer to another login, to none, without state, twice in a form", async () => {
    const [one, two] = [await begin(), await begin()];
    const response = answer(one.request);
    expect((await post({ SAMLResponse: response, RelayState: two.state })).status).toBe(403);
    expect((await post({ SAMLResponse: response })).status).toBe(403);
    expect(
      (
        await post([
          ["SAMLResponse", response],
          ["RelayState", one.state],
          ["RelayState", two.state],
        ])
      ).status,
    ).toBe(403);
    expect(failures.map(({ code }) => code)).toEqual(["TOKEN_REQUEST", "TOKEN_REQUEST", "TOKEN_REQUEST"]);
    expect(logins).toEqual([]);
  });

  test("a login that took too long", async () => {
    const login = await begin();
    time = 601_000;
    expect((await post({ SAMLResponse: answer(login.request), RelayState: login.state })).status).toBe(403);
  });

  test("an end that took too long", async () => {
    const login = await begin();
    const location = await deliver(login);
    time = 61_000;
    expect((await app.request(location, { headers: { cookie: login.cookie } })).status).toBe(403);
  });

  test("after failures the address waits, told once", async () => {
    for (let i = 0; i < 3; i++)
      expect((await post({ SAMLResponse: "PHg+", RelayState: "x" })).status).toBe(403);
    const login = await begin();
    for (let i = 0; i < 3; i++) {
      const response = await post({ SAMLResponse: answer(login.request), RelayState: login.state });
      expect(response.status).toBe(429);
      expect(response.headers.get("retry-after")).toBe("10");
    }
    expect(failures.filter(({ code }) => code === "LOCKED_OUT")).toHaveLength(1);
  });

  test("a store that fails is no failed login", async () => {
    const login = await begin();
    store.fail(true);
    expect((await post({ SAMLResponse: answer(login.request), RelayState: login.state })).status).toBe(503);
    expect((await app.request("/saml/login")).status).toBe(503);
  });
});

test("a page never repeats what it was sent as markup", async () => {
  const response = await app.request("/saml/login?provider=%3Cscript%3E");
  expect(await response.text()).not.toContain("<script>");
});
