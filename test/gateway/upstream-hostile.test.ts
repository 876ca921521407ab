/** Servers that lie, babble, stall, or break the protocol: one typed error, no open socket, nothing of theirs repeated. */
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { authenticate, isTrustworthy } from "../../src/gateway/upstream/authenticate.ts";
import { cancelUpstream, connectUpstream } from "../../src/gateway/upstream/connect.ts";
import type { Conversation } from "../../src/gateway/upstream/conversation.ts";
import type { Line } from "../../src/gateway/upstream/dial.ts";
import { failures } from "../../src/gateway/upstream/errors.ts";
import {
  encodeAuthenticationCleartext,
  encodeAuthenticationOk,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeBackend,
  encodeBackendKeyData,
  encodeError,
  encodeNegotiate,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
  type Frame,
  FrameReader,
} from "../../src/protocol/index.ts";
import {
  databaseAt,
  expectNeutral,
  type FakeServer,
  failureOf,
  fakeServer,
  loginAs,
} from "../support/upstream.ts";

const login = loginAs("hidden_role", "hunter2");
const none = new Map<string, string>();
const servers: FakeServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(handler: (socket: Socket) => void): Promise<FakeServer> {
  const server = await fakeServer(handler);
  servers.push(server);
  return server;
}

/** Connects to a server and gives its error; the server's connections must be closed by then or soon after. */
async function failure(server: FakeServer, mode: "disable" | "require" = "disable", timeoutMs = 5_000) {
  const database = databaseAt({ port: server.port, tls: { mode } });
  const error = await failureOf(connectUpstream(database, login, none, { timeoutMs }));
  await server.drained();
  expect(server.sockets.size).toBe(1);
  expectNeutral(error, "127.0.0.1", server.port, "hidden_role", "hunter2", "marker");
  return error;
}

/** Answers the first packet with these bytes, whole or bit by bit, and says nothing more. */
function saying(...parts: Buffer[]): (socket: Socket) => void {
  return (socket) => void socket.once("data", () => socket.write(Buffer.concat(parts)));
}

const ok = encodeAuthenticationOk();
const key = encodeBackendKeyData(7, Buffer.from([1, 2, 3, 4]));
const ready = encodeReadyForQuery("I");
const md5 = Buffer.from([0x52, 0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4]);

function authentication(code: number): Buffer {
  return Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, code]);
}

test("the fake server's bare minimum is accepted, so the refusals below are not for its form", async () => {
  const version = encodeParameterStatus("server_version", "18.4");
  const whole = Buffer.concat([ok, version, key, ready]);
  const server = await serve((socket) => {
    socket.once("data", async () => {
      for (const byte of whole) {
        socket.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
    });
  });
  const connection = await connectUpstream(databaseAt(server), login, none, { timeoutMs: 5_000 });
  expect(connection).toMatchObject({ pid: 7, version: "18.4", notices: [] });
  connection.socket.destroy();
});

describe("before TLS", () => {
  test.each([
    ["two bytes", "SX", "unencrypted data"],
    ["a refusal and more", "NX", "unencrypted data"],
    ["no TLS", "N", "does not offer"],
    ["an error message's first byte", "E", "answered with an error"],
    ["a whole error message", "E\0\0\0\x20SFATAL\0CXX000\0Mmarker\0\0", "unencrypted data"],
    ["garbage", "?", "no valid answer"],
  ])("%s", async (_what, answer, cause) => {
    const error = await failure(await serve(saying(Buffer.from(answer, "latin1"))), "require");
    expect(error.sqlstate).toBe("08001");
    expect(error.cause).toContain(cause);
  });

  test("bytes that come behind the S on their own are no TLS, and no message", async () => {
    const server = await serve((socket) => {
      socket.once("data", () => {
        socket.write("S");
        setTimeout(() => socket.write(Buffer.concat([ok, key, ready])), 50);
      });
    });
    // Which of the two it is hangs on how the bytes arrive.
    expect((await failure(server, "require")).cause).toMatch(/TLS: (handshake failed|unencrypted data)/);
  });

  test.each(["end", "destroy", "resetAndDestroy"] as const)("the server leaves by %s", async (how) => {
    const server = await serve((socket) => void socket.once("data", () => socket[how]()));
    expect((await failure(server, "require")).sqlstate).toBe("08006");
  });

  test("the server leaves during the handshake", async () => {
    const server = await serve((socket) => {
      socket.once("data", () => {
        socket.write("S");
        socket.once("data", () => socket.end());
      });
    });
    expect((await failure(server, "require")).sqlstate).toBe("08001");
  });
});

const script = "Mmarker at 10.0.0.1\0";
const refused: readonly [what: string, answer: Buffer[], cause: string][] = [
  ["garbage", [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")], "message"],
  ["a huge message length", [Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff])], "invalid message length"],
  ["a large error", [Buffer.from([0x45, 0, 0x10, 0, 0])], "more than"],
  ["a length below four", [Buffer.from([0x52, 0, 0, 0, 3])], "invalid message length"],
  ["an error without SQLSTATE", [Buffer.from(`E\0\0\0\x1dSFATAL\0${script}\0`, "latin1")], ""],
  ["an error with a strange SQLSTATE", [encodeErrorWith("mark\n")], "without SQLSTATE"],
  ["an unknown authentication method", [authentication(99)], ""],
  ["Kerberos", [authentication(2)], "not supported"],
  ["SCM credentials", [authentication(6)], "not supported"],
  ["GSSAPI", [authentication(7)], "not supported"],
  ["SSPI", [authentication(9)], "not supported"],
  ["a SASL message without SASL", [encodeAuthenticationSaslContinue(Buffer.from("r=1"))], "out of order"],
  ["SASL with unknown mechanisms only", [encodeAuthenticationSasl(["OAUTHBEARER"])], "no SASL mechanism"],
  [
    "SCRAM-PLUS without TLS",
    [encodeAuthenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])],
    "without TLS",
  ],
  [
    "a notice before authentication",
    [encodeNotice({ severity: "NOTICE", code: "00000", message: "marker" })],
    "unexpected",
  ],
  ["ReadyForQuery before authentication", [ready], "unexpected"],
  ["a protocol negotiation nobody asked for", [encodeNegotiate(2, [])], "unexpected"],
  ["rows instead of a session", [ok, encodeBackend({ type: "dataRow", values: [] })], "unexpected"],
  ["a second AuthenticationOk", [ok, ok], "unexpected"],
  ["no cancel key", [ok, ready], "no cancel key"],
  ["two cancel keys", [ok, key, key, ready], "invalid cancel key"],
  [
    "a cancel key of protocol 3.2",
    [ok, encodeBackendKeyData(7, Buffer.alloc(32)), ready],
    "invalid cancel key",
  ],
  ["an open transaction", [ok, key, encodeReadyForQuery("T")], "transaction"],
  ["bytes behind ReadyForQuery", [ok, key, ready, Buffer.from([0x43])], "behind ReadyForQuery"],
  [
    "a result behind ReadyForQuery",
    [ok, key, ready, encodeBackend({ type: "commandComplete", tag: "marker" })],
    "behind",
  ],
  [
    "more notices than anybody sends",
    [
      ok,
      ...Array.from({ length: 101 }, () =>
        encodeNotice({ severity: "NOTICE", code: "00000", message: "marker" }),
      ),
    ],
    "too many notices",
  ],
];
test.each(refused)("%s", async (_what, answer, cause) => {
  const error = await failure(await serve(saying(...answer)));
  expect(["08006", "58000"]).toContain(error.sqlstate);
  expect(error.cause).toContain(cause);
});

function encodeErrorWith(sqlstate: string): Buffer {
  return encodeError({ severity: "FATAL", code: sqlstate, message: "marker" });
}

test.each(["53300", "53400", "57P01", "57P02", "57P03"])(
  "SQLSTATE %s is kept, its text is not",
  async (state) => {
    const error = await failure(await serve(saying(encodeErrorWith(state))));
    expect(error.sqlstate).toBe(state);
  },
);

test.each(["28000", "28P01", "3D000", "08P01", "42501", "XX000", "0A000", "58P01"])(
  "SQLSTATE %s becomes 58000",
  async (state) => {
    const error = await failure(await serve(saying(ok, encodeErrorWith(state))));
    expect(error.sqlstate).toBe("58000");
    expect(error.cause).toContain(state);
  },
);

test.each(["end", "destroy", "resetAndDestroy"] as const)(
  "the server leaves in the middle by %s",
  async (how) => {
    const server = await serve((socket) => {
      socket.once("data", () => socket.write(Buffer.concat([ok, key.subarray(0, 6)]), () => socket[how]()));
    });
    expect((await failure(server)).sqlstate).toBe("08006");
  },
);

test("parameters without end are cut off", async () => {
  const server = await serve((socket) => {
    let n = 0;
    socket.once("data", () => {
      socket.write(ok);
      const more = () => {
        while (!socket.destroyed && socket.write(encodeParameterStatus(`p${n++}`, "x")))
          if (n > 1_000_000) return;
      };
      socket.on("drain", more);
      more();
    });
  });
  expect((await failure(server)).cause).toContain("too many parameters");
});

test("the same parameter without end is cut off", async () => {
  const server = await serve((socket) => {
    const flood = encodeParameterStatus("TimeZone", "x".repeat(10_000));
    socket.once("data", () => {
      socket.write(ok);
      const more = () => {
        while (!socket.destroyed && socket.write(flood));
      };
      socket.on("drain", more);
      more();
    });
  });
  expect((await failure(server)).cause).toContain("too much data");
});

describe("silence ends in a time-out", () => {
  test("from the first byte on", async () => {
    const error = await failure(await serve((socket) => void socket.resume()), "disable", 100);
    expect(error.sqlstate).toBe("08006");
    expect(error.cause).toContain("time-out");
  });
  test("before TLS, in the handshake, and before ReadyForQuery", async () => {
    expect((await failure(await serve((socket) => void socket.resume()), "require", 100)).cause).toContain(
      "time-out",
    );
    expect((await failure(await serve(saying(Buffer.from("S"))), "require", 100)).cause).toContain(
      "time-out",
    );
    expect((await failure(await serve(saying(ok, key)), "disable", 100)).cause).toContain("time-out");
  });
  test("of a password that is never read", async () => {
    const server = await serve(saying(encodeAuthenticationCleartext()));
    const slow = {
      ...login,
      password: { label: "command x", read: () => new Promise<string>(() => undefined) },
    };
    const error = await failureOf(connectUpstream(databaseAt(server), slow, none, { timeoutMs: 100 }));
    expect(error.cause).toContain("time-out");
    await server.drained();
  });
  test("of a cancel request, which resolves", async () => {
    const server = await serve((socket) => void socket.resume());
    await cancelUpstream(databaseAt(server), 1, Buffer.alloc(4), 100);
    await server.drained();
    const talking = await serve(
      (socket) => void socket.once("data", () => socket.write("x".repeat(100_000)).valueOf()),
    );
    await cancelUpstream(databaseAt(talking), 1, Buffer.alloc(4), 100);
    await talking.drained();
  });
});

describe("SCRAM", () => {
  /** A server that answers client-first-message with `challenge` and client-final-message with `end`. */
  function scramServer(challenge: (nonce: string) => string, end: Buffer): Promise<FakeServer> {
    return serve((socket) => {
      const reader = new FrameReader("frontend");
      socket.once("data", () => {
        socket.write(encodeAuthenticationSasl(["SCRAM-SHA-256"]));
        socket.on("data", (chunk: Buffer) => {
          reader.push(chunk);
          const frame = reader.next();
          if (frame === null) return;
          const nonce = /r=(.*)$/s.exec(frame.body.toString("latin1"))?.[1] ?? "";
          const first = frame.body.includes("SCRAM-SHA-256\0");
          socket.write(first ? encodeAuthenticationSaslContinue(Buffer.from(challenge(nonce))) : end);
        });
      });
    });
  }
  const salt = Buffer.alloc(16, 1).toString("base64");
  const final = (text: string) =>
    encodeBackend({ type: "authentication", kind: "saslFinal", data: Buffer.from(text) });

  test("AuthenticationOk without the server's proof", async () => {
    const server = await scramServer(
      (nonce) => `r=${nonce}abc,s=${salt},i=4096`,
      Buffer.concat([ok, key, ready]),
    );
    expect((await failure(server)).cause).toContain("did not prove");
  });
  test("AuthenticationOk instead of a challenge", async () => {
    const server = await serve((socket) => {
      socket.once("data", () => {
        socket.write(encodeAuthenticationSasl(["SCRAM-SHA-256"]));
        socket.once("data", () => socket.write(Buffer.concat([ok, key, ready])));
      });
    });
    expect((await failure(server)).cause).toContain("out of order");
  });
  test.each([
    ["a false signature", `v=${Buffer.alloc(32).toString("base64")}`],
    ["an error", "e=other-error"],
    ["nothing", ""],
  ])("%s as the server's proof", async (_what, text) => {
    const end = Buffer.concat([final(text), ok, key, ready]);
    const error = await failure(await scramServer((nonce) => `r=${nonce}abc,s=${salt},i=4096`, end));
    expect(error.sqlstate).toBe("08006");
  });
  test.each([
    ["too few iterations", (nonce: string) => `r=${nonce}abc,s=${salt},i=1`],
    ["iterations to burn our time", (nonce: string) => `r=${nonce}abc,s=${salt},i=2000000000`],
    ["another nonce", () => `r=abc,s=${salt},i=4096`],
    ["our own nonce only", (nonce: string) => `r=${nonce},s=${salt},i=4096`],
    ["rubbish", () => "marker"],
  ])("%s in the challenge", async (_what, challenge) => {
    expect((await failure(await scramServer(challenge, final("v=")))).sqlstate).toBe("08006");
  });
});

describe("what may be said depends on who may listen", () => {
  /** Runs an authentication against scripted requests and gives what was sent. */
  async function dialogue(privacy: Line["privacy"], requests: Buffer[], password: string | null = "hunter2") {
    const reader = new FrameReader("backend");
    reader.push(Buffer.concat(requests));
    const sent: string[] = [];
    const errors = failures("shop");
    const talk: Conversation = {
      send: (message) => void sent.push(message.toString("latin1")),
      async next(): Promise<Frame> {
        const frame = reader.next();
        if (frame === null) throw errors.lost();
        return frame;
      },
      end: () => 0,
    };
    // Authentication sees the line's privacy and certificate, never its socket.
    const line = { privacy, certificate: null } as Pick<Line, "privacy" | "certificate"> as Line;
    const means = { login: loginAs("hidden_role", password), line, talk, errors, settings: none };
    const error = await authenticate({
      ...means,
      attempt: { hold: () => undefined, wait: (promise) => promise },
    }).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    return { sent, error };
  }

  test.each(["plain", "unverified"] as const)("nothing but SCRAM on a %s line", async (privacy) => {
    expect(isTrustworthy({ privacy })).toBe(false);
    for (const request of [encodeAuthenticationCleartext(), md5, ok]) {
      const { sent, error } = await dialogue(privacy, [request, ok]);
      expect(sent).toEqual([]);
      expect(error).toMatchObject({ sqlstate: "58000" });
      expect(error?.message).toContain("use SCRAM, or TLS mode verify-full");
    }
    const scram = await dialogue(privacy, [encodeAuthenticationSasl(["SCRAM-SHA-256"])]);
    expect(scram.sent).toHaveLength(1);
    expect(await dialogue(privacy, [ok], null)).toEqual({ sent: [], error: null });
  });

  test.each(["local", "verified"] as const)("passwords too on a %s line", async (privacy) => {
    expect(isTrustworthy({ privacy })).toBe(true);
    const clear = await dialogue(privacy, [encodeAuthenticationCleartext(), ok]);
    expect(clear).toEqual({ sent: ["p\0\0\0\x0chunter2\0"], error: null });
    const hashed = await dialogue(privacy, [md5, ok]);
    expect(hashed.sent[0]).toMatch(/^p\0\0\0\x28md5[0-9a-f]{32}\0$/);
    expect(hashed.sent[0]).not.toContain("hunter2");
    expect(await dialogue(privacy, [ok])).toEqual({ sent: [], error: null });
  });

  test("a second request for a password is refused", async () => {
    const { error } = await dialogue("local", [
      encodeAuthenticationCleartext(),
      encodeAuthenticationCleartext(),
    ]);
    expect(error).toMatchObject({ sqlstate: "08006" });
  });
});
