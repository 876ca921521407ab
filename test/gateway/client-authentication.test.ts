import { connect, createServer, Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { greet } from "../../src/gateway/client/connection.ts";
import { Line } from "../../src/gateway/client/line.ts";
import type { AuthFailure } from "../../src/gateway/ports.ts";
import { createProtection } from "../../src/identity/protection.ts";
import {
  askPassword,
  type Bench,
  type BenchOptions,
  bench,
  certificate,
  discovery,
  goodToken,
  identity,
  message,
  Peer,
  password,
  sha256,
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

const generic =
  "authentication failed: the token was not accepted; get a fresh token and try again; details are in the gateway's audit log";

describe("token as password", () => {
  async function asked(b: Bench, parameters: Record<string, string> = {}): Promise<Peer> {
    const peer = await b.connect();
    peer.send(startup(parameters));
    expect(await peer.read(9)).toEqual(askPassword);
    return peer;
  }

  it.each([
    ["refused", "bad", "TOKEN_EXPIRED", sha256("bad")],
    ["empty", "", "TOKEN_MISSING", null],
    ["failing otherwise", "explode", "INTERNAL", sha256("explode")],
  ])("has one answer when it is %s", async (_, token, code, hash) => {
    const b = await start();
    const peer = await asked(b, { application_name: "tool" });
    const sent = performance.now();
    peer.send(password(token));
    expect(await peer.fatal()).toEqual({ code: "28P01", message: generic, detail: "", hint: "" });
    // Whatever the cause: the answer comes at a step of the clock, never at once.
    expect(performance.now() - sent).toBeGreaterThan(240);
    expect(b.failures).toMatchObject([
      { code, ip: "127.0.0.1", user: "user", database: "shop", application: "tool", tokenSha256: hash },
    ]);
    expect(JSON.stringify(b.failures)).not.toContain("explode");
    expect(b.clients).toEqual([]);
  });

  it("records a refusal even when the client does not wait for the answer", async () => {
    const b = await start();
    const peer = await asked(b);
    peer.send(password("bad"));
    peer.socket.end();
    await peer.closed;
    expect(b.failures.map((f) => f.code)).toEqual(["TOKEN_EXPIRED"]);
  });

  it("may be 65,530 bytes long and no longer", async () => {
    const b = await start();
    const long = await asked(b);
    long.send(password("x".repeat(65_530)));
    await b.nextClient();
    const longer = await asked(b);
    longer.send(password("x".repeat(65_531)));
    expect((await longer.fatal()).code).toBe("08P01");
    expect(b.failures).toMatchObject([{ code: "PROTOCOL", tokenSha256: null }]);
  });

  it.each([
    ["a NUL inside", message("p", "good.token\0value\0")],
    ["no NUL", message("p", goodToken)],
    ["nothing", message("p", "")],
    ["bad UTF-8", message("p", Buffer.from("ff00", "hex"))],
    ["a query", message("Q", "select 1\0")],
    ["a negative length", Buffer.from("70ffffffff", "hex")],
    ["a length of three", Buffer.from("7000000003", "hex")],
    ["a huge length", Buffer.from("707fffffff", "hex")],
    ["a startup packet again", startup()],
    ["an SSL request", sslRequest],
  ])("is a breach of protocol with %s", async (_, bytes) => {
    const b = await start();
    const peer = await asked(b);
    peer.send(bytes);
    expect((await peer.fatal()).code).toBe("08P01");
    expect(b.failures).toMatchObject([{ code: "PROTOCOL" }]);
  });

  it("comes once", async () => {
    const b = await start();
    const peer = await asked(b);
    peer.send(password(goodToken), password("second.secret"));
    expect((await peer.fatal()).code).toBe("08P01");
    expect(b.clients).toEqual([]);
  });

  it("is asked for in plain text only when both ends are on this machine", async () => {
    for (const [remoteAddress, localAddress, local] of [
      ["127.0.0.1", "127.0.0.1", true],
      ["::ffff:127.0.0.1", "::ffff:127.0.0.1", true],
      ["::1", "::1", true],
      ["10.0.0.1", "127.0.0.1", false],
      ["127.0.0.1", "10.0.0.1", false],
      ["10.0.0.1", "10.0.0.1", false],
      [undefined, undefined, false],
    ] as const) {
      const fake = new Socket();
      Object.defineProperties(fake, {
        remoteAddress: { value: remoteAddress },
        localAddress: { value: localAddress },
      });
      expect(new Line(fake, false, () => {}).local).toBe(local);
    }
    // The same through the door: a server that hands its sockets on as coming from elsewhere.
    const failures: AuthFailure[] = [];
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      Object.defineProperty(socket, "remoteAddress", { value: "192.0.2.7" });
      greet(socket, false, {
        settings: { address: { host: "", port: 0 }, auth: ["password"], tls: "optional" },
        offer: () => ({ certificate: false, ask: "password" }),
        protection: createProtection(null),
        identity,
        limits: {
          statementBytes: 1,
          messageBytes: 1,
          connections: 1,
          connectionsPerPrincipal: 1,
          startupSeconds: 20,
          idleSeconds: 1,
          holdSeconds: 1,
        },
        databases: new Set(["shop"]),
        front: () => null,
        onClient: () => expect.unreachable(),
        onCancel: async () => {},
        onFailure: (failure) => failures.push(failure),
        admit: () => true,
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      const peer = new Peer(connect({ host: "127.0.0.1", port: address.port }));
      peer.send(startup(), password(goodToken));
      expect((await peer.fatal()).code).toBe("28000");
      expect(failures).toMatchObject([{ code: "TLS_REQUIRED", ip: "192.0.2.7" }]);
      await peer.closed;
    } finally {
      server.close();
    }
  });
});

describe("OAUTHBEARER", () => {
  const offer = message("R", Buffer.from("0000000a4f415554484245415245520000", "hex"));
  const failureJson = {
    status: "invalid_token",
    "openid-configuration": discovery.configurationUrl,
    scope: "openid",
  };

  function initial(data: string | null, mechanism = "OAUTHBEARER"): Buffer {
    const length = Buffer.alloc(4);
    length.writeInt32BE(data === null ? -1 : Buffer.byteLength(data));
    return message("p", Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(data ?? "")]));
  }

  async function asked(b: Bench): Promise<Peer> {
    const peer = await b.connect();
    peer.send(startup());
    expect(await peer.read(offer.length)).toEqual(offer);
    return peer;
  }

  function oauth(options: BenchOptions = {}): Promise<Bench> {
    return start({ settings: { auth: ["oauthbearer", "password"] }, ...options });
  }

  it.each([
    `n,,\x01auth=Bearer ${goodToken}\x01\x01`,
    `y,,\x01host=db\x01port=5432\x01auth=bEARER  ${goodToken}\x01\x01`,
  ])("hands over at a good token, with no SASLFinal: %j", async (data) => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(initial(data));
    const client = await b.nextClient();
    client.socket.end("Z");
    expect((await peer.rest()).toString()).toBe("Z");
    expect(b.failures).toEqual([]);
  });

  it("takes the initial response after an empty challenge", async () => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(initial(null));
    expect(await peer.message()).toEqual({ type: "R", body: Buffer.from("0000000b", "hex") });
    peer.send(message("p", `n,,\x01auth=Bearer ${goodToken}\x01\x01`));
    await b.nextClient();
  });

  it.each([
    ["discovery", "n,,\x01auth=\x01\x01", []],
    ["a refused token", "n,,\x01auth=Bearer bad\x01\x01", ["TOKEN_EXPIRED"]],
  ])("answers %s with where to get a token", async (_, data, codes) => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(initial(data));
    const { type, body } = await peer.message();
    expect(type).toBe("R");
    expect(body.readInt32BE(0)).toBe(11);
    expect(body.length).toBeLessThan(1900);
    expect(JSON.parse(body.toString("utf8", 4))).toEqual(failureJson);
    peer.send(message("p", "\x01"));
    expect(await peer.fatal()).toEqual({ code: "28000", message: generic, detail: "", hint: "" });
    expect(b.failures.map((f) => f.code)).toEqual(codes);
    if (codes.length > 0) expect(b.failures[0]?.tokenSha256).toBe(sha256("bad"));
  });

  it("records a discovery dialogue that is left as nothing", async () => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(initial("n,,\x01auth=\x01\x01"));
    await peer.message();
    peer.socket.end();
    await peer.rest();
    expect(b.failures).toEqual([]);
  });

  it.each([
    ["channel binding", initial(`p=tls-server-end-point,,\x01auth=Bearer ${goodToken}\x01\x01`), "08P01"],
    ["an authzid", initial(`n,a=boss,\x01auth=Bearer ${goodToken}\x01\x01`), "0A000"],
    ["two auths", initial(`n,,\x01auth=Bearer ${goodToken}\x01auth=\x01\x01`), "08P01"],
    ["data behind the end", initial(`n,,\x01auth=Bearer ${goodToken}\x01\x01x`), "08P01"],
    ["an empty message", initial(""), "08P01"],
    ["another mechanism", initial("n,,n=,r=abc", "SCRAM-SHA-256"), "08P01"],
    ["a password", password(goodToken), "08P01"],
    [
      "a length beyond the end",
      message("p", Buffer.from("OAUTHBEARER\0\x00\x00\xff\xffn,,", "latin1")),
      "08P01",
    ],
  ])("refuses %s", async (_, bytes, code) => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(bytes);
    expect((await peer.fatal()).code).toBe(code);
    expect(b.failures).toMatchObject([{ code: "PROTOCOL" }]);
    expect(b.clients).toEqual([]);
  });

  it("wants exactly one byte 0x01 behind a failure", async () => {
    const b = await oauth();
    const peer = await asked(b);
    peer.send(initial("n,,\x01auth=\x01\x01"));
    await peer.message();
    peer.send(message("p", `n,,\x01auth=Bearer ${goodToken}\x01\x01`));
    expect((await peer.fatal()).code).toBe("08P01");
    expect(b.clients).toEqual([]);
  });

  it("is offered only when it comes first", async () => {
    const b = await start({ settings: { auth: ["password", "oauthbearer"] } });
    const peer = await b.connect();
    peer.send(startup());
    expect(await peer.read(9)).toEqual(askPassword);
  });

  it("needs answers that fit a client's buffer", async () => {
    const long = { configurationUrl: `https://idp.example/${"x".repeat(2000)}`, scope: "openid" };
    await expect(oauth({ identity: { ...identity, discovery: long } })).rejects.toMatchObject({
      code: "LISTENER_SETTINGS",
    });
  });
});

describe("time and crowds", () => {
  it("ends a client that never finishes its startup packet", async () => {
    const b = await start({ startupSeconds: 0.2 });
    const peers = [await b.connect(), await b.connect()] as const;
    peers[1].send(startup().subarray(0, 9));
    for (const peer of peers) expect((await peer.fatal()).code).toBe("08P01");
    expect(b.failures.map((f) => f.code)).toEqual(["STARTUP_TIMEOUT", "STARTUP_TIMEOUT"]);
  });

  it("ends one that trickles, one that keeps its token, and one whose token takes too long to check", async () => {
    const b = await start({ startupSeconds: 1 });
    const slow = await b.connect();
    const bytes = startup();
    let at = 0;
    const timer = setInterval(() => slow.send(bytes.subarray(at, ++at)), 100);
    const silent = await b.connect();
    silent.send(startup());
    await silent.read(9);
    const stuck = await b.connect();
    stuck.send(startup(), password("slow"));
    await stuck.read(9);
    expect((await slow.fatal()).code).toBe("08P01");
    clearInterval(timer);
    expect((await silent.fatal()).code).toBe("57014");
    expect((await stuck.fatal()).code).toBe("57014");
    expect(b.failures.map((f) => f.code)).toEqual(["STARTUP_TIMEOUT", "STARTUP_TIMEOUT", "STARTUP_TIMEOUT"]);
  });

  it("ends a TLS handshake that is not finished, without plain text in it", async () => {
    const b = await start({ startupSeconds: 1, tls: certificate });
    const peer = await b.connect();
    peer.send(sslRequest);
    await peer.read(1);
    expect(await peer.rest()).toHaveLength(0);
    expect(b.failures).toMatchObject([{ code: "STARTUP_TIMEOUT" }]);
  });

  it("does not count the time behind the handover", async () => {
    const b = await start({ startupSeconds: 1 });
    const peer = await b.connect();
    peer.send(startup(), password(goodToken));
    const client = await b.nextClient();
    await pause(1300);
    expect(client.socket.destroyed).toBe(false);
    expect(b.failures).toEqual([]);
  });

  it("bounds the connections that have not authenticated, and frees their places", async () => {
    const b = await start({ connections: 2 });
    const [one, two] = [await b.connect(), await b.connect()];
    one.send(startup());
    two.send(startup());
    await Promise.all([one.read(9), two.read(9)]);
    const three = await b.connect();
    expect(await three.fatal()).toMatchObject({ code: "53300" });
    expect(b.failures).toMatchObject([{ code: "TOO_MANY_CONNECTIONS", ip: "127.0.0.1" }]);
    // One gets in and does not count any more, the other leaves.
    one.send(password(goodToken));
    await b.nextClient();
    two.destroy();
    const places: Peer[] = [];
    while (places.length < 2) {
      const peer = await b.connect();
      peer.send(startup());
      // Our end may be closed a moment before the listener has noticed.
      if ((await peer.message()).type === "R") places.push(peer);
    }
    expect(b.clients).toHaveLength(1);
  });

  it("asks whether an address is admitted, once and before the token", async () => {
    const ips: string[] = [];
    const b = await start({
      admit(ip) {
        ips.push(ip);
        return false;
      },
    });
    const peer = await b.connect();
    peer.send(startup(), password(goodToken));
    expect(await peer.fatal()).toMatchObject({ code: "53300", message: "too many connections" });
    expect(ips).toEqual(["127.0.0.1"]);
    expect(b.failures).toMatchObject([{ code: "NOT_ADMITTED" }]);
  });

  it("closes: no more connections, the waiting are told, sessions live", async () => {
    const b = await start();
    const inside = await b.connect();
    inside.send(startup(), password(goodToken));
    const client = await b.nextClient();
    const waiting = await b.connect();
    waiting.send(startup());
    await waiting.read(9);
    b.listener.stopAccepting();
    await expect(b.connect()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await b.listener.close();
    expect((await waiting.fatal()).code).toBe("57P01");
    expect(b.failures).toEqual([]);
    await inside.read(9);
    client.socket.write("alive");
    expect((await inside.read(5)).toString()).toBe("alive");
  });

  it("survives callbacks that throw", async () => {
    const b = await start({
      onClient() {
        throw new Error("no room");
      },
      onFailure() {
        throw new Error("no record");
      },
    });
    const peer = await b.connect();
    peer.send(startup(), password(goodToken));
    await peer.read(9);
    expect((await peer.fatal()).code).toBe("XX000");
    const other = await b.connect();
    other.send(startup({ role: "boss" }));
    expect((await other.fatal()).code).toBe("0A000");
  });
});
