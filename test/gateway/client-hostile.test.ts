import { randomBytes } from "node:crypto";
import { Socket } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Inbox, maxBuffered } from "../../src/gateway/client/inbox.ts";
import {
  askPassword,
  type Bench,
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

let b: Bench;
/** A session that was there before, and must be there afterwards. */
let neighbour: Peer;

beforeAll(async () => {
  b = await bench({ tls: certificate, startupSeconds: 5, connections: 200 });
  neighbour = await b.connect();
  neighbour.send(startup(), password(goodToken));
  await neighbour.read(9);
  const { socket } = await b.nextClient();
  socket.on("data", (chunk: Buffer) => socket.write(chunk)).resume();
});
afterAll(async () => {
  await b.stop();
});

/** A startup packet of protocol 3.0 around any bytes (latin1). */
function packet(body: string): Buffer {
  const bytes = Buffer.concat([Buffer.from("0000000000030000", "hex"), Buffer.from(body, "latin1")]);
  bytes.writeInt32BE(bytes.length, 0);
  return bytes;
}

async function others(): Promise<void> {
  neighbour.send("ping");
  expect((await neighbour.read(4)).toString()).toBe("ping");
  const peer = await b.connect();
  peer.send(startup());
  expect(await peer.read(9)).toEqual(askPassword);
  const before = b.clients.length;
  peer.send(password(goodToken));
  while (b.clients.length === before) await new Promise(setImmediate);
  peer.destroy();
}

describe("bytes of strangers", () => {
  it.each([
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "08P01"],
    ["length 0", Buffer.from("0000000000030000", "hex"), "08P01"],
    ["length 7", Buffer.from("00000007000300", "hex"), "08P01"],
    ["a negative length", Buffer.from("ffffffff00030000", "hex"), "08P01"],
    ["length 10005", Buffer.from("0000271500030000", "hex"), "08P01"],
    ["2 GiB announced", Buffer.from("7fffffff00030000", "hex"), "08P01"],
    ["an empty packet", packet(""), "08P01"],
    ["no terminator", packet("user\0u\0x"), "08P01"],
    ["bytes behind the terminator", packet("user\0u\0\0\0"), "08P01"],
    ["a name without a value", packet("user\0\0"), "08P01"],
    ["bad UTF-8", packet("user\0\xff\0\0"), "08P01"],
    ["an SSL request that is too long", Buffer.from("0000000904d2162f00", "hex"), "08P01"],
    ["a query first", message("Q", "select 1\0"), "08P01"],
    ["a password first", password(goodToken), "08P01"],
    ["protocol 2", Buffer.from("0000000800020000", "hex"), "0A000"],
    ["a code of the future", Buffer.from("0000000804d21640", "hex"), "0A000"],
  ])("%s: one error, closed", async (_, bytes, code) => {
    const peer = await b.connect();
    const before = b.failures.length;
    peer.send(bytes);
    expect((await peer.fatal()).code).toBe(code);
    expect(b.failures.slice(before)).toMatchObject([{ code: "PROTOCOL" }]);
    await others();
  });

  it("takes a startup packet of 10,000 bytes", async () => {
    const overhead = startup({ application_name: "" }).length - 4;
    const peer = await b.connect();
    peer.send(startup({ application_name: "n".repeat(10_000 - overhead) }));
    expect(await peer.read(9)).toEqual(askPassword);
    peer.destroy();
  });

  it("keeps no more than its bound of what is sent before authentication", async () => {
    expect(maxBuffered).toBeLessThanOrEqual(80 * 1024);
    const socket = new Socket();
    const inbox = new Inbox(socket);
    socket.emit("data", Buffer.alloc(maxBuffered - 1));
    socket.emit("data", Buffer.from("x"));
    expect((await inbox.take(2))?.length).toBe(2);
    socket.emit("data", Buffer.from("xx"));
    expect(inbox.buffered).toBe(maxBuffered);
    socket.emit("data", Buffer.from("x"));
    expect(inbox.buffered).toBe(0);
    await expect(inbox.take(1)).rejects.toMatchObject({ code: "PROTOCOL" });
  });

  it("does not read on while a token is checked", async () => {
    const peer = await b.connect();
    peer.send(startup(), password("slow"));
    await peer.read(9);
    let written = false;
    // More than all buffers of the system between the two ends.
    peer.socket.write(Buffer.alloc(32 * 1024 * 1024), () => {
      written = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBe(false);
    peer.destroy();
    await others();
  });

  it("stays up through 100 connections of random bytes", async () => {
    const peers: Peer[] = [];
    for (let n = 0; n < 100; n++) {
      const peer = await b.connect();
      peers.push(peer);
      const bytes = randomBytes(1 + ((n * 37) % 400));
      // Some begin like something that is known.
      const lead = [Buffer.alloc(0), sslRequest, gssRequest, startup(), Buffer.from("160301", "hex")][n % 5];
      peer.send(lead ?? "", bytes);
      if (n % 3 === 0) peer.socket.end();
      if (n % 7 === 0) peer.destroy();
    }
    await others();
    for (const peer of peers) peer.destroy();
    await Promise.all(peers.map((peer) => peer.closed));
    await others();
    expect(b.failures.filter((f) => f.code === "INTERNAL")).toEqual([]);
  });

  it("stays up through clients that trickle for as long as they may", async () => {
    const peers = await Promise.all(Array.from({ length: 50 }, () => b.connect()));
    for (const peer of peers) peer.send(startup().subarray(0, 10));
    await others();
    const answers = await Promise.all(peers.map((peer) => peer.fatal()));
    expect(new Set(answers.map((answer) => answer.code))).toEqual(new Set(["08P01"]));
    await others();
  });

  it("reads any cutting of the same bytes alike", async () => {
    const stream = Buffer.concat([startup({ "postern.run": "7" }), password(goodToken)]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 12 }), async (sizes) => {
        const before = b.clients.length;
        const peer = await b.connect();
        let at = 0;
        for (const size of sizes) {
          peer.send(stream.subarray(at, at + size));
          at = Math.min(at + size, stream.length);
          await new Promise(setImmediate);
        }
        peer.send(stream.subarray(at));
        while (b.clients.length === before) await new Promise(setImmediate);
        const client = b.clients[before];
        expect(client?.claimed).toEqual({ run: "7" });
        expect(client?.rest).toHaveLength(0);
        peer.destroy();
      }),
      { numRuns: 25 },
    );
  });
});
