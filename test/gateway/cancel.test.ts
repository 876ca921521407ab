import { expect, test } from "vitest";
import { createCancelKeys } from "../../src/gateway/cancel.ts";

function session(pid: number, minor: 0 | 2 = 0, ip = "10.0.0.1") {
  const seen = { cancelled: 0 };
  return { seen, pid, minor, ip, cancel: async () => void seen.cancelled++ };
}
const guess = Buffer.from("????");

test("a client is told the server's process id, and a key of its protocol's length", () => {
  const keys = createCancelKeys();
  expect(keys.add(session(4711))).toMatchObject({ pid: 4711, key: { length: 4 } });
  expect(keys.add(session(4712, 2))).toMatchObject({ pid: 4712, key: { length: 32 } });
});

test("a server that tells no process id: one is made up", () => {
  const { pid } = createCancelKeys().add(session(0));
  expect(pid).toBeGreaterThanOrEqual(0);
  expect(pid).toBeLessThan(2 ** 31);
});

test("two servers' processes of the same id are told apart by their keys", async () => {
  const keys = createCancelKeys();
  const [one, other] = [session(7), session(7)];
  const [first, second] = [keys.add(one), keys.add(other)];
  await keys.cancel({ pid: 7, key: second.key, ip: "10.0.0.9" });
  expect([one.seen.cancelled, other.seen.cancelled]).toEqual([0, 1]);
  second.remove();
  second.remove();
  await keys.cancel({ pid: 7, key: second.key, ip: "10.0.0.9" });
  await keys.cancel({ pid: 7, key: first.key, ip: "10.0.0.9" });
  expect([one.seen.cancelled, other.seen.cancelled]).toEqual([1, 1]);
});

test("a key of another length, or of another process, does nothing", async () => {
  const keys = createCancelKeys();
  const one = session(7, 2);
  const { key } = keys.add(one);
  await keys.cancel({ pid: 7, key: key.subarray(0, 4), ip: one.ip });
  await keys.cancel({ pid: 8, key, ip: one.ip });
  expect(one.seen.cancelled).toBe(0);
});

test("guessing is cut off for a minute, and does not keep the client itself from cancelling", async () => {
  let now = 0;
  const keys = createCancelKeys(() => now);
  const one = session(7);
  const { key } = keys.add(one);
  const stranger = { pid: 7, ip: "192.0.2.1" };
  for (let i = 0; i < 100; i++) await keys.cancel({ ...stranger, key: guess });
  await keys.cancel({ ...stranger, key });
  expect(one.seen.cancelled).toBe(0);
  await keys.cancel({ pid: 7, key, ip: one.ip });
  expect(one.seen.cancelled).toBe(1);
  now = 60_000;
  await keys.cancel({ ...stranger, key });
  expect(one.seen.cancelled).toBe(2);
});

test("nor may the client's own address guess on", async () => {
  const keys = createCancelKeys(() => 0);
  const one = session(7);
  const { key } = keys.add(one);
  for (let i = 0; i < 100; i++) await keys.cancel({ pid: 7, ip: one.ip, key: guess });
  await keys.cancel({ pid: 7, ip: one.ip, key });
  expect(one.seen.cancelled).toBe(0);
});
