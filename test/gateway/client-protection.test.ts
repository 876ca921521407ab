/** Waits after failed logins, as clients of the listener see them. */
import { afterEach, describe, expect, it } from "vitest";
import { IdentityError } from "../../src/identity/errors.ts";
import { createProtection } from "../../src/identity/protection.ts";
import { askPassword, type Bench, bench, goodToken, identity, password, startup } from "./client-support.ts";

const settings = { perIp: 6, perPrincipal: 3, windowSeconds: 60, firstSeconds: 10, longestSeconds: 100 };
let running: Bench[] = [];
afterEach(async () => {
  for (const one of running) await one.stop();
  running = [];
});

async function start(
  options: Parameters<typeof bench>[0] = {},
): Promise<{ b: Bench; advance(ms: number): void }> {
  let time = 1_000_000;
  const b = await bench({ protection: createProtection(settings, () => time), ...options });
  running.push(b);
  return {
    b,
    advance(ms) {
      time += ms;
    },
  };
}

async function login(b: Bench, token: string): Promise<{ code: string; message: string } | null> {
  const peer = (await b.connect()).send(startup());
  const first = await peer.read(1);
  if (first.toString() === "E") {
    const rest = await peer.rest();
    return { code: /C(\w{5})/.exec(rest.toString("latin1"))?.[1] ?? "", message: rest.toString("latin1") };
  }
  await peer.read(askPassword.length - 1);
  const before = b.clients.length;
  peer.send(password(token));
  if (token === goodToken) {
    await b.nextClient();
    expect(b.clients.length).toBe(before + 1);
    return null;
  }
  const { code, message } = await peer.fatal();
  return { code, message };
}

const codes = (b: Bench) => b.failures.map(({ code }) => code);

describe("in one name", () => {
  it("after three failures nothing is looked at, the answer is the same, and one record says so", async () => {
    let judged = 0;
    const { b, advance } = await start({
      identity: {
        ...identity,
        async authenticate(token) {
          judged += 1;
          return identity.authenticate(token);
        },
      },
    });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await login(b, "bad"));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]?.code).toBe("28P01");
    expect(judged).toBe(3);
    expect(codes(b)).toEqual(["TOKEN_EXPIRED", "TOKEN_EXPIRED", "TOKEN_EXPIRED", "LOCKED_OUT"]);
    expect(b.failures.at(-1)?.cause).toMatch(
      /^too many failed logins in this name from this address; refused for 10 s/,
    );
    // Another name from the same address is not held up.
    expect(await login(b, goodToken)).toBeNull();
    advance(10_001);
    await login(b, "bad");
    expect(judged).toBe(5);
  });
});

describe("from one address", () => {
  it("after six failures, whatever the names, before any token is asked for; a good token does not help", async () => {
    const { b, advance } = await start();
    for (let i = 0; i < 6; i++) expect((await login(b, `bad-${i}`))?.code).toBe("28P01");
    for (let i = 0; i < 3; i++) {
      const answer = await login(b, goodToken);
      expect(answer?.code).toBe("53300");
      expect(answer?.message).toContain("Try again in 10 seconds");
    }
    expect(codes(b).filter((code) => code === "LOCKED_OUT")).toHaveLength(1);
    advance(10_001);
    expect(await login(b, goodToken)).toBeNull();
  });

  it("what says nothing against the caller does not count", async () => {
    const { b } = await start({
      identity: {
        ...identity,
        async authenticate(token) {
          if (token === goodToken) return identity.authenticate(token);
          throw new IdentityError("KEYS_UNAVAILABLE", "the provider is down");
        },
      },
    });
    for (let i = 0; i < 7; i++) await login(b, "waiting");
    expect(await login(b, goodToken)).toBeNull();
  });
});
