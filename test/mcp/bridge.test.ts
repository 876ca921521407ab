/** `postern mcp`: the official client over standard input and output, through the program itself. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bridge } from "../../src/cli/lib/bridge.ts";
import { postern, startPostern } from "../cli/support.ts";
import { call, eras, type McpHouse, startHouse } from "./support.ts";

const program = resolve(import.meta.dirname, "../../bin/postern.js");

let house: McpHouse;
const folder = mkdtempSync(join(tmpdir(), "postern-bridge-"));
const tokenFile = join(folder, "token");
beforeAll(async () => {
  house = await startHouse({});
});
afterAll(async () => {
  await house?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(
  era: (typeof eras)[number],
  env: Record<string, string>,
  args: string[] = [],
): Promise<Client> {
  const client = new Client(
    { name: "stdio-agent", version: "1" },
    { versionNegotiation: { mode: era === "legacy" ? "legacy" : { pin: "2026-07-28" } } },
  );
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program, "mcp", ...args],
    env: { PATH: process.env.PATH ?? "", ...env },
    stderr: "ignore",
  });
  await client.connect(transport);
  return client;
}

describe.each(eras)("an agent of the %s era that starts a program", (era) => {
  it("asks the database by it", async () => {
    const client = await connect(era, { POSTERN_URL: house.url, POSTERN_TOKEN: await house.postern.token() });
    expect((await client.listTools()).tools.length).toBe(8);
    const got = await call(client, "query", {
      database: "shop",
      sql: "select $1::text a",
      params: ["ünï\r\ncode\u2028of\u2029lines"],
    });
    expect(got.rows).toEqual([["ünï\r\ncode\u2028of\u2029lines"]]);
    const all = await Promise.all(
      Array.from({ length: 5 }, (_, n) => call(client, "query", { database: "shop", sql: `select ${n}` })),
    );
    expect(all.map(({ rows }) => rows)).toEqual([[[0]], [[1]], [[2]], [[3]], [[4]]]);
    await client.close();
  });
});

describe("the bridge", () => {
  it("reads a renewed token from its file", async () => {
    writeFileSync(tokenFile, `${await house.postern.token()}\n`);
    const client = await connect("modern", { POSTERN_URL: `${house.url}/` }, ["--token-file", tokenFile]);
    expect(await call(client, "query", { database: "shop", sql: "select 1" })).toMatchObject({
      status: "ok",
    });
    writeFileSync(tokenFile, "not a token");
    await expect(call(client, "query", { database: "shop", sql: "select 1" })).rejects.toThrow(
      /token was not accepted/,
    );
    writeFileSync(tokenFile, await house.postern.token());
    expect(await call(client, "query", { database: "shop", sql: "select 1" })).toMatchObject({
      status: "ok",
    });
    await client.close();
  });

  it("sends no token over the network in clear, and says what is wrong with its arguments", async () => {
    const env = { POSTERN_TOKEN: "secret-token" };
    for (const args of [
      ["--url", "http://postern.example.com"],
      ["--url", "nonsense"],
      ["--url", "https://a:b@x.example"],
    ]) {
      const ran = await postern(["mcp", ...args], { env });
      expect(ran.code).toBe(2);
      expect(ran.stderr).not.toContain("secret-token");
    }
    expect((await postern(["mcp", "--agent", "a"], { env })).code).toBe(2);
    expect((await postern(["mcp", "--help"])).stdout).toContain("--token-file");
  });

  it("says what to do when nobody is logged in, once to people and to the agent each time", async () => {
    for (const [args, hint] of [
      [[], "postern login https://your-gateway"],
      [["--url", house.url], `postern login ${house.url}`],
    ] as const) {
      const started = startPostern(["mcp", ...args], { env: { POSTERN_HOME: join(folder, "nobody") } });
      for (const id of [1, 2])
        started.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method: "ping" })}\n`);
      started.child.stdin.end();
      const ran = await started.ended;
      const lines = ran.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { id: number; error: { code: number; message: string } });
      expect(lines.map(({ id, error }) => [id, error.code])).toEqual([
        [1, -32001],
        [2, -32001],
      ]);
      for (const { error } of lines) expect(error.message).toMatch(/^you are not logged in/);
      for (const { error } of lines) expect(error.message).toContain(hint);
      expect(ran.stderr).toBe(`postern mcp: ${lines[0]?.error.message}\n`);
    }
  });

  it("answers every request, whatever the gateway does", async () => {
    const answers: (() => Response | Promise<Response>)[] = [
      () => new Response("oops", { status: 502 }),
      () => Promise.reject(new TypeError("fetch failed")),
      () =>
        new Response('{"jsonrpc":"2.0","id":3,\n"result":{}}', {
          headers: { "content-type": "application/json" },
        }),
      () =>
        new Response(': hi\n\nevent: message\ndata: {"jsonrpc":"2.0",\ndata: "id":4,"result":{}}\n\n', {
          headers: { "content-type": "text/event-stream" },
        }),
      () => new Response("denied", { status: 403 }),
    ];
    const input = new PassThrough();
    const written: string[] = [];
    const sent: Headers[] = [];
    const done = bridge({
      access: async () => ({ endpoint: new URL("https://gateway.test/mcp"), token: "t", ca: null }),
      input,
      write: (line) => written.push(line),
      warn: () => undefined,
      send: async (_url, init) => {
        sent.push(new Headers(init.headers));
        return (await answers.shift()?.()) ?? new Response(null, { status: 202 });
      },
    });
    for (const id of [1, 2, 3, 4, 5]) {
      input.write(`${JSON.stringify({ jsonrpc: "2.0", id, method: "ping" })}\n`);
      await expect.poll(() => written.length).toBe(id);
    }
    input.write("this is no json\n\n");
    await expect.poll(() => written.length).toBe(6);
    input.end(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }));
    await done;
    expect(written.every((line) => !line.includes("\n"))).toBe(true);
    const parsed = written.map((line) => JSON.parse(line) as { id: number | null; error?: { code: number } });
    expect(parsed.map(({ id, error }) => [id, error?.code ?? null])).toEqual([
      [1, -32001],
      [2, -32001],
      [3, null],
      [4, null],
      [5, -32001],
      [null, -32700],
    ]);
    expect(sent[0]?.get("authorization")).toBe("Bearer t");
  });

  const json =
    (body: object, status = 200) =>
    () =>
      Response.json(body, { status });
  it.each<[string, () => Response, object]>([
    [
      "an error of HTTP",
      json({ error: { code: "TOO_MANY_REQUESTS", message: "x" } }, 429),
      { code: -32001, message: expect.stringContaining("wait a while") },
    ],
    [
      "another server",
      json({ error: { code: "NOT_FOUND", message: "x" } }, 404),
      { code: -32001, message: expect.stringContaining("no MCP endpoint") },
    ],
    [
      "a page",
      () => new Response("<p>Log in", { headers: { "content-type": "text/html" } }),
      { code: -32001, message: expect.stringContaining("without a result") },
    ],
    [
      "half a message",
      () => new Response('{"jsonrpc":"2.0","id":7,"res', { headers: { "content-type": "application/json" } }),
      { code: -32001, message: expect.stringContaining("without a result") },
    ],
    [
      "a stream that ends early",
      () =>
        new Response('data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n', {
          headers: { "content-type": "text/event-stream" },
        }),
      { code: -32001, message: expect.stringContaining("without a result") },
    ],
    [
      "an error that names no request",
      json({ jsonrpc: "2.0", id: null, error: { code: -32600, message: "no" } }, 400),
      { code: -32600, message: "no" },
    ],
  ])(
    "answers its agent, once, in the protocol when the gateway's answer is %s",
    async (_what, send, error) => {
      const input = new PassThrough();
      const written: string[] = [];
      const done = bridge({
        access: async () => ({ endpoint: new URL("https://gateway.test/mcp"), token: "t", ca: null }),
        input,
        write: (line) => written.push(line),
        warn: () => undefined,
        send: async () => send(),
      });
      input.end('{"jsonrpc":"2.0","id":7,"method":"ping"}\n');
      await done;
      const messages = written.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(messages.every(({ jsonrpc }) => jsonrpc === "2.0")).toBe(true);
      expect(messages.filter(({ method }) => method === undefined)).toEqual([
        { jsonrpc: "2.0", id: 7, error },
      ]);
    },
  );

  it("takes lines as JSON has them: whole, in pieces, and too long ones for what they are", async () => {
    const input = new PassThrough();
    const written: string[] = [];
    const bodies: string[] = [];
    const done = bridge({
      access: async () => ({ endpoint: new URL("https://gateway.test/mcp"), token: "t", ca: null }),
      input,
      write: (line) => written.push(line),
      warn: () => undefined,
      send: async (_url, { body }) => {
        bodies.push(body);
        const { id } = JSON.parse(body) as { id: number };
        const data = `data: {"jsonrpc":"2.0","id":${id},"result":{"a":"\u2028😀"}}\r\n\r\n`;
        const bytes = Buffer.from(data);
        const stream = new ReadableStream<Uint8Array>({
          start(controller) {
            for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
            controller.close();
          },
        });
        return new Response(stream, { headers: { "content-type": "text/event-stream" } });
      },
    });
    const line = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping","params":{"a":"\u2029ü"}}`;
    for (const byte of Buffer.from(`${line(1)}\r\n`)) input.write(Buffer.of(byte));
    input.write(`{"a":"${"x".repeat(3 * 1024 * 1024)}"}\n`);
    input.end(line(2));
    await done;
    expect(bodies).toEqual([line(1), line(2)]);
    const told = written.map((one) => JSON.parse(one) as { id: number | null; result?: object });
    expect(told.map(({ id, result }) => [id, result ?? null]).sort()).toEqual([
      [null, null],
      [1, { a: "\u2028😀" }],
      [2, { a: "\u2028😀" }],
    ]);
  });

  it("ends a request that its agent takes back", async () => {
    const input = new PassThrough();
    let aborted = false;
    const done = bridge({
      access: async () => ({ endpoint: new URL("https://gateway.test/mcp"), token: "t", ca: null }),
      input,
      write: () => undefined,
      warn: () => undefined,
      send: (_url, init) =>
        new Promise((_, fail) => {
          init.signal.addEventListener("abort", () => {
            aborted = true;
            fail(new DOMException("gone", "AbortError"));
          });
        }),
    });
    input.write('{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"query"}}\n');
    input.end('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}\n');
    await done;
    expect(aborted).toBe(true);
  });
});
