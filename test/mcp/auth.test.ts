/** Who may call the endpoint: tokens, audiences, scopes, origins, and where clients are sent for tokens. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProtection } from "../../src/identity/protection.ts";
import { call, type McpHouse, openDoor, startHouse } from "./support.ts";

let house: McpHouse;
let strict: McpHouse;
beforeAll(async () => {
  house = await startHouse({ mcp: { origins: ["https://agents.example"] } });
  strict = await startHouse({ mcp: { audience: ["https://postern.example/mcp"], scopes: ["database"] } });
});
afterAll(async () => {
  await house?.stop();
  await strict?.stop();
});

const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });

function post(url: string, headers: Record<string, string> = {}, body = ping): Promise<Response> {
  return fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body,
  });
}

describe("a request without a good token", () => {
  it("is sent to the metadata of the resource, and that to the issuer", async () => {
    const response = await post(house.url);
    expect(response.status).toBe(401);
    const header = response.headers.get("www-authenticate") ?? "";
    expect(header).toBe(`Bearer resource_metadata="${house.url}/.well-known/oauth-protected-resource/mcp"`);
    const metadata = await (await fetch(/resource_metadata="([^"]+)"/.exec(header)?.[1] ?? "")).json();
    expect(metadata).toEqual({
      resource: `${house.url}/mcp`,
      authorization_servers: [house.postern.idp.issuer],
      bearer_methods_supported: ["header"],
      resource_name: "Postern",
    });
    const bare = await fetch(`${house.url}/.well-known/oauth-protected-resource`);
    expect(await bare.json()).toEqual(metadata);
  });

  it("learns nothing of why its token is refused; the record says it", async () => {
    const other = await house.postern.token({ aud: "somebody-else" });
    const expired = await house.postern.token({ exp: Math.floor(Date.now() / 1000) - 3600 });
    const good = await house.postern.token();
    const answers = new Set<string>();
    for (const token of [other, expired, `${good.slice(0, -4)}AAAA`, "pgt_nothing", "x"]) {
      const response = await post(house.url, { authorization: `Bearer ${token}` });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
      answers.add(await response.text());
    }
    expect(answers.size).toBe(1);
    const codes = (await house.postern.records())
      .filter((r) => r.type === "auth.failed")
      .map((r) => [r.code, (r.client as { via: string }).via]);
    expect(codes).toContainEqual(["TOKEN_AUDIENCE", "mcp"]);
    expect(codes).toContainEqual(["TOKEN_EXPIRED", "mcp"]);
    expect(codes.length).toBe(5);
  });

  it("is not helped by a token in its address or in a cookie", async () => {
    const token = await house.postern.token();
    const there = await fetch(`${house.url}/mcp?access_token=${token}`, {
      method: "POST",
      headers: { "content-type": "application/json", cookie: `postern_session=${token}` },
      body: ping,
    });
    expect(there.status).toBe(401);
  });

  it("is refused whatever its method", async () => {
    for (const method of ["GET", "DELETE", "PUT"])
      expect((await fetch(`${house.url}/mcp`, { method })).status).toBe(401);
  });
});

describe("a token", () => {
  it("must be for this endpoint where audiences are named", async () => {
    const wire = await strict.postern.token({ scope: "database" });
    expect((await post(strict.url, { authorization: `Bearer ${wire}` })).status).toBe(401);
    const mine = await strict.postern.token({
      aud: ["postern", "https://postern.example/mcp"],
      scope: "openid database",
    });
    const client = await strict.connect("modern", mine);
    expect(await call(client, "query", { database: "shop", sql: "select 1 a" })).toMatchObject({
      rows: [[1]],
    });
  });

  it("must have the scopes that are asked for", async () => {
    const token = await strict.postern.token({
      aud: ["postern", "https://postern.example/mcp"],
      scope: "openid",
    });
    const response = await post(strict.url, { authorization: `Bearer ${token}` });
    expect(response.status).toBe(403);
    expect(response.headers.get("www-authenticate")).toBe(
      `Bearer error="insufficient_scope", scope="database", resource_metadata="${strict.url}/.well-known/oauth-protected-resource/mcp"`,
    );
  });
});

describe("a token of Postern's own", () => {
  it("is looked up for this endpoint, whatever audiences and scopes others need", async () => {
    const { postern } = strict;
    const principal = await postern.identity.authenticate(await postern.token());
    const contexts: unknown[] = [];
    const identity = {
      authenticate: async (token: string, context: unknown) => {
        contexts.push([token, context]);
        return principal;
      },
    };
    const door = await openDoor(
      postern,
      { audience: ["https://postern.example/mcp"], scopes: ["database"] },
      { identity },
    );
    expect((await post(door.url, { authorization: "Bearer pgt_abc" })).status).toBe(200);
    expect((await post(door.url, { authorization: "Bearer abc" })).status).toBe(401);
    expect(contexts[0]).toEqual(["pgt_abc", { ip: "127.0.0.1", via: "mcp", audience: "mcp" }]);
    await door.stop();
  });
});

describe("a web page", () => {
  it("is refused when its origin is not known", async () => {
    const authorization = `Bearer ${await house.postern.token()}`;
    for (const origin of ["https://evil.example", "null", `${house.url}.evil.example`])
      expect((await post(house.url, { authorization, origin })).status).toBe(403);
  });

  it("may call when it is the gateway's own or was named", async () => {
    const authorization = `Bearer ${await house.postern.token()}`;
    for (const origin of [house.url, "https://agents.example"]) {
      const response = await post(house.url, { authorization, origin });
      expect(response.status).toBe(200);
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    }
    const asked = await fetch(`${house.url}/mcp`, {
      method: "OPTIONS",
      headers: { origin: "https://agents.example", "access-control-request-method": "POST" },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-headers")).toContain("authorization");
  });
});

describe("hostile requests", () => {
  it("get errors of the protocol, and the endpoint goes on", async () => {
    const authorization = `Bearer ${await house.postern.token()}`;
    const bodies = [
      "",
      "{",
      "[]",
      "null",
      `"${"x".repeat(1000)}"`,
      JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "nope", arguments: {} },
      }),
      JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "query", arguments: [] },
      }),
      JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
          name: "query",
          arguments: { database: "shop", sql: "select 1", params: Array(2000).fill(1) },
        },
      }),
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":${'{"a":'.repeat(5000)}1${"}".repeat(5000)}}}`,
      JSON.stringify({ jsonrpc: "2.0", id: 1, method: "__proto__", params: { __proto__: { x: 1 } } }),
    ];
    for (const body of bodies) {
      const response = await post(house.url, { authorization }, body);
      expect(response.status).toBeLessThan(500);
      expect(await response.text()).not.toMatch(/node_modules|\.ts:\d/);
    }
    // It may be cut off while it is still being sent.
    const big = post(
      house.url,
      { authorization, connection: "close" },
      `{"x":"${"y".repeat(2 * 1024 * 1024)}"}`,
    );
    expect(await big.then(({ status }) => status).catch(() => 413)).toBe(413);
    await pause(200);
    expect((await post(house.url, { authorization })).status).toBe(200);
  });

  it("cannot put NUL bytes, foreign types or unknown members into arguments", async () => {
    const client = await house.connect("modern");
    const bad = [
      { database: "shop", sql: "select 1\0" },
      { database: "shop", sql: "select $1::text", params: ["a\0b"] },
      { database: "shop", sql: 5 },
      { database: "shop", sql: "select 1", max_rows: 1e9 },
      { database: "shop", sql: "select 1", max_rows: -1 },
      { database: ["shop"], sql: "select 1" },
      { sql: "select 1" },
    ];
    for (const args of bad) {
      const result = await client
        .callTool({ name: "query", arguments: args })
        .catch(() => ({ isError: true }));
      expect(result.isError).toBe(true);
    }
  });
});

describe("whoever fails too often", () => {
  it("waits, and is on the record once for each wait; failures of other doors count with these", async () => {
    const protection = createProtection({
      perIp: 4,
      perPrincipal: 4,
      windowSeconds: 60,
      firstSeconds: 10,
      longestSeconds: 60,
    });
    const door = await openDoor(house.postern, {}, { protection });
    const good = { authorization: `Bearer ${await house.postern.token()}` };
    try {
      protection.failed("127.0.0.1", null);
      // Without a token nobody fails.
      for (let i = 0; i < 5; i++) expect((await post(door.url)).status).toBe(401);
      for (let i = 0; i < 3; i++)
        expect((await post(door.url, { authorization: `Bearer a.b.${i}` })).status).toBe(401);
      for (let i = 0; i < 3; i++) {
        const answer = await post(door.url, good);
        expect([answer.status, Number(answer.headers.get("retry-after"))]).toEqual([429, expect.any(Number)]);
      }
      expect(protection.admit("127.0.0.1").open).toBe(false);
      const told = (await house.postern.records()).filter(({ code }) => code === "LOCKED_OUT");
      expect(told).toHaveLength(1);
    } finally {
      await door.stop();
    }
  });
});
