import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { readShared } from "../../src/gateway/client/reads.ts";

const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An accepted socket as the gateway's listener makes it, and its client. */
async function pair(): Promise<{ accepted: Socket; client: Socket }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const client = connect(address.port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  closing.push(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { accepted, client };
}

async function until(met: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !met(); i++) await pause(10);
  expect(met()).toBe(true);
}

test("this version of Node reads accepted sockets into shared memory; the chunks of two sockets stay what they were", async () => {
  const pairs = [await pair(), await pair()];
  const got: Buffer[][] = [[], []];
  pairs.forEach(({ accepted }, i) => {
    accepted.on("data", () => expect.unreachable("it is read as any other socket"));
    expect(readShared(accepted, (chunk) => got[i]?.push(chunk))).toBe(true);
    accepted.resume();
  });
  const sent: Buffer[] = pairs.map((_, i) => Buffer.alloc(300_000, i + 1));
  for (let at = 0, step = 1; at < 300_000; at += step, step = (step * 3) % 20_011) {
    pairs.forEach(({ client }, i) => {
      client.write(sent[i]?.subarray(at, at + step) ?? "");
    });
    await pause(1);
  }
  await until(() => got.every((chunks) => Buffer.concat(chunks).length === 300_000));
  got.forEach((chunks, i) => {
    expect(Buffer.concat(chunks).equals(sent[i] as Buffer)).toBe(true);
    expect(chunks.length).toBeGreaterThan(20);
  });
});

test("a socket that is paused is not read, and its client's end is told behind what it sent", async () => {
  const { accepted, client } = await pair();
  const events: string[] = [];
  let bytes = 0;
  expect(
    readShared(accepted, (chunk) => {
      bytes += chunk.length;
      if (bytes === chunk.length) accepted.pause();
    }),
  ).toBe(true);
  accepted.on("end", () => events.push(`end behind ${bytes}`));
  accepted.resume();
  const total = 32 * 1024 * 1024;
  client.write(Buffer.alloc(total));
  client.end();
  await until(() => bytes > 0);
  const before = bytes;
  await pause(50);
  expect(bytes).toBe(before);
  expect(bytes).toBeLessThan(total);
  accepted.resume();
  await until(() => events.length > 0);
  expect(events).toEqual([`end behind ${total}`]);
  accepted.end("bye");
  expect((await once(client.setEncoding("latin1"), "data"))[0]).toBe("bye");
});

test("what is no plain socket, has been set up already or is closed is left as it is", async () => {
  const take = (): void => expect.unreachable();
  expect(readShared(new Duplex({ read() {} }), take)).toBe(false);
  const { accepted } = await pair();
  expect(readShared(accepted, () => {})).toBe(true);
  expect(readShared(accepted, take)).toBe(false);
  const other = await pair();
  other.accepted.destroy();
  expect(readShared(other.accepted, take)).toBe(false);
});
