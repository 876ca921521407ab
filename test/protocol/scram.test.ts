import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type ChannelBinding, ProtocolError, scramClient } from "../../src/protocol/index.ts";
import { type ScramClient, scramExchange } from "../../src/protocol/sasl/scram.ts";

/** The exchange of RFC 7677 section 3. */
const rfc = {
  user: "user",
  password: "pencil",
  nonce: "rOprNGfwEbeRWgbNEkqO",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};
const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const salt = "W22ZaJ0SNY7soEsUEjb6gQ==";

function start(): ScramClient {
  const client = scramExchange({ password: rfc.password, channelBinding: "none" }, rfc.user, rfc.nonce);
  client.first();
  return client;
}

async function started(): Promise<ScramClient> {
  const client = start();
  await client.final(Buffer.from(rfc.serverFirst));
  return client;
}

describe("RFC 7677 section 3", () => {
  test("the published exchange", async () => {
    const client = scramExchange({ password: rfc.password, channelBinding: "none" }, rfc.user, rfc.nonce);
    expect(client.mechanism).toBe("SCRAM-SHA-256");
    expect(client.first().toString()).toBe(rfc.clientFirst);
    expect((await client.final(Buffer.from(rfc.serverFirst))).toString()).toBe(rfc.clientFinal);
    expect(client.verified).toBe(false);
    client.verify(Buffer.from(rfc.serverFinal));
    expect(client.verified).toBe(true);
  });

  test("extensions behind the known attributes are passed over", async () => {
    const client = start();
    await client.final(Buffer.from(`${rfc.serverFirst},x=anything`));
    // They belong to what is signed: the published signature no longer holds.
    expect(() => client.verify(Buffer.from(`${rfc.serverFinal},x=y`))).toThrow(
      expect.objectContaining({ code: "28000" }),
    );
  });
});

describe("the server's first message", () => {
  test.each([
    ["a nonce that is only ours", `r=${rfc.nonce},s=${salt},i=4096`],
    ["a nonce that is not ours", `r=x${nonce},s=${salt},i=4096`],
    ["a shorter nonce", `r=${rfc.nonce.slice(0, -1)},s=${salt},i=4096`],
    ["an empty nonce", `r=,s=${salt},i=4096`],
    ["a nonce with a space", `r=${rfc.nonce} x,s=${salt},i=4096`],
    ["too few iterations", `r=${nonce},s=${salt},i=4095`],
    ["one iteration", `r=${nonce},s=${salt},i=1`],
    ["no iterations", `r=${nonce},s=${salt},i=0`],
    ["negative iterations", `r=${nonce},s=${salt},i=-4096`],
    ["more iterations than we spend", `r=${nonce},s=${salt},i=1000001`],
    ["far more iterations", `r=${nonce},s=${salt},i=99999999999999999999`],
    ["iterations with a leading zero", `r=${nonce},s=${salt},i=04096`],
    ["iterations in another notation", `r=${nonce},s=${salt},i=4096e0`],
    ["an empty salt", `r=${nonce},s=,i=4096`],
    ["a salt that is no base64", `r=${nonce},s=W22Z*,i=4096`],
    ["a salt of wrong length", `r=${nonce},s=W22Za,i=4096`],
    ["a salt with loose bits", `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gR==,i=4096`],
    ["no salt", `r=${nonce},i=4096`],
    ["another order", `s=${salt},r=${nonce},i=4096`],
    ["a mandatory extension", `m=x,r=${nonce},s=${salt},i=4096`],
    ["an error", "e=other-error"],
    ["nothing", ""],
    ["a NUL at the end", `${rfc.serverFirst}\0`],
    ["a byte above ASCII", `${rfc.serverFirst},x=\xe9`],
  ])("refuses %s", async (_, message) => {
    const client = start();
    await expect(client.final(Buffer.from(message, "latin1"))).rejects.toBeInstanceOf(ProtocolError);
    expect(() => client.verify(Buffer.from(rfc.serverFinal))).toThrow(ProtocolError);
    expect(client.verified).toBe(false);
  });

  test("refuses a message that is too long", async () => {
    const message = `r=${rfc.nonce}${"x".repeat(2000)},s=${salt},i=4096`;
    await expect(start().final(Buffer.from(message))).rejects.toMatchObject({ code: "54000" });
  });
});

describe("the server's last message", () => {
  test.each([
    ["a wrong signature", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="],
    ["our own proof", "v=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="],
    ["a signature of zeros", `v=${Buffer.alloc(32).toString("base64")}`],
    ["a short signature", `v=${Buffer.alloc(31).toString("base64")}`],
    ["a long signature", `v=${Buffer.alloc(33).toString("base64")}`],
    ["an empty signature", "v="],
    ["nothing", ""],
    ["an error", "e=invalid-proof"],
    ["a NUL behind it", `${rfc.serverFinal}\0`],
    ["a tail", `${rfc.serverFinal}x`],
    ["another attribute in front", `x=y,${rfc.serverFinal}`],
  ])("refuses %s", async (_, message) => {
    const client = await started();
    expect(() => client.verify(Buffer.from(message))).toThrow(ProtocolError);
    expect(client.verified).toBe(false);
    // There is no second try.
    expect(() => client.verify(Buffer.from(rfc.serverFinal))).toThrow(ProtocolError);
  });

  test("an error's text is not passed on", async () => {
    const client = await started();
    expect(() => client.verify(Buffer.from("e=role shop_admin has no password"))).toThrow(
      expect.objectContaining({ code: "28000", message: expect.not.stringContaining("shop_admin") }),
    );
  });
});

describe("order of the steps", () => {
  const client = () => scramClient({ password: "x", channelBinding: "none" });

  test("final before first, verify before final, anything twice", async () => {
    await expect(client().final(Buffer.from(rfc.serverFirst))).rejects.toBeInstanceOf(ProtocolError);
    expect(() => client().verify(Buffer.from(rfc.serverFinal))).toThrow(ProtocolError);
    const twice = client();
    twice.first();
    expect(() => twice.first()).toThrow(ProtocolError);
    expect(() => twice.verify(Buffer.from(rfc.serverFinal))).toThrow(ProtocolError);
    const done = await started();
    await expect(done.final(Buffer.from(rfc.serverFirst))).rejects.toBeInstanceOf(ProtocolError);
    done.verify(Buffer.from(rfc.serverFinal));
    expect(() => done.verify(Buffer.from(rfc.serverFinal))).toThrow(ProtocolError);
  });
});

/** A server of its own, written from RFC 5802 section 3, to check every kind of channel binding. */
function serverSide(password: string, firstBare: string, serverFirst: string, withoutProof: string) {
  const salted = pbkdf2Sync(password, Buffer.from("c2FsdHNhbHQ=", "base64"), 5000, 32, "sha256");
  const mac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const clientKey = mac(salted, "Client Key");
  const storedKey = createHash("sha256").update(clientKey).digest();
  const message = `${firstBare},${serverFirst},${withoutProof}`;
  const signature = mac(storedKey, message);
  return {
    proof: Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))).toString("base64"),
    final: `v=${mac(mac(salted, "Server Key"), message).toString("base64")}`,
  };
}

describe("channel binding", () => {
  const data = Buffer.from("0102030405060708", "hex");
  const kinds: [string, ChannelBinding, string, string, Buffer][] = [
    ["no TLS", "none", "SCRAM-SHA-256", "n,,", Buffer.from("n,,")],
    ["TLS without -PLUS", "tls-without-plus", "SCRAM-SHA-256", "y,,", Buffer.from("y,,")],
    [
      "the certificate's hash",
      { type: "tls-server-end-point", data },
      "SCRAM-SHA-256-PLUS",
      "p=tls-server-end-point,,",
      Buffer.concat([Buffer.from("p=tls-server-end-point,,"), data]),
    ],
  ];

  test.each(kinds)("%s", async (_, channelBinding, mechanism, header, input) => {
    const client = scramClient({ password: "pä\u00ADss", channelBinding });
    expect(client.mechanism).toBe(mechanism);
    const first = client.first().toString();
    expect(first.startsWith(`${header}n=,r=`)).toBe(true);
    const firstBare = first.slice(header.length);
    const ours = firstBare.slice("n=,r=".length);
    expect(Buffer.from(ours, "base64").length).toBe(18);

    const serverFirst = `r=${ours}abc,s=c2FsdHNhbHQ=,i=5000`;
    const withoutProof = `c=${input.toString("base64")},r=${ours}abc`;
    // SASLprep drops the soft hyphen.
    const server = serverSide("päss", firstBare, serverFirst, withoutProof);
    const final = (await client.final(Buffer.from(serverFirst))).toString();
    expect(final).toBe(`${withoutProof},p=${server.proof}`);
    client.verify(Buffer.from(server.final));
    expect(client.verified).toBe(true);
  });

  test("a binding without data is refused", () => {
    const channelBinding: ChannelBinding = { type: "tls-server-end-point", data: Buffer.alloc(0) };
    expect(() => scramClient({ password: "x", channelBinding })).toThrow(ProtocolError);
  });

  test("nonces are new each time", () => {
    const nonces = new Set(
      Array.from({ length: 20 }, () =>
        scramClient({ password: "x", channelBinding: "none" }).first().toString(),
      ),
    );
    expect(nonces.size).toBe(20);
  });
});

test("many exchanges at once, with equal and different passwords, do not mix", async () => {
  const finals = await Promise.all(
    Array.from({ length: 150 }, async (_, i) => {
      const client = scramExchange(
        { password: i % 3 === 0 ? "pencil" : `pencil${i % 75}`, channelBinding: "none" },
        rfc.user,
        rfc.nonce,
      );
      client.first();
      return { i, text: (await client.final(Buffer.from(rfc.serverFirst))).toString() };
    }),
  );
  for (const { i, text } of finals) {
    if (i % 3 === 0) expect(text).toBe(rfc.clientFinal);
    else expect(text).not.toBe(rfc.clientFinal);
  }
});
