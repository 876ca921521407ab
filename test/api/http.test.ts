import { request } from "node:http";
import { get as httpsGet } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { type ApiDeps, type HttpListener, startHttp } from "../../src/api/index.ts";
import { selfSigned } from "../support/certificates.ts";

let open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.map((listener) => listener.close()));
  open = [];
});

interface Running {
  readonly url: string;
  readonly listener: HttpListener;
  readonly errors: Error[];
}

async function start(
  deps: Partial<ApiDeps> = {},
  tls: { cert: string; key: string } | null = null,
  limits: { stalledMs?: number } = {},
): Promise<Running> {
  const errors: Error[] = [];
  const all: ApiDeps = {
    version: "1.2.3",
    readiness: () => ({ audit: true, gateway: true }),
    metrics: () => [],
    onError: (error) => errors.push(error),
    ...deps,
  };
  const listener = await startHttp(
    { host: "127.0.0.1", port: 0 },
    all,
    tls === null ? null : { ...tls, clientCa: null },
    limits,
  );
  open.push(listener);
  return { url: `${tls === null ? "http" : "https"}://127.0.0.1:${listener.address.port}`, listener, errors };
}

describe("health and readiness", () => {
  test("/healthz says that the process is up, whatever else is broken", async () => {
    const { url } = await start({ readiness: () => ({ audit: false, gateway: false }) });
    const answer = await fetch(`${url}/healthz`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ status: "ok" });
  });

  test("/readyz is 200 when every part works and 503 when one does not, asked anew each time", async () => {
    const parts = { audit: true, gateway: true };
    const { url } = await start({ readiness: () => parts });
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: "ready", checks: { audit: true, gateway: true } },
    ]);
    parts.audit = false;
    const broken = await fetch(`${url}/readyz`);
    expect([broken.status, await broken.json()]).toEqual([
      503,
      { status: "not ready", checks: { audit: false, gateway: true } },
    ]);
  });
});

describe("metrics", () => {
  test("come in the Prometheus text format", async () => {
    const { url } = await start({
      metrics: () => [
        {
          name: "x_total",
          help: "Things\nof \\ note.",
          type: "counter",
          samples: [
            { labels: { kind: 'a"b\\c\nd' }, value: 3 },
            { labels: { kind: "e" }, value: 0.5 },
          ],
        },
        { name: "y", help: "Infinite.", type: "gauge", samples: [{ value: Number.POSITIVE_INFINITY }] },
      ],
    });
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    expect(text).toContain(
      '# HELP x_total Things\\nof \\\\ note.\n# TYPE x_total counter\nx_total{kind="a\\"b\\\\c\\nd"} 3\nx_total{kind="e"} 0.5\n# HELP y Infinite.\n# TYPE y gauge\ny +Inf\n',
    );
    expect(text).toContain('postern_build_info{version="1.2.3"} 1\n');
    // Every line is a comment or a sample.
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+=".*"\})? \S+)$/);
    const rss = Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]);
    expect(rss).toBeGreaterThan(1_000_000);
  });

  test("a name that is none is a fault of ours: 500 without a word about it", async () => {
    const { url, errors } = await start({
      metrics: () => [{ name: "no good", help: "", type: "gauge", samples: [] }],
    });
    const answer = await fetch(`${url}/metrics`);
    expect(answer.status).toBe(500);
    expect(await answer.json()).toEqual({
      error: { code: "INTERNAL", message: "internal error of the gateway; its log says more" },
    });
    expect(errors.map((error) => error.message)).toEqual(["not a metric name: no good"]);
  });
});

describe("what is not there", () => {
  test.each(["/", "/api/me", "/healthz/", "/..%2f..%2fetc/passwd", "/%00", "/METRICS"])(
    "%s is a 404 in JSON",
    async (path) => {
      const { url } = await start();
      const answer = await fetch(url + path);
      expect([answer.status, await answer.json()]).toEqual([
        404,
        { error: { code: "NOT_FOUND", message: "there is nothing at this address" } },
      ]);
    },
  );

  test.each(["POST", "PUT", "DELETE", "PATCH"])(
    "%s /healthz is a 405 that says what is allowed",
    async (method) => {
      const { url } = await start();
      const answer = await fetch(`${url}/healthz`, { method });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
      expect(await answer.json()).toMatchObject({ error: { code: "METHOD_NOT_ALLOWED" } });
    },
  );

  test("HEAD has no body", async () => {
    const { url } = await start();
    const answer = await fetch(`${url}/healthz`, { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
  });
});

test("every answer carries the security headers, errors too", async () => {
  const { url } = await start();
  for (const path of ["/healthz", "/metrics", "/nothing"]) {
    const { headers } = await fetch(url + path);
    expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("strict-transport-security")).toBeNull();
    expect(headers.get("x-powered-by")).toBeNull();
  }
});

describe("bodies", () => {
  test("an announced large body is refused before it is sent", async () => {
    const { listener } = await start();
    const status = await new Promise((done, fail) => {
      const sent = request({
        port: listener.address.port,
        host: "127.0.0.1",
        path: "/healthz",
        method: "POST",
        headers: { "content-length": 1024 * 1024 + 1 },
      });
      sent.on("response", (answer) => {
        done(answer.statusCode);
        sent.destroy();
      });
      sent.on("error", fail);
      sent.flushHeaders();
    });
    expect(status).toBe(413);
  });

  test("a body without a length is refused, and the gateway goes on", async () => {
    const { url } = await start();
    const chunks = async function* () {
      for (let i = 0; i < 64; i++) yield new Uint8Array(65_536);
    };
    const options = { method: "POST", body: ReadableStream.from(chunks()), duplex: "half" } as RequestInit;
    // It may close before all is sent: then fetch has no answer to show.
    const status = await fetch(`${url}/healthz`, options).then(
      (answer) => answer.status,
      () => 411,
    );
    expect(status).toBe(411);
    const small = await fetch(`${url}/healthz`, { method: "POST", body: "x" });
    expect(small.status).toBe(405);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });
});

test("what is not HTTP is answered with 400 and does no harm", async () => {
  const { url, listener } = await start();
  const answer = await new Promise<string>((done, fail) => {
    const socket = connect(listener.address.port, "127.0.0.1", () =>
      socket.write("\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f\r\n\r\n"),
    );
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => done(text));
    socket.on("error", fail);
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("an address in use is refused with its code", async () => {
  const { listener } = await start();
  const deps: ApiDeps = { version: "", readiness: () => ({}), metrics: () => [], onError: () => {} };
  await expect(startHttp(listener.address, deps, null)).rejects.toMatchObject({ code: "EADDRINUSE" });
});

describe("closing", () => {
  test("idle keep-alive connections do not hold it up, and twice is once", async () => {
    const { url, listener } = await start();
    await (await fetch(`${url}/healthz`)).text();
    await Promise.all([listener.close(), listener.close()]);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  test("a client that never finishes its request is cut off", async () => {
    const { listener } = await start();
    const socket = connect(listener.address.port, "127.0.0.1");
    await new Promise((done) => socket.once("connect", done));
    const gone = new Promise((done) => socket.once("close", done));
    socket.on("error", () => {});
    socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n");
    await listener.close();
    await gone;
  });
});

describe("a client that reads nothing of an answer", () => {
  /** More than the sockets' buffers take, of a known length or as a stream that never ends. */
  const mounts: NonNullable<ApiDeps["mounts"]> = [
    (app) => {
      app.use(async ({ env }, next) => {
        if (env.incoming !== undefined) sockets.push(env.incoming.socket);
        await next();
      });
      app.get("/large", () => new Response(new Uint8Array(64 * 1024 * 1024)));
      app.get("/stream", () => {
        const piece = new Uint8Array(1024 * 1024);
        return new Response(new ReadableStream({ pull: (stream) => stream.enqueue(piece) }));
      });
      app.get("/late", async () => {
        await new Promise((done) => setTimeout(done, 1_500));
        return new Response("at last");
      });
    },
  ];
  /** The gateway's side of each. */
  let sockets: Socket[] = [];
  afterEach(() => {
    sockets = [];
  });

  /** Asks, and does not read. */
  function ask({ listener }: Running, path: string, tls: boolean) {
    const { port } = listener.address;
    const socket = tls
      ? tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    return socket.pause();
  }

  test.each([
    ["/large", false],
    ["/stream", false],
    ["/large", true],
    ["/stream", true],
  ])("is hung up on: %s, TLS %s", async (path, tls) => {
    const running = await start({ mounts }, tls ? selfSigned() : null, { stalledMs: 300 });
    const socket = ask(running, path, tls);
    await expect.poll(() => sockets.map(({ destroyed }) => destroyed), { timeout: 20_000 }).toEqual([true]);
    socket.destroy();
  });

  test("slowly is not hung up on, and waits for a late answer as long as that takes", async () => {
    const running = await start({ mounts }, null, { stalledMs: 400 });
    const late = await fetch(`${running.url}/late`);
    expect(await late.text()).toBe("at last");
    const socket = ask(running, "/large", false);
    let read = 0;
    socket.on("data", (chunk: Buffer) => {
      read += chunk.length;
      if (read < 32 * 1024 * 1024) {
        socket.pause();
        setTimeout(() => socket.resume(), 2);
      }
    });
    socket.resume();
    await expect.poll(() => read, { timeout: 30_000 }).toBeGreaterThan(64 * 1024 * 1024);
    socket.destroy();
  });
});

describe("TLS", () => {
  function peek(url: string): Promise<{ status: number | undefined; hsts: unknown; fingerprint: string }> {
    return new Promise((done, fail) => {
      const sent = httpsGet(`${url}/healthz`, { rejectUnauthorized: false, agent: false }, (answer) => {
        const socket = answer.socket as import("node:tls").TLSSocket;
        const fingerprint = socket.getPeerX509Certificate()?.fingerprint256 ?? "";
        answer.resume().on("end", () =>
          done({
            status: answer.statusCode,
            hsts: answer.headers["strict-transport-security"],
            fingerprint,
          }),
        );
      });
      sent.on("error", fail);
    });
  }

  test("HTTPS only, with HSTS; a new certificate counts for new connections; a bad one changes nothing", async () => {
    const first = selfSigned();
    const second = selfSigned();
    const { url, listener } = await start({}, first);
    const before = await peek(url);
    expect(before).toMatchObject({ status: 200, hsts: "max-age=31536000" });
    await expect(fetch(url.replace("https", "http"))).rejects.toThrow();
    listener.reloadTls({ ...second, clientCa: null });
    const after = await peek(url);
    expect(after.status).toBe(200);
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(() => listener.reloadTls({ cert: first.cert, key: second.key, clientCa: null })).toThrow();
    expect((await peek(url)).fingerprint).toBe(after.fingerprint);
  });

  test("a certificate that cannot be used is refused at the start", async () => {
    const deps: ApiDeps = { version: "", readiness: () => ({}), metrics: () => [], onError: () => {} };
    const mixed = { cert: selfSigned().cert, key: selfSigned().key, clientCa: null };
    await expect(startHttp({ host: "127.0.0.1", port: 0 }, deps, mixed)).rejects.toThrow();
  });
});
