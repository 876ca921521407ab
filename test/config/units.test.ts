import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodeName } from "../../src/config/build/audit.ts";
import { isLoopback, isSafeUrl, parseAddress, parseDuration, parseSize } from "../../src/config/units.ts";

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["1048576", 1_048_576],
    ["7B", 7],
    ["512KiB", 524_288],
    ["4MiB", 4_194_304],
    ["2GiB", 2_147_483_648],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each([
    "",
    "4MB",
    "4 MiB",
    "-1",
    "1.5MiB",
    "4mib",
    "MiB",
    "0x10",
    "1e3",
    "9999999999999999",
    "999999999999999GiB",
  ])("%j is no size", (text) => expect(parseSize(text)).toBeNull());
});

describe("durations", () => {
  test.each([
    ["30s", 30],
    ["15m", 900],
    ["8h", 28_800],
    ["1d", 86_400],
  ])("%s is %d seconds", (text, seconds) => expect(parseDuration(text)).toBe(seconds));
  test.each(["", "30", "s", "1w", "-1s", "1.5h", "1h30m"])("%j is no duration", (text) =>
    expect(parseDuration(text)).toBeNull(),
  );
});

describe("addresses", () => {
  test.each([
    ["127.0.0.1:6432", { host: "127.0.0.1", port: 6432 }],
    ["[::1]:6432", { host: "::1", port: 6432 }],
    ["localhost:0", { host: "localhost", port: 0 }],
    ["gw-1.example.com:65535", { host: "gw-1.example.com", port: 65_535 }],
    ["unix:/run/postern/.s.PGSQL.6432", { path: "/run/postern/.s.PGSQL.6432" }],
  ])("%s", (text, address) => expect(parseAddress(text)).toEqual(address));

  test.each([
    "",
    "6432",
    ":6432",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "::1:6432",
    "[127.0.0.1]:6432",
    "[::1]",
    "[zz]:1",
    "256.1.1.1:5",
    "1.2.3:5",
    "a b:5",
    "-a:5",
    "a..b:5",
    "*:5",
    "unix:relative",
    "unix:",
    `unix:/${"x".repeat(107)}`,
    "unix:/a\0b",
    "http://127.0.0.1:80",
  ])("%j is no address", (text) => expect(parseAddress(text)).toBeNull());

  test.each([
    "127.0.0.1",
    "127.255.0.9",
    "::1",
    "0:0:0:0:0:0:0:1",
    "localhost",
    "LOCALHOST",
    "::ffff:127.0.0.1",
  ])("%s is loopback", (host) => expect(isLoopback(host)).toBe(true));
  test.each([
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "localhost.example.com",
    "x.localhost",
    "127.0.0.1.example.com",
    "::ffff:10.0.0.1",
    "",
  ])("%j is not loopback", (host) => expect(isLoopback(host)).toBe(false));

  test("any text is parsed or refused, never thrown at", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const parse of [parseAddress, parseSize, parseDuration, isSafeUrl]) parse(text);
      }),
    );
  });
});

describe("URLs to fetch keys from", () => {
  test.each([
    "https://idp.example.com",
    "https://idp.example.com/a?b",
    "http://127.0.0.1:9",
    "http://[::1]:9/x",
    "http://localhost",
  ])("%s is safe", (url) => expect(isSafeUrl(url)).toBe(true));
  test.each([
    "http://idp.example.com",
    "ftp://x",
    "file:///etc/passwd",
    "https://u:p@idp.example.com",
    "idp.example.com",
    "http://127.0.0.1.nip.io",
    "",
  ])("%j is not", (url) => expect(isSafeUrl(url)).toBe(false));
});

test("a host's name becomes a log name", () => {
  expect(nodeName("gw-1")).toBe("gw-1");
  expect(nodeName("Web_01.Example.COM")).toBe("web-01-example-com");
  expect(nodeName("---")).toBe("node");
  expect(nodeName("äö")).toBe("node");
  expect(nodeName(`${"x".repeat(62)}-y`)).toBe("x".repeat(62));
  fc.assert(
    fc.property(fc.string(), (host) => {
      expect(nodeName(host)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
    }),
  );
});
