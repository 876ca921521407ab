/** A connection on which the gateway asks: how it ends. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createTalk, TalkLost } from "../../src/gateway/analyst/talk.ts";
import { encodeQuery } from "../../src/protocol/index.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** Both ends of a connection, each of which can be closed by itself. */
async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  near.on("error", () => undefined);
  far.on("error", () => undefined).resume();
  open.push(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

it("a question that the server closes its side on is lost at once, and so is the connection", async () => {
  const { near, far } = await pair();
  const talk = createTalk(near, { timeoutMs: 600_000, answerBytes: 1024 });
  const asked = talk.run(encodeQuery("select 1"), () => undefined);
  far.once("data", () => far.end());
  await expect(asked).rejects.toThrow(TalkLost);
  expect(talk.open).toBe(false);
});

it("a connection that the server closes while nothing is asked is not asked again", async () => {
  const { near, far } = await pair();
  const talk = createTalk(near, { timeoutMs: 600_000, answerBytes: 1024 });
  far.end();
  await once(near, "close");
  expect(talk.open).toBe(false);
  await expect(talk.run(encodeQuery("select 1"), () => undefined)).rejects.toThrow(TalkLost);
});
