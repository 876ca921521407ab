import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ProtocolError,
  type ScramVerifier,
  scramClient,
  scramMechanisms,
  scramServer,
} from "../../src/protocol/index.ts";

function verifier(password: string, salt = Buffer.alloc(16, 7), iterations = 4096): ScramVerifier {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  return {
    salt,
    iterations,
    storedKey: createHash("sha256").update(clientKey).digest(),
    serverKey: createHmac("sha256", salted).update("Server Key").digest(),
  };
}

describe("the example of RFC 7677 section 3", () => {
  it("is answered as printed", () => {
    const server = scramServer(
      "SCRAM-SHA-256",
      verifier("pencil", Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64")),
      null,
      "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    );
    expect(server.first(Buffer.from("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")).toString()).toBe(
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    );
    const final = server.final(
      Buffer.from(
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      ),
    );
    expect(final?.toString()).toBe("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  });
});

const binding = Buffer.alloc(32, 3);

describe("against our own client", () => {
  it.each([
    ["without TLS", null, "none", "SCRAM-SHA-256"],
    ["TLS without -PLUS", null, "tls-without-plus", "SCRAM-SHA-256"],
    ["bound", binding, { type: "tls-server-end-point", data: binding }, "SCRAM-SHA-256-PLUS"],
    ["a client that cannot bind", binding, "none", "SCRAM-SHA-256"],
  ] as const)("%s", async (_name, data, channelBinding, mechanism) => {
    for (const [password, good] of [
      ["secret", true],
      ["Secret", false],
    ] as const) {
      const client = scramClient({ password, channelBinding });
      expect(client.mechanism).toBe(mechanism);
      expect(scramMechanisms(data)).toContain(mechanism);
      const server = scramServer(mechanism, verifier("secret"), data);
      const final = server.final(await client.final(server.first(client.first())));
      if (good && final !== null) client.verify(final);
      expect(client.verified).toBe(good);
      expect(final === null).toBe(!good);
    }
  });

  it("refuses a binding to another certificate, and a downgrade", async () => {
    const client = scramClient({
      password: "secret",
      channelBinding: { type: "tls-server-end-point", data: Buffer.alloc(32, 9) },
    });
    const server = scramServer("SCRAM-SHA-256-PLUS", verifier("secret"), binding);
    const answer = await client.final(server.first(client.first()));
    expect(() => server.final(answer)).toThrow(ProtocolError);
    const cheated = scramClient({ password: "secret", channelBinding: "tls-without-plus" });
    expect(() => scramServer("SCRAM-SHA-256", verifier("secret"), binding).first(cheated.first())).toThrow(
      /tampered/,
    );
  });
});

describe("hostile clients", () => {
  const first = (text: string, mechanism = "SCRAM-SHA-256", data: Buffer | null = null) =>
    scramServer(mechanism, verifier("x"), data).first(Buffer.from(text, "latin1"));

  it.each([
    [""],
    ["n,,"],
    ["n,,n=user"],
    ["n,,r=abc"],
    ["n,a=admin,n=,r=abc"],
    ["n,,m=ext,n=,r=abc"],
    ["p=tls-server-end-point,,n=,r=abc"],
    ["p=tls-unique,,n=,r=abc"],
    ["n,,n=,r="],
    ["n,,n=,r=a\u0000b"],
    ["n,,n=,r=é"],
    [`n,,n=,r=${"a".repeat(1100)}`],
  ])("%j is refused", (text) => {
    expect(() => first(text)).toThrow(ProtocolError);
  });

  it("refuses mechanisms that were not offered", () => {
    for (const mechanism of ["SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "", "OAUTHBEARER"])
      expect(() => scramServer(mechanism, verifier("x"), null)).toThrow(ProtocolError);
  });

  it("takes each message once, in order, and no proof but the right one", () => {
    const server = scramServer("SCRAM-SHA-256", verifier("x"), null);
    expect(() => server.final(Buffer.from("c=biws,r=x,p=AAAA"))).toThrow(ProtocolError);
    const text = server.first(Buffer.from("n,,n=,r=abc")).toString();
    expect(() => server.first(Buffer.from("n,,n=,r=abc"))).toThrow(ProtocolError);
    const nonce = /^r=([^,]+)/.exec(text)?.[1] ?? "";
    const proof = Buffer.alloc(32).toString("base64");
    expect(server.final(Buffer.from(`c=biws,r=${nonce},p=${proof}`))).toBeNull();
    expect(() => server.final(Buffer.from(`c=biws,r=${nonce},p=${proof}`))).toThrow(ProtocolError);
    for (const message of [`c=biws,r=${nonce}x,p=${proof}`, `c=eSws,r=${nonce},p=${proof}`]) {
      const again = scramServer("SCRAM-SHA-256", verifier("x"), null, nonce.slice(3));
      again.first(Buffer.from("n,,n=,r=abc"));
      expect(() => again.final(Buffer.from(message))).toThrow(ProtocolError);
    }
  });

  it("never throws anything but ProtocolError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (one, two) => {
        const server = scramServer("SCRAM-SHA-256", verifier("x"), null);
        for (const step of [() => server.first(Buffer.from(one)), () => server.final(Buffer.from(two))])
          try {
            step();
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
      }),
    );
  });
});
