import { describe, expect, test } from "vitest";
import { createProtection, nameOf } from "../../src/identity/protection.ts";
import { part } from "../support/idp.ts";

const settings = { perIp: 4, perPrincipal: 2, windowSeconds: 60, firstSeconds: 10, longestSeconds: 60 };

function make() {
  let time = 0;
  const protection = createProtection(settings, () => time);
  return {
    protection,
    advance: (seconds: number) => {
      time += seconds * 1000;
    },
    fail: (times: number, ip = "192.0.2.1", name: string | null = null) => {
      for (let i = 0; i < times; i++) protection.failed(ip, name);
    },
  };
}

const wait = (gate: ReturnType<ReturnType<typeof createProtection>["admit"]>) =>
  gate.open ? 0 : gate.retryAfterSeconds;

describe("waits", () => {
  test("begin at the limit, and double up to the longest", () => {
    const { protection, advance, fail } = make();
    fail(3);
    expect(wait(protection.admit("192.0.2.1"))).toBe(0);
    fail(1);
    const seen = [];
    for (let i = 0; i < 5; i++) {
      const seconds = wait(protection.admit("192.0.2.1"));
      seen.push(seconds);
      advance(seconds);
      expect(wait(protection.admit("192.0.2.1"))).toBe(0);
      fail(1);
    }
    expect(seen).toEqual([10, 20, 40, 60, 60]);
  });

  test("are forgotten after a calm time", () => {
    const { protection, advance, fail } = make();
    fail(4);
    advance(10 + 4 * 60);
    fail(3);
    expect(wait(protection.admit("192.0.2.1"))).toBe(0);
    fail(1);
    expect(wait(protection.admit("192.0.2.1"))).toBe(10);
  });

  test("failures that lie apart do not add up", () => {
    const { protection, advance, fail } = make();
    for (let i = 0; i < 10; i++) {
      fail(3);
      advance(61);
    }
    expect(wait(protection.admit("192.0.2.1"))).toBe(0);
  });

  test("are told once each, with the number refused since", () => {
    const { protection, advance, fail } = make();
    fail(4);
    expect(protection.admit("192.0.2.1")).toMatchObject({ tell: true, refused: 1 });
    expect(protection.admit("192.0.2.1")).toMatchObject({ tell: false, refused: 2 });
    advance(10);
    fail(1);
    expect(protection.admit("192.0.2.1")).toMatchObject({ tell: true, refused: 1 });
  });

  test("of a name hold for the address they came from, and end with a success", () => {
    const { protection, fail } = make();
    fail(2, "192.0.2.1", "n");
    expect(wait(protection.admitName("192.0.2.1", "n"))).toBe(10);
    expect(wait(protection.admitName("192.0.2.2", "n"))).toBe(0);
    expect(wait(protection.admitName("192.0.2.1", "m"))).toBe(0);
    protection.succeeded("192.0.2.1", "n");
    expect(wait(protection.admitName("192.0.2.1", "n"))).toBe(0);
  });

  test("a success does not end those of the address", () => {
    const { protection, fail } = make();
    fail(4);
    protection.succeeded("192.0.2.1", "n");
    expect(wait(protection.admit("192.0.2.1"))).toBe(10);
  });

  test("one IPv6 network is one address", () => {
    const { protection, fail } = make();
    fail(2, "2001:db8:1:2::1");
    fail(2, "2001:DB8:0001:2:aaaa:bbbb:cccc:dddd");
    expect(wait(protection.admit("2001:db8:1:2:ffff::"))).toBe(10);
    expect(wait(protection.admit("2001:db8:1:3::1"))).toBe(0);
    expect(wait(protection.admit("::1"))).toBe(0);
  });

  test("IPv4 in the spelling of IPv6 is the address itself, and no other's", () => {
    const clock = { now: 0 };
    const protection = createProtection({ ...settings, perIp: 1 }, () => clock.now);
    protection.failed("::ffff:192.0.2.1", null);
    expect(protection.admit("192.0.2.1").open).toBe(false);
    expect(protection.admit("0:0:0:0:0:FFFF:192.0.2.1").open).toBe(false);
    // On a socket bound to "::" every IPv4 client is written like this.
    expect(protection.admit("::ffff:192.0.2.2").open).toBe(true);
    expect(protection.admit("::1").open).toBe(true);
  });

  test("memory is bounded", () => {
    const { protection } = make();
    for (let i = 0; i < 60_000; i++) protection.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, null);
    for (let i = 0; i < 4; i++) protection.failed("192.0.2.9", null);
    expect(wait(protection.admit("192.0.2.9"))).toBe(10);
  });

  test("none where they are switched off", () => {
    const off = createProtection(null);
    for (let i = 0; i < 1000; i++) off.failed("192.0.2.1", "n");
    expect(off.admit("192.0.2.1").open && off.admitName("192.0.2.1", "n").open).toBe(true);
  });
});

describe("names", () => {
  const jwt = (claims: unknown, rest = "x") => `${part({ alg: "ES256" })}.${part(claims)}.${rest}`;

  test("of a JWT: its issuer and subject, whatever else it says", () => {
    const one = nameOf(jwt({ iss: "i", sub: "alice", exp: 1 }));
    expect(nameOf(jwt({ iss: "i", sub: "alice", exp: 2 }, "y"))).toBe(one);
    expect(nameOf(jwt({ iss: "j", sub: "alice" }))).not.toBe(one);
    expect(one).not.toContain("alice");
  });

  test("of anything else: its text", () => {
    for (const odd of ["pgt_abc", "a.b.c", jwt("x"), jwt({ sub: 7 }), "PHg+"])
      expect(nameOf(odd)).toMatch(/^[\w-]{22}$/);
    expect(nameOf("pgt_abc")).not.toBe(nameOf("pgt_abd"));
    expect(nameOf("")).toBeNull();
    expect(nameOf("x".repeat(70_000))).toBeNull();
  });
});
