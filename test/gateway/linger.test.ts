import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { destroyAfter } from "../../src/gateway/linger.ts";
import type { WireSocket } from "../../src/gateway/ports.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const made = () => new PassThrough() as unknown as WireSocket;
const closed = (socket: WireSocket) => new Promise((resolve) => socket.once("close", resolve));

test("a socket that does not close by itself is destroyed", async () => {
  const socket = made();
  destroyAfter(socket, 5_000);
  vi.advanceTimersByTime(4_999);
  expect(socket.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  expect(socket.destroyed).toBe(true);
  await closed(socket);
});

test("one that has closed is kept by no timer", async () => {
  const socket = made();
  destroyAfter(socket, 5_000);
  expect(vi.getTimerCount()).toBe(1);
  socket.destroy();
  await closed(socket);
  expect(vi.getTimerCount()).toBe(0);
  destroyAfter(socket, 5_000);
  expect(vi.getTimerCount()).toBe(0);
});
