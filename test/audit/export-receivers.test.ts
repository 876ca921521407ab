/** Receivers of exports that answer oddly: nothing counts as taken that was not, and nothing stands still unseen. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { HttpSink } from "../../src/audit/export/http.ts";
import type { ExportRecord } from "../../src/audit/export/record.ts";
import type { StreamTarget } from "../../src/audit/export/settings.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Hears requests as far as `when` says, and answers each with what `answer` does to its connection. */
async function receiver(when: "headers" | "whole", answer: (socket: Socket) => void): Promise<string> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    let heard = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      const head = heard.indexOf("\r\n\r\n");
      if (head < 0) return;
      if (when === "headers") {
        socket.pause();
        answer(socket);
        return;
      }
      const length = Number(/content-length: (\d+)/i.exec(heard.toString("latin1", 0, head))?.[1]);
      if (heard.length < head + 4 + length) return;
      heard = Buffer.alloc(0);
      answer(socket);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  closers.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
}

/** What becomes of one record sent to it: "taken", or the problem. */
async function send(url: string, kind: StreamTarget["kind"] = "webhook", bytes = 10): Promise<string> {
  const target: StreamTarget = {
    name: "x",
    kind,
    url,
    format: "jsonl",
    authorization: null,
    ca: null,
    start: "now",
  };
  const stored = JSON.stringify({ id: "1", pad: "x".repeat(bytes) });
  const record: ExportRecord = { log: "l", index: 0, hash: "ab", stored, leaf: { id: "1" }, intent: null };
  const sink = new HttpSink(target, { version: "1" }, 300);
  closers.push(() => sink.close());
  return sink.send([record]).then(
    () => "taken",
    (error: Error) => error.message,
  );
}

/** Writes `piece` for as long as the connection stands. */
const endlessly = (piece: string, everyMs: number) => (socket: Socket) => {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(piece)), everyMs);
};
const begun = "HTTP/1.1 200 OK\r\n";

describe("answers", () => {
  test.each<[string, (socket: Socket) => void]>([
    ["cut behind its headers", (s) => s.end(`${begun}content-length: 100\r\n\r\nhello`)],
    ["cut between two chunks", (s) => s.end(`${begun}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`)],
    [
      "without an end",
      (s) => {
        s.write(`${begun}\r\n`);
        endlessly("x".repeat(65_536), 1)(s);
      },
    ],
    [
      "that drip",
      (s) => {
        s.write(`${begun}\r\n`);
        endlessly("x", 20)(s);
      },
    ],
    ["with a body that is not allowed", (s) => s.write("HTTP/1.1 204 No Content\r\n\r\nhello")],
    [
      "with half a code point and no JSON",
      (s) => s.end(Buffer.from(`${begun}\r\n{"partialSuccess":\xe2`, "latin1")),
    ],
  ])("%s say what their status says: the records are taken once", async (_name, answer) => {
    for (const kind of ["webhook", "otlp"] as const)
      expect(await send(await receiver("whole", answer), kind)).toBe("taken");
  });

  test.each<[string, RegExp, (socket: Socket) => void]>([
    ["cut in the status line", /cannot be reached \(ECONNRESET\)/, (s) => s.end("HTTP/1.1 20")],
    ["cut in the headers", /cannot be reached \(ECONNRESET\)/, (s) => s.end(`${begun}x: y\r\n`)],
    ["none", /cannot be reached \(ECONNRESET\)/, (s) => s.end()],
    ["none, ever", /did not answer in time/, () => {}],
    [
      "headers without an end",
      /HPE_HEADER_OVERFLOW/,
      (s) => {
        s.write(begun);
        endlessly(`x: ${"y".repeat(4000)}\r\n`, 1)(s);
      },
    ],
    ["for ever to be continued", /did not answer in time/, endlessly("HTTP/1.1 100 Continue\r\n\r\n", 5)],
    [
      "another protocol",
      /answered 101/,
      (s) => s.write("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ],
    ["500 and cut", /answered 500/, (s) => s.end("HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\n\0")],
    ["not HTTP", /HPE_INVALID/, (s) => s.end("220 smtp.example.com\r\n")],
  ])("%s: nothing is taken, and it is said", async (_name, problem, answer) => {
    expect(await send(await receiver("whole", answer))).toMatch(problem);
  });
});

test("a refusal that comes before the records have left is heard, whatever the connection does then", async () => {
  const bytes = 32 * 1024 * 1024;
  const early = "HTTP/1.1 401 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
  expect(await send(await receiver("headers", (s) => s.end(early)), "webhook", bytes)).toMatch(
    /answered 401/,
  );
});

test("whoever says that it took what it had not yet been sent, has not taken it", async () => {
  const bytes = 32 * 1024 * 1024;
  const early = `${begun}content-length: 0\r\n\r\n`;
  expect(
    await send(await receiver("headers", (s) => s.write(early, () => s.destroy())), "webhook", bytes),
  ).toMatch(/ended the connection/);
  expect(await send(await receiver("headers", (s) => s.write(early)), "webhook", bytes)).toMatch(/in time/);
});
