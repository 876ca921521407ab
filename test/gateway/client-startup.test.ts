import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { encodeCancelRequest } from "../../src/protocol/index.ts";
import {
  askPassword,
  type Bench,
  type BenchOptions,
  bench,
  goodToken,
  gssRequest,
  message,
  password,
  sslRequest,
  startup,
} from "./client-support.ts";

let running: Bench[] = [];
async function start(options?: BenchOptions): Promise<Bench> {
  const started = await bench(options);
  running.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(running.map((b) => b.stop()));
  running = [];
});

describe("start-up in plain text on loopback", () => {
  it("hands over an authenticated client", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(
      startup({ application_name: "tool", DateStyle: "ISO", "postern.agent": "bot", options: "-c geqo=off" }),
    );
    expect(await peer.read(9)).toEqual(askPassword);
    peer.send(password(goodToken));
    const client = await b.nextClient();
    expect(client).toMatchObject({
      ip: "127.0.0.1",
      tls: null,
      minor: 0,
      user: "user",
      database: "shop",
      application: "tool",
      claimed: { agent: "bot" },
      replication: "off",
    });
    expect(client.principal.subject).toBe("alice");
    expect([...client.parameters]).toEqual([
      ["geqo", "off"],
      ["datestyle", "ISO"],
    ]);
    expect(client.rest).toHaveLength(0);
    expect(client.port).toBe(peer.socket.localPort);
    expect(client.socket.isPaused()).toBe(true);
    expect(client.socket.listenerCount("data")).toBe(0);
    expect(client.socket.listenerCount("error")).toBeGreaterThan(0);
    expect(b.failures).toEqual([]);
    // The socket works in both directions, and is the taker's alone.
    peer.send("abc");
    const got = new Promise((resolve) => client.socket.once("data", resolve));
    client.socket.resume();
    expect(await got).toEqual(Buffer.from("abc"));
    client.socket.end("xyz");
    expect(await peer.rest()).toEqual(Buffer.from("xyz"));
  });

  it("leaves the socket half-open to the session", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup(), password(goodToken));
    await peer.read(9);
    const { socket } = await b.nextClient();
    const ended = new Promise((resolve) => socket.once("end", resolve));
    socket.resume();
    peer.socket.end();
    await ended;
    expect(socket.writable).toBe(true);
    socket.end("result");
    expect((await peer.rest()).toString()).toBe("result");
  });

  it("takes a byte at a time", async () => {
    const b = await start();
    const peer = await b.connect();
    await peer.trickle(Buffer.concat([gssRequest]));
    expect((await peer.read(1)).toString()).toBe("N");
    await peer.trickle(sslRequest);
    expect((await peer.read(1)).toString()).toBe("N");
    await peer.trickle(startup());
    expect(await peer.read(9)).toEqual(askPassword);
    await peer.trickle(password(goodToken));
    expect((await b.nextClient()).database).toBe("shop");
  });

  it("takes everything in one segment and hands on what is behind", async () => {
    const b = await start();
    const peer = await b.connect();
    const query = message("Q", "select 1\0");
    peer.send(startup(), password(goodToken), query);
    const client = await b.nextClient();
    const later = new Promise<Buffer>((resolve) => {
      if (client.rest.length > 0) resolve(client.rest);
      else client.socket.once("data", resolve).resume();
    });
    expect(await later).toEqual(query);
  });

  it("answers SSLRequest and GSSENCRequest with N once each, in either order", async () => {
    const b = await start();
    for (const [first, second] of [
      [sslRequest, gssRequest],
      [gssRequest, sslRequest],
    ] as const) {
      const peer = await b.connect();
      peer.send(first);
      expect((await peer.read(1)).toString()).toBe("N");
      peer.send(second);
      expect((await peer.read(1)).toString()).toBe("N");
      peer.send(startup());
      expect(await peer.read(9)).toEqual(askPassword);
    }
    for (const request of [sslRequest, gssRequest]) {
      const peer = await b.connect();
      peer.send(request);
      expect((await peer.read(1)).toString()).toBe("N");
      peer.send(request);
      expect((await peer.fatal()).code).toBe("08P01");
    }
  });

  it.each([
    ["SSL", sslRequest],
    ["GSS", gssRequest],
  ])("refuses bytes behind the %s request", async (_, request) => {
    const b = await start();
    const peer = await b.connect();
    peer.send(request, startup());
    const { code, message: text } = await peer.fatal();
    expect(code).toBe("08P01");
    expect(text).toContain("received unencrypted data after");
    expect(b.failures.map((f) => f.code)).toEqual(["PROTOCOL"]);
    expect(b.clients).toEqual([]);
  });

  it("is silent about connections that say nothing, or stop between packets", async () => {
    const b = await start();
    (await b.connect()).socket.end();
    const two = await b.connect();
    two.send(sslRequest);
    await two.read(1);
    two.socket.end();
    const three = await b.connect();
    three.send(startup());
    await three.read(9);
    three.socket.end();
    const four = await b.connect();
    four.send(startup());
    await four.read(9);
    four.send(message("X", ""));
    const five = await b.connect();
    await five.trickle(message("X", ""));
    const six = await b.connect();
    six.send(sslRequest);
    await six.read(1);
    six.send(message("X", ""));
    for (const peer of [two, three, four, five, six]) expect(await peer.rest()).toHaveLength(0);
    expect(b.failures).toEqual([]);
  });

  it("takes what only begins like Terminate for a packet of invalid length", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(Buffer.from("X\0\0\0\u0005?"));
    expect((await peer.fatal()).code).toBe("08P01");
    expect(b.failures).toMatchObject([{ code: "PROTOCOL" }]);
  });

  it("records a packet that is cut off", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup().subarray(0, 12));
    peer.socket.end();
    expect((await peer.fatal()).code).toBe("08P01");
    expect(b.failures).toMatchObject([{ code: "PROTOCOL", user: null }]);
  });
});

describe("versions", () => {
  const negotiate = (minor: number, ...names: string[]): Buffer => {
    const head = Buffer.alloc(8);
    head.writeInt32BE(0x30000 | minor, 0);
    head.writeInt32BE(names.length, 4);
    return message("v", Buffer.concat([head, Buffer.from(names.map((n) => `${n}\0`).join(""))]));
  };

  it.each([
    { asked: 0x30000, options: {}, says: Buffer.alloc(0), minor: 0 },
    { asked: 0x30001, options: {}, says: Buffer.alloc(0), minor: 0 },
    { asked: 0x30002, options: {}, says: Buffer.alloc(0), minor: 2 },
    { asked: 0x30003, options: {}, says: negotiate(2), minor: 2 },
    { asked: 0x3270f, options: { "_pq_.test": "" }, says: negotiate(2, "_pq_.test"), minor: 2 },
    {
      asked: 0x30000,
      options: { "_pq_.a": "1", "_pq_.b": "2" },
      says: negotiate(0, "_pq_.a", "_pq_.b"),
      minor: 0,
    },
  ])("$asked with $options", async ({ asked, options, says, minor }) => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup(options, asked));
    expect(await peer.read(says.length + 9)).toEqual(Buffer.concat([says, askPassword]));
    peer.send(password(goodToken));
    const client = await b.nextClient();
    expect(client.minor).toBe(minor);
    expect([...client.parameters.keys()]).toEqual([]);
  });

  it.each([0x20000, 0x10000, 0x40000, 0])("refuses protocol %i", async (version) => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup({}, version));
    expect(await peer.fatal()).toMatchObject({
      code: "0A000",
      message: expect.stringContaining("3.0 to 3.2"),
    });
    expect(b.failures).toMatchObject([{ code: "PROTOCOL" }]);
  });
});

describe("cancel requests", () => {
  it.each([4, 32, 256])(
    "keeps the connection open until a cancel with a key of %i bytes is done",
    async (length) => {
      const { promise: done, resolve } = Promise.withResolvers<void>();
      const requests: { pid: number; key: Buffer; ip: string }[] = [];
      const { promise: called, resolve: call } = Promise.withResolvers<void>();
      const b = await start({
        onCancel(request) {
          requests.push(request);
          call();
          return done;
        },
      });
      const peer = await b.connect();
      const key = Buffer.alloc(length, 7);
      peer.send(encodeCancelRequest(4711, key));
      await called;
      expect(requests).toEqual([{ pid: 4711, key, ip: "127.0.0.1" }]);
      let closed = false;
      const end = peer.rest().then((bytes) => {
        closed = true;
        return bytes;
      });
      await new Promise((later) => setTimeout(later, 20));
      expect(closed).toBe(false);
      resolve();
      expect(await end).toHaveLength(0);
      expect(b.failures).toEqual([]);
    },
  );

  it("says nothing either when the cancel fails, is malformed, or where TLS is required of sessions", async () => {
    const b = await start({ onCancel: () => Promise.reject(new Error("no")), settings: { tls: "optional" } });
    const peer = await b.connect();
    peer.send(encodeCancelRequest(1, Buffer.alloc(4)));
    expect(await peer.rest()).toHaveLength(0);
    const thrower = await start({
      onCancel: () => {
        throw new Error("at once");
      },
    });
    const other = await thrower.connect();
    other.send(encodeCancelRequest(1, Buffer.alloc(4)));
    expect(await other.rest()).toHaveLength(0);
    const short = await b.connect();
    short.send(Buffer.from("0000000c04d2162e00000001", "hex"));
    expect((await short.fatal()).code).toBe("08P01");
  });
});

describe("names", () => {
  it("needs a user, takes it for the database, and says an unknown database only to the authenticated", async () => {
    const b = await start();
    const nobody = await b.connect();
    nobody.send(startup({ user: "" }));
    expect((await nobody.fatal()).code).toBe("28000");
    const same = await b.connect();
    same.send(startup({ database: "" }), password(goodToken));
    expect((await b.nextClient()).database).toBe("user");
    const wrong = await b.connect();
    wrong.send(startup({ database: "sh\x1b[31mop" }));
    expect(await wrong.read(9)).toEqual(askPassword);
    wrong.send(password(goodToken));
    expect(await wrong.fatal()).toMatchObject({
      code: "3D000",
      message: 'database "sh?[31mop" is not known here',
    });
    expect(b.failures.map((f) => f.code)).toEqual(["USER_MISSING", "UNKNOWN_DATABASE"]);
    expect(b.failures[1]).toMatchObject({ user: "user", database: "sh?[31mop" });
    const unproven = await b.connect();
    unproven.send(startup({ database: "nowhere" }), password("bad"));
    await unproven.read(9);
    expect((await unproven.fatal()).code).toBe("28P01");
  });

  it("refuses parameters by name before asking for a token", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup({ options: "-c role=boss" }));
    const { code, message: text, detail } = await peer.fatal();
    expect([code, text]).toEqual(["0A000", 'startup parameter "role" is not allowed here']);
    expect(detail).toContain("search_path");
    expect(b.failures).toMatchObject([{ code: "PARAMETER_REFUSED", user: "user", database: "shop" }]);
    const replication = await b.connect();
    replication.send(startup({ replication: "database" }), password(goodToken));
    expect((await b.nextClient()).replication).toBe("database");
  });
});

describe("Unix sockets", () => {
  it("listens on a path of its own, replaces a dead socket, and spares anything else", async () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-listener-"));
    try {
      const path = join(folder, ".s.PGSQL.5432");
      const b = await start({ settings: { address: { path } } });
      expect(statSync(path).mode & 0o777).toBe(0o660);
      const peer = await b.connect();
      peer.send(sslRequest);
      expect((await peer.read(1)).toString()).toBe("N");
      peer.send(startup(), password(goodToken));
      expect(await b.nextClient()).toMatchObject({ ip: "[local]", port: 0, tls: null });
      await expect(bench({ settings: { address: { path } } })).rejects.toMatchObject({ code: "EADDRINUSE" });
      await b.stop();

      // A socket file without a listener, as a killed process leaves it.
      const dead = createServer();
      await new Promise<void>((resolve) => dead.listen(join(folder, "live"), resolve));
      const { linkSync } = await import("node:fs");
      linkSync(join(folder, "live"), path);
      await new Promise((resolve) => dead.close(resolve));
      const again = await start({ settings: { address: { path } } });
      const second = await again.connect();
      second.send(startup());
      expect(await second.read(9)).toEqual(askPassword);
      await again.stop();

      writeFileSync(path, "precious");
      await expect(bench({ settings: { address: { path } } })).rejects.toMatchObject({ code: "EADDRINUSE" });
      expect(statSync(path).isFile()).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("settings that cannot be", () => {
  it.each([
    { settings: { auth: [] } },
    { settings: { auth: ["cert"] } },
    { settings: { auth: ["password", "cert"] } },
    { settings: { tls: "required" } },
    { settings: { tls: "required", address: { path: "/nowhere" } } },
    {
      settings: { auth: ["oauthbearer"] },
      identity: { discovery: null, authenticate: () => Promise.reject() },
    },
    { tls: { cert: "no", key: "no", clientCa: null } },
  ] as BenchOptions[])("%j", async (options) => {
    await expect(bench(options)).rejects.toMatchObject({ code: "LISTENER_SETTINGS" });
  });
});
