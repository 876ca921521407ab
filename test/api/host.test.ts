/** Under which names a listener answers: pages of strangers that have their own name lead to 127.0.0.1 get nothing (DNS rebinding). */
import { request } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { hostCheck } from "../../src/api/host.ts";
import { type HttpListener, startHttp } from "../../src/api/index.ts";

const open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()));
});

async function start(publicUrl?: string): Promise<number> {
  const listener = await startHttp(
    { host: "127.0.0.1", port: 0 },
    {
      version: "1",
      readiness: () => ({}),
      metrics: () => [],
      onError: () => {},
      ...(publicUrl === undefined ? {} : { publicUrl: () => publicUrl }),
    },
    null,
  );
  open.push(listener);
  return listener.address.port;
}

function ask(
  port: number,
  host: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  return new Promise((done, fail) => {
    const asked = request(
      { host: "127.0.0.1", port, path: "/metrics", headers: { host, ...headers }, setHost: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () =>
          done({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
      },
    );
    asked.on("error", fail);
    asked.end();
  });
}

describe("a listener on loopback", () => {
  test.each([
    "127.0.0.1",
    "localhost",
    "LOCALHOST:1",
    "[::1]:8432",
    "10.0.0.7",
    "console.localhost",
    "postern.example.com",
    "Postern.Example.Com:443",
  ])("answers as %s", async (host) => {
    expect((await ask(await start("https://postern.example.com"), host)).status).toBe(200);
  });

  test.each([
    "evil.example",
    "evil.example:8432",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "postern.example.com.evil.example",
    "notlocalhost",
    "a b",
    "@evil.example",
    "evil.example/",
  ])("does not answer as %s", async (host) => {
    const port = await start("https://postern.example.com");
    const { status, text } = await ask(port, host);
    expect([400, 421]).toContain(status);
    expect(text).not.toContain("postern_build_info");
  });

  test("goes by the Host header alone, not by what a proxy's headers would say", async () => {
    const port = await start();
    const claims = {
      "x-forwarded-host": "localhost",
      "x-forwarded-for": "127.0.0.1",
      forwarded: "host=localhost",
      "x-original-url": "/healthz",
    };
    expect((await ask(port, "evil.example", claims)).status).toBe(421);
    expect((await ask(port, "localhost", { "x-forwarded-host": "evil.example" })).status).toBe(200);
  });
});

/** Sends exactly these bytes, and gives what comes back. */
function send(port: number, text: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(text));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("close", () => done(answer));
    socket.on("error", fail);
  });
}

test.each([
  ["two names", "Host: localhost\r\nHost: evil.example\r\n"],
  ["the same name twice", "Host: localhost\r\nhost: localhost\r\n"],
  ["a stranger's first", "Host: evil.example\r\nHost: localhost\r\n"],
  ["none", ""],
])("a request with %s is a 400 (RFC 9112 section 3.2)", async (_what, hosts) => {
  const port = await start();
  const answer = await send(port, `GET /metrics HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).not.toContain("postern_build_info");
});

test("a listener that others reach has names that nobody told it", () => {
  for (const address of ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
    expect(hostCheck(address, () => null)("anything.example")).toBe(true);
  for (const address of ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
    expect(hostCheck(address, () => null)("anything.example")).toBe(false);
});
