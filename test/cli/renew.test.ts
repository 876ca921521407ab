/** Sessions of `postern psql` and `postern connect` are carried on by fresh tokens, in the background. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askToken } from "../../src/cli/account/gateway.ts";
import { pgPlace } from "../../src/cli/account/pgfiles.ts";
import { keepRenewed } from "../../src/cli/account/renew.ts";
import { type Account, subjectType, type TokenRequest } from "../../src/cli/account/tokens.ts";
import { startTestApi, type TestApi } from "../api/support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
}, 120_000);
afterAll(() => api.stop());

/** As openAccount makes it, of a login whose access token is good for an hour. */
async function account(): Promise<Account> {
  const now = Math.floor(Date.now() / 1000);
  const token = await api.token("user", { exp: now + 3600 });
  const place = { url: api.url, ca: null };
  return {
    name: "test",
    place,
    profile: {} as Account["profile"],
    access: async () => token,
    issue: ({ audience, database, agent, seconds }: TokenRequest = {}) =>
      askToken(place, {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: token,
        subject_token_type: subjectType(token),
        ...(audience === undefined ? {} : { scope: audience }),
        ...(database === undefined ? {} : { database }),
        ...(agent === undefined ? {} : { agent }),
        ...(seconds === undefined ? {} : { expires_in: String(seconds) }),
      }),
  };
}

async function connect(password: string, run: string): Promise<pg.Client> {
  const [address] = api.gateway.gateway.addresses;
  if (address === undefined || !("port" in address)) throw new Error("no listener");
  const { host, port } = address;
  const client = new pg.Client({
    host,
    port,
    user: "me",
    database: "shop",
    password,
    options: `-c postern.run=${run}`,
  });
  await client.connect();
  return client;
}

const expiresOf = (run: string) =>
  Number(api.gateway.gateway.describe().find(({ claimed }) => claimed.run === run)?.expires ?? 0);

async function eventually(test: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (test()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  expect.fail("did not come true within 10 seconds");
}

describe("renewal in the background", () => {
  test.each<[string, TokenRequest]>([
    ["of a person", {}],
    ["of their agent", { agent: "helper" }],
  ])("puts off the end of the sessions %s, those of this run alone", async (who, more) => {
    const login = await account();
    const request = { audience: "wire", database: "shop", ...more };
    const { access_token: short } = await login.issue({ ...request, seconds: 300 });
    const [run, another] = [`run-${who.length}`, `other-${who.length}`];
    const [mine, others] = [await connect(short, run), await connect(short, another)];
    const before = expiresOf(run);
    const tokens: string[] = [];
    const renewing = keepRenewed({
      account: login,
      request: { ...request, seconds: 3600 },
      run,
      expires: new Date(Date.now() + 1000).toISOString(),
      onToken: (token) => tokens.push(token),
    });
    try {
      await eventually(() => expiresOf(run) > before);
      expect(expiresOf(run) - before).toBeGreaterThan(2_000_000);
      expect(expiresOf(another)).toBe(before);
      expect(tokens).toHaveLength(1);
      expect((await mine.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
      // What it hands on opens connections to come.
      await (await connect(tokens[0] ?? "", "later")).end();
    } finally {
      renewing.stop();
      await mine.end();
      await others.end();
    }
  });

  test("finds sessions behind those of everybody else that an auditor is told of first", async () => {
    const renewed: string[] = [];
    const server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://gateway");
      request.resume();
      if (request.method === "POST") renewed.push(pathname);
      const after = Number(searchParams.get("after") ?? 0);
      const items = [{ id: `s${after}`, claimed: after === 2 ? { run: "mine" } : {} }];
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ items, next: after === 2 ? null : String(after + 1) }));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const renewing = keepRenewed({
      account: {
        name: "test",
        place: { url, ca: null },
        profile: {} as Account["profile"],
        access: async () => "token",
        issue: async () => ({ access_token: "pgt_x", expires_in: 3600, id: "x", user: "pgt_x", expires }),
      },
      request: {},
      run: "mine",
      expires: new Date(Date.now() + 1000).toISOString(),
      onToken: () => undefined,
    });
    try {
      await eventually(() => renewed.length > 0);
      expect(renewed).toEqual(["/api/sessions/s2/renew"]);
    } finally {
      renewing.stop();
      server.close();
      server.closeAllConnections();
    }
  });

  test("stops when it is told to", async () => {
    const login = await account();
    const asked: TokenRequest[] = [];
    const renewing = keepRenewed({
      account: {
        ...login,
        issue: (request = {}) => {
          asked.push(request);
          return login.issue(request);
        },
      },
      request: {},
      run: "none",
      expires: new Date(Date.now() + 1000).toISOString(),
      onToken: () => expect.fail("a token for nobody"),
    });
    renewing.stop();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(asked).toEqual([]);
  });
});

describe("where the command line sends tokens", () => {
  const info = (host: string, tls: "required" | "optional" | "none") => ({
    version: 1 as const,
    issuer: "https://postern.example.com",
    providers: [],
    postgres: [{ host, port: 6432, tls, auth: ["password"] }],
  });

  test.each(["db.example.com", "10.0.0.7", "0.0.0.0", "localhost.example.com"])(
    "not to %s without TLS, whatever the gateway says",
    (host) => {
      expect(() => pgPlace(info(host, "none"))).toThrow(/TLS/);
      expect(pgPlace(info(host, "required")).tls).toBe(true);
    },
  );

  test.each(["127.0.0.1", "::1", "localhost"])("to %s also in clear", (host) => {
    expect(pgPlace(info(host, "none"))).toEqual({ host, port: 6432, tls: false });
  });

  test("nor to a name that ends a line of a service file", () => {
    expect(() => pgPlace(info("db.example.com\nsslmode=disable", "required"))).toThrow();
  });
});
