import * as tls from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { encodeCancelRequest } from "../../src/protocol/index.ts";
import { selfSigned } from "../support/certificates.ts";
import {
  askPassword,
  type Bench,
  type BenchOptions,
  bench,
  certificate,
  goodToken,
  gssRequest,
  message,
  type Peer,
  password,
  sslRequest,
  startup,
} from "./client-support.ts";

let running: Bench[] = [];
async function start(options?: BenchOptions): Promise<Bench> {
  const started = await bench({ tls: certificate, settings: { tls: "required" }, ...options });
  running.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(running.map((b) => b.stop()));
  running = [];
});

async function classic(b: Bench, options?: tls.ConnectionOptions): Promise<Peer> {
  const peer = await b.connect();
  peer.send(sslRequest);
  expect((await peer.read(1)).toString()).toBe("S");
  await peer.secure(options);
  return peer;
}

async function direct(
  b: Bench,
  options: tls.ConnectionOptions = { ALPNProtocols: ["postgresql"] },
): Promise<Peer> {
  const peer = await b.connect();
  await peer.secure(options);
  return peer;
}

/** Waits until the listener has recorded something: it may do so after the client has seen the close. */
async function recorded(b: Bench): Promise<void> {
  while (b.failures.length === 0) await new Promise(setImmediate);
}

describe("classic TLS", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("serves %s with and without ALPN", async (version) => {
    const b = await start();
    for (const ALPNProtocols of [[], ["postgresql"], ["h2", "postgresql"]]) {
      const peer = await classic(b, {
        maxVersion: version,
        ...(ALPNProtocols.length > 0 ? { ALPNProtocols } : {}),
      });
      peer.send(startup(), password(goodToken));
      expect(await peer.read(9)).toEqual(askPassword);
      const client = await b.nextClient();
      expect(client.tls).toBe(version);
      expect(client.ip).toBe("127.0.0.1");
      client.socket.end("bye");
      expect((await peer.rest()).toString()).toBe("bye");
    }
    expect(b.failures).toEqual([]);
  });

  it("hands over a socket that works both ways, large amounts included", async () => {
    const b = await start();
    const peer = await classic(b);
    peer.send(startup(), password(goodToken));
    await peer.read(9);
    const { socket } = await b.nextClient();
    expect(socket.isPaused()).toBe(true);
    expect(socket.listenerCount("data")).toBe(0);
    socket.on("data", (chunk: Buffer) => socket.write(chunk));
    socket.resume();
    const big = Buffer.alloc(300_000, "x");
    peer.send(big);
    expect((await peer.read(big.length)).equals(big)).toBe(true);
  });

  it("leaves the socket half-open to the session: the client's end is not ours", async () => {
    const b = await start();
    const peer = await classic(b);
    peer.send(startup(), password(goodToken));
    await peer.read(9);
    const { socket } = await b.nextClient();
    const ended = new Promise((resolve) => socket.once("end", resolve));
    socket.resume();
    peer.socket.end();
    await ended;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(socket.writable).toBe(true);
    socket.end("result");
    expect((await peer.rest()).toString()).toBe("result");
  });

  it("comes after a refused GSSENCRequest, and lets nothing of the kind follow", async () => {
    const b = await start();
    for (const request of [sslRequest, gssRequest]) {
      const peer = await b.connect();
      peer.send(gssRequest);
      expect((await peer.read(1)).toString()).toBe("N");
      peer.send(sslRequest);
      expect((await peer.read(1)).toString()).toBe("S");
      await peer.secure();
      peer.send(request);
      expect((await peer.fatal()).code).toBe("08P01");
    }
  });

  it("never takes plain bytes behind SSLRequest into the encrypted stream (CVE-2021-23214)", async () => {
    const b = await start();
    const together = await b.connect();
    together.send(sslRequest, startup({ database: "shop" }), password(goodToken));
    expect(await together.fatal()).toMatchObject({
      code: "08P01",
      message: "received unencrypted data after SSL request",
    });
    const late = await b.connect();
    late.send(sslRequest);
    expect((await late.read(1)).toString()).toBe("S");
    late.send(startup(), password(goodToken));
    await late.closed;
    expect(b.clients).toEqual([]);
    expect(b.failures.map((f) => f.code)).toEqual(["PROTOCOL", "TLS"]);
  });

  it("refuses old TLS, foreign ALPN, garbage and a client that walks away, and records each", async () => {
    const b = await start();
    for (const options of [
      { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" },
      { ALPNProtocols: ["http/1.1"] },
      // The client does not trust the certificate.
      { ca: selfSigned().cert },
    ] as tls.ConnectionOptions[]) {
      const peer = await b.connect();
      peer.send(sslRequest);
      await peer.read(1);
      await expect(peer.secure(options)).rejects.toThrow();
      await recorded(b);
      expect(b.failures.splice(0)).toMatchObject([{ code: "TLS", tls: null }]);
    }
    for (const act of [
      (peer: Peer) => peer.send("GET / HTTP/1.1\r\n\r\n"),
      (peer: Peer) => peer.destroy(),
      (peer: Peer) => peer.socket.end(),
    ]) {
      const peer = await b.connect();
      peer.send(sslRequest);
      await peer.read(1);
      act(peer);
      await peer.closed;
      await recorded(b);
      expect(b.failures.splice(0)).toMatchObject([{ code: "TLS" }]);
    }
    const fine = await classic(b);
    fine.send(startup(), password(goodToken));
    expect((await b.nextClient()).tls).toBe("TLSv1.3");
  });

  it("resumes sessions by ticket", async () => {
    const b = await start();
    const peer = await classic(b, { maxVersion: "TLSv1.3" });
    const session = new Promise<Buffer>((resolve) => peer.socket.once("session", resolve));
    peer.send(startup());
    await peer.read(9);
    const again = await b.connect();
    again.send(sslRequest);
    await again.read(1);
    expect((await again.secure({ session: await session })).isSessionReused()).toBe(true);
  });

  it("refuses renegotiation", async () => {
    // OpenSSL's answer to it is a warning the client may overlook: it waits until our time limit closes the connection.
    const b = await start({ startupSeconds: 1 });
    const peer = await classic(b, { maxVersion: "TLSv1.2" });
    const { socket } = peer;
    if (!(socket instanceof tls.TLSSocket)) throw new Error("not TLS");
    const outcome = new Promise<string>((resolve) => {
      socket.once("close", () => resolve("closed"));
      socket.renegotiate({}, (error) => resolve(error === null ? "renegotiated" : "refused"));
    });
    expect(await outcome).not.toBe("renegotiated");
  });
});

describe("direct TLS", () => {
  it("serves clients that name the protocol by ALPN", async () => {
    const b = await start();
    const peer = await direct(b);
    peer.send(startup(), password(goodToken));
    expect(await peer.read(9)).toEqual(askPassword);
    expect((await b.nextClient()).tls).toBe("TLSv1.3");
  });

  it("answers SSLRequest and GSSENCRequest inside with N, once", async () => {
    const b = await start();
    const peer = await direct(b);
    peer.send(sslRequest);
    expect((await peer.read(1)).toString()).toBe("N");
    peer.send(gssRequest);
    expect((await peer.read(1)).toString()).toBe("N");
    peer.send(startup());
    expect(await peer.read(9)).toEqual(askPassword);
    const twice = await direct(b);
    twice.send(sslRequest);
    await twice.read(1);
    twice.send(sslRequest);
    expect((await twice.fatal()).code).toBe("08P01");
  });

  it("refuses clients without ALPN, or with another protocol", async () => {
    const b = await start();
    const without = await direct(b, {});
    expect(await without.fatal()).toMatchObject({ code: "08P01", message: expect.stringContaining("ALPN") });
    expect(b.failures.splice(0)).toMatchObject([{ code: "TLS", cause: expect.stringContaining("ALPN") }]);
    await expect(direct(b, { ALPNProtocols: ["h2"] })).rejects.toThrow();
    await recorded(b);
    expect(b.failures).toMatchObject([{ code: "TLS" }]);
    expect(b.clients).toEqual([]);
  });

  it("comes in pieces", async () => {
    const b = await start();
    const peer = await b.connect();
    const write = peer.socket.write.bind(peer.socket);
    peer.socket.setNoDelay(true);
    // Every write of the handshake byte by byte.
    peer.socket.write = ((chunk: Buffer, ...more: never[]) => {
      for (let at = 0; at + 1 < chunk.length; at++) write(chunk.subarray(at, at + 1));
      return write(chunk.subarray(-1), ...more);
    }) as typeof peer.socket.write;
    await peer.secure({ ALPNProtocols: ["postgresql"] });
    peer.send(startup());
    expect(await peer.read(9)).toEqual(askPassword);
  });

  it("is closed without a word where there is no TLS, and at random bytes behind 0x16", async () => {
    const plain = await start({ tls: null, settings: { tls: "optional" } });
    const one = await plain.connect();
    one.send(Buffer.from("16030100", "hex"));
    expect(await one.rest()).toHaveLength(0);
    expect(plain.failures).toMatchObject([{ code: "TLS" }]);
    const b = await start();
    const two = await b.connect();
    two.send(Buffer.from("16ffffffffffffffffffffffffffff", "hex"));
    await two.closed;
    await recorded(b);
    expect(b.failures).toMatchObject([{ code: "TLS" }]);
  });

  it("is for the first byte only", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(gssRequest);
    await peer.read(1);
    peer.send(Buffer.from("1603010200", "hex"));
    expect((await peer.fatal()).code).toBe("08P01");
  });
});

describe("where TLS is required", () => {
  it("never asks for a token in plain text, but takes cancel requests from anywhere", async () => {
    const b = await start();
    const peer = await b.connect();
    peer.send(startup({ application_name: "tool" }));
    expect(await peer.fatal()).toMatchObject({ code: "28000", message: expect.stringContaining("TLS") });
    expect(b.failures).toMatchObject([
      {
        code: "TLS_REQUIRED",
        user: "user",
        database: "shop",
        application: "tool",
        tokenSha256: null,
        tls: null,
      },
    ]);
    const request = encodeCancelRequest(5, Buffer.alloc(4, 1));
    for (const canceller of [await b.connect(), await classic(b), await direct(b)]) {
      canceller.send(request);
      expect(await canceller.rest()).toHaveLength(0);
    }
    expect(b.cancels).toHaveLength(3);
    expect(b.failures).toHaveLength(1);
  });
});

describe("a new certificate", () => {
  it("is served from the next handshake on, sessions go on, a bad one changes nothing", async () => {
    const b = await start();
    const old = await classic(b);
    old.send(startup(), password(goodToken));
    await old.read(9);
    const client = await b.nextClient();
    const next = { ...selfSigned({ name: "next" }), clientCa: null };
    expect(() => b.listener.reloadTls({ ...next, key: certificate.key })).toThrow();
    expect(() => b.listener.reloadTls({ ...next, cert: "" })).toThrow();
    (await classic(b)).destroy();
    b.listener.reloadTls(next);
    const fresh = await b.connect();
    fresh.send(sslRequest);
    await fresh.read(1);
    const secured = await fresh.secure({ ca: next.cert });
    expect(secured.getPeerCertificate().subject.CN).toBe("next");
    client.socket.write("still here");
    expect((await old.read(10)).toString()).toBe("still here");
  });

  it("brings TLS to a listener that had none", async () => {
    const b = await start({ tls: null, settings: { tls: "optional" } });
    b.listener.reloadTls(certificate);
    const peer = await classic(b);
    peer.send(startup());
    expect(await peer.read(9)).toEqual(askPassword);
  });
});

describe("half-broken TLS", () => {
  it("does not harm others when a client vanishes at any point", async () => {
    const b = await start();
    const steps: ((peer: Peer) => Promise<unknown>)[] = [
      async () => {},
      async (peer) => peer.send(sslRequest.subarray(0, 3)),
      async (peer) => peer.send(sslRequest).read(1),
      async (peer) => {
        await peer.send(sslRequest).read(1);
        await peer.secure();
      },
      async (peer) => {
        await peer.send(sslRequest).read(1);
        await peer.secure();
        await peer.send(startup()).read(9);
      },
      async (peer) => {
        await peer.send(sslRequest).read(1);
        await peer.secure();
        await peer.send(startup(), message("p", "b")).read(9);
      },
    ];
    for (const step of steps) {
      const peer = await b.connect();
      await step(peer);
      const { socket } = peer;
      // A reset, not a close.
      if (socket instanceof tls.TLSSocket) socket.destroy();
      else socket.resetAndDestroy();
      await peer.closed;
    }
    const fine = await classic(b);
    fine.send(startup(), password(goodToken));
    expect((await b.nextClient()).user).toBe("user");
  });
});
