import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { TLSSocket, connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UpstreamConnection } from "../../src/gateway/ports.ts";
import type { ServerSettings } from "../../src/gateway/settings.ts";
import { cancelUpstream, connectUpstream } from "../../src/gateway/upstream/connect.ts";
import { encodeSslRequest } from "../../src/protocol/index.ts";
import { type Certificate, createAuthority, selfSigned } from "../support/certificates.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import {
  ask,
  databaseAt,
  expectNeutral,
  failureOf,
  fakeServer,
  loginAs,
  secret,
} from "../support/upstream.ts";

const authority = createAuthority();
const clientAuthority = createAuthority({ name: "Client authority" });
const certificates = {
  "a good certificate": authority.issue({ key: "rsa" }),
  "an expired certificate": authority.issue({ from: -10, until: -1 }),
  "a certificate for another host": authority.issue({ hosts: ["db.example.com", "192.0.2.1"] }),
  "a self-signed certificate": selfSigned(),
};
type Kind = keyof typeof certificates;
const clusters = new Map<Kind, Cluster>();
const open: UpstreamConnection[] = [];
const stops: (() => Promise<void>)[] = [];
const none = new Map<string, string>();
const options = { timeoutMs: 10_000 };
const app = loginAs("app", "hunter2-app");
const hba = [
  "hostssl all app_cert 127.0.0.1/32 cert",
  "hostssl all app_md5 127.0.0.1/32 md5",
  "hostssl all app_trust 127.0.0.1/32 trust",
  "hostssl all all 127.0.0.1/32 scram-sha-256",
];

async function tlsCluster(certificate: Certificate): Promise<Cluster> {
  const tls = { cert: certificate.cert, key: certificate.key, ca: clientAuthority.cert };
  const cluster = await startCluster({ tls, hba });
  stops.push(cluster.stop);
  await cluster.query(
    "postgres",
    `create role app login password 'hunter2-app'; create role app_cert login; create role app_trust login;
     set password_encryption = md5; create role app_md5 login password 'hunter2-md5'`,
  );
  return cluster;
}

function cluster(kind: Kind = "a good certificate"): Cluster {
  const found = clusters.get(kind);
  if (found === undefined) throw new Error(`no cluster with ${kind}`);
  return found;
}

function at(port: number, tls: Partial<ServerSettings["tls"]>, host = "127.0.0.1") {
  return databaseAt({ host, port, tls: { ca: authority.cert, ...tls } });
}

async function tlsInUse(connection: UpstreamConnection): Promise<unknown> {
  open.push(connection);
  const sql = "select ssl, version, client_dn from pg_stat_ssl where pid = pg_backend_pid()";
  return (await ask(connection, sql)).rows[0];
}

beforeAll(async () => {
  for (const [kind, certificate] of Object.entries(certificates)) {
    clusters.set(kind as Kind, await tlsCluster(certificate));
  }
});

afterAll(async () => {
  for (const { socket } of open) socket.destroy();
  for (const stop of stops) await stop();
});

const matrix: readonly [Kind, Record<"require" | "verify-ca" | "verify-full", string | null>][] = [
  ["a good certificate", { require: null, "verify-ca": null, "verify-full": null }],
  [
    "an expired certificate",
    { require: null, "verify-ca": "CERT_HAS_EXPIRED", "verify-full": "CERT_HAS_EXPIRED" },
  ],
  [
    "a certificate for another host",
    { require: null, "verify-ca": null, "verify-full": "ERR_TLS_CERT_ALTNAME_INVALID" },
  ],
  [
    "a self-signed certificate",
    {
      require: null,
      "verify-ca": "DEPTH_ZERO_SELF_SIGNED_CERT",
      "verify-full": "DEPTH_ZERO_SELF_SIGNED_CERT",
    },
  ],
];

describe.each(matrix)("%s", (kind, expected) => {
  for (const mode of ["require", "verify-ca", "verify-full"] as const) {
    const code = expected[mode];
    for (const host of ["127.0.0.1", "localhost"]) {
      test(`${code === null ? "is good enough for" : "is refused by"} ${mode}, host ${host}`, async () => {
        const attempt = connectUpstream(at(cluster(kind).port, { mode }, host), app, none, options);
        if (code === null) {
          expect(await tlsInUse(await attempt)).toEqual(["t", "TLSv1.3", null]);
          return;
        }
        const error = await failureOf(attempt);
        expect(error.sqlstate).toBe("08001");
        expect(error.cause).toContain(code);
        expectNeutral(error, host, cluster(kind).port, "app", "hunter2", "db.example.com");
      });
    }
  }

  test("does not matter to disable, which this server refuses", async () => {
    const error = await failureOf(
      connectUpstream(at(cluster(kind).port, { mode: "disable" }), app, none, options),
    );
    expect(error.sqlstate).toBe("58000");
    expect(error.cause).toContain("28000");
    expectNeutral(error, "hba", "encryption", "app", cluster(kind).port);
  });
});

test("a self-signed certificate can be trusted by itself; without ca the system's authorities count", async () => {
  const kind = "a self-signed certificate";
  const trusting = at(cluster(kind).port, { mode: "verify-full", ca: certificates[kind].cert });
  expect(await tlsInUse(await connectUpstream(trusting, app, none, options))).toEqual(["t", "TLSv1.3", null]);
  const error = await failureOf(
    connectUpstream(at(cluster().port, { mode: "verify-ca", ca: null }), app, none, options),
  );
  expect(error.cause).toMatch(/UNABLE_TO|SELF_SIGNED/);
});

test("a server without TLS is refused unless the mode is disable", async () => {
  const plain = await startCluster();
  stops.push(plain.stop);
  for (const mode of ["require", "verify-ca", "verify-full"] as const) {
    const error = await failureOf(connectUpstream(at(plain.port, { mode }), app, none, options));
    expect(error.sqlstate).toBe("08001");
    expect(error.cause).toContain("does not offer");
  }
});

describe("client certificates", () => {
  const good = clientAuthority.issue({ name: "app_cert", hosts: [] });
  test("log in", async () => {
    const tls = { mode: "verify-full", cert: good.cert, key: secret(good.key) } as const;
    const connection = await connectUpstream(
      at(cluster().port, tls),
      loginAs("app_cert", null),
      none,
      options,
    );
    expect(await tlsInUse(connection)).toEqual(["t", "TLSv1.3", "/CN=app_cert"]);
  });
  test.each([
    ["no certificate", null, "58000"],
    ["another name", clientAuthority.issue({ name: "somebody", hosts: [] }), "58000"],
    ["another authority", authority.issue({ name: "app_cert", hosts: [] }), "08006"],
    ["an expired one", clientAuthority.issue({ name: "app_cert", hosts: [], from: -9, until: -1 }), "08006"],
  ])("are refused: %s", async (_what, certificate, sqlstate) => {
    const own = certificate === null ? {} : { cert: certificate.cert, key: secret(certificate.key) };
    const error = await failureOf(
      connectUpstream(
        at(cluster().port, { mode: "verify-full", ...own }),
        loginAs("app_cert", null),
        none,
        options,
      ),
    );
    expect(error.sqlstate).toBe(sqlstate);
    expectNeutral(error, "app_cert", "somebody", "127.0.0.1", cluster().port);
  });
  test("that cannot be used are a fault of the set-up", async () => {
    const broken = { mode: "require", cert: good.cert, key: secret("no PEM, but a secret") } as const;
    const error = await failureOf(connectUpstream(at(cluster().port, broken), app, none, options));
    expect(error.sqlstate).toBe("58000");
    expectNeutral(error, "no PEM");
    const unreadable = { label: "file /x", read: () => Promise.reject(new Error("the secret")) };
    const unread = await failureOf(
      connectUpstream(
        at(cluster().port, { mode: "require", cert: good.cert, key: unreadable }),
        app,
        none,
        options,
      ),
    );
    expect(unread.sqlstate).toBe("58000");
    expectNeutral(unread, "the secret");
  });
});

test("MD5 inside TLS", async () => {
  const login = loginAs("app_md5", "hunter2-md5");
  const connection = await connectUpstream(at(cluster().port, { mode: "verify-full" }), login, none, options);
  expect(await tlsInUse(connection)).toEqual(["t", "TLSv1.3", null]);
});

test("cancelUpstream works inside TLS", async () => {
  const database = at(cluster().port, { mode: "verify-full" });
  const connection = await connectUpstream(database, app, none, options);
  open.push(connection);
  const sleeping = ask(connection, "select pg_sleep(600)");
  for (;;) {
    const sql = "select 1 from pg_stat_activity where pid = $1 and state = 'active'";
    if ((await cluster().query("postgres", sql, [connection.pid])).length > 0) break;
  }
  await cancelUpstream(database, connection.pid, connection.key, 5_000);
  expect((await sleeping).sqlstate).toBe("57014");
});

describe("SCRAM channel binding", () => {
  interface Seen {
    bytes: string;
    servername: string | false | null;
    alpn: string | false | null;
  }

  /** A man in the middle: ends TLS with a certificate of his own, and speaks TLS to the server himself. */
  async function middleman(server: Cluster, certificate: Certificate): Promise<{ port: number; seen: Seen }> {
    const seen: Seen = { bytes: "", servername: null, alpn: null };
    const fake = await fakeServer(async (socket) => {
      await once(socket, "readable");
      socket.read();
      socket.write("S");
      const near = new TLSSocket(socket, {
        isServer: true,
        cert: certificate.cert,
        key: certificate.key,
        ALPNProtocols: ["postgresql"],
        SNICallback: (name, done) => {
          seen.servername = name;
          done(null);
        },
      });
      near.on("error", () => undefined);
      near.on("secure", () => {
        seen.alpn = near.alpnProtocol;
      });
      const raw: Socket = connect(server.port, "127.0.0.1");
      raw.write(encodeSslRequest());
      await once(raw, "readable");
      raw.read();
      const far = tlsConnect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["postgresql"] });
      far.on("error", () => undefined);
      near.on("data", (chunk: Buffer) => {
        seen.bytes += chunk.toString("latin1");
        far.write(chunk);
      });
      far.pipe(near);
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
    stops.push(fake.close);
    return { port: fake.port, seen };
  }

  test.each(["rsa", "ec", "ed25519"] as const)(
    "binds to %s certificates where that is defined",
    async (key) => {
      const certificate = authority.issue({ key, hash: "sha384" });
      const server = await tlsCluster(certificate);
      const { port, seen } = await middleman(server, certificate);
      const connection = await connectUpstream(
        at(port, { mode: "verify-full" }, "localhost"),
        app,
        none,
        options,
      );
      expect(await tlsInUse(connection)).toEqual(["t", "TLSv1.3", null]);
      // The authority signs with ECDSA whatever the leaf's key is, so binding data is always defined here.
      expect(seen.bytes).toContain("SCRAM-SHA-256-PLUS\0");
      expect(seen.bytes).toContain("p=tls-server-end-point,,");
      expect(seen.servername).toBe("localhost");
      expect(seen.alpn).toBe("postgresql");
    },
  );

  test("is not claimed for an Ed25519 signature, which defines none", async () => {
    const certificate = selfSigned({ key: "ed25519" });
    const server = await tlsCluster(certificate);
    const { port, seen } = await middleman(server, certificate);
    const database = at(port, { mode: "require" });
    expect(await tlsInUse(await connectUpstream(database, app, none, options))).toEqual([
      "t",
      "TLSv1.3",
      null,
    ]);
    expect(seen.bytes).toContain("SCRAM-SHA-256\0");
    expect(seen.bytes).toContain("n,,n=,r=");
    expect(seen.servername).toBe(null);
  });

  test("finds out a man in the middle, where the TLS mode does not verify", async () => {
    const { port, seen } = await middleman(cluster(), selfSigned());
    const database = at(port, { mode: "require" });
    // He is good enough for a login without a password ...
    const trusting = await connectUpstream(database, loginAs("app_trust", null), none, options);
    expect((await ask(trusting, "select 1")).rows).toEqual([["1"]]);
    open.push(trusting);
    // ... but not for one that is bound to the certificate.
    const error = await failureOf(connectUpstream(database, app, none, options));
    expect(seen.bytes).toContain("p=tls-server-end-point,,");
    expect(error.sqlstate).toBe("58000");
    expect(error.cause).toContain("28000");
  });
});
