/** Logins whose secrets change while the gateway runs: Vault's users, files renewed in place. Against real servers. */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileSecret } from "../../src/config/secrets.ts";
import { createVault } from "../../src/config/sources/vault.ts";
import { vaultSecret } from "../../src/config/sources/vaultsecrets.ts";
import type { UpstreamConnection } from "../../src/gateway/ports.ts";
import type { LoginSettings } from "../../src/gateway/settings.ts";
import { connectUpstream } from "../../src/gateway/upstream/connect.ts";
import { createUpstreamPool } from "../../src/gateway/upstream/pool.ts";
import { createAuthority } from "../support/certificates.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { fakeHttp } from "../support/fakehttp.ts";
import { ask, databaseAt, failureOf, secret } from "../support/upstream.ts";

const authority = createAuthority();
const clients = createAuthority({ name: "Client authority" });
let cluster: Cluster;
let folder = "";
const open: UpstreamConnection[] = [];
const options = { timeoutMs: 10_000 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-secrets-"));
  const server = authority.issue({ key: "rsa" });
  cluster = await startCluster({
    tls: { cert: server.cert, key: server.key, ca: clients.cert },
    hba: ["hostssl all app_cert 127.0.0.1/32 cert", "host all all 127.0.0.1/32 scram-sha-256"],
  });
  await cluster.query(
    "postgres",
    `create role shop_reader nologin; create role app_cert login; create role app_file login password 'old-one';
     create table t (a int); grant select on t to shop_reader`,
  );
});
afterAll(async () => {
  for (const { socket } of open) socket.destroy();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function connected(login: LoginSettings, database = databaseAt(cluster)): Promise<UpstreamConnection> {
  const connection = await connectUpstream(database, login, new Map([["application_name", "x"]]), options);
  open.push(connection);
  return connection;
}

/** Replaced as careful programs do it: written beside, then renamed. */
async function put(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
  return path;
}

test("a user that Vault makes acts as the configured role, and its connection is not used again", async () => {
  let made = 0;
  const engine = await fakeHttp(({ path }) => {
    if (path !== "/v1/database/creds/reader") return { status: 404 };
    return {
      body: {
        lease_id: `l${made}`,
        lease_duration: 3600,
        renewable: true,
        data: { username: `v-reader-${made}`, password: `pw-${made}` },
      },
    };
  });
  await cluster.query("postgres", "create role \"v-reader-0\" login password 'pw-0' in role shop_reader");
  await cluster.query("postgres", "create role \"v-reader-1\" login password 'pw-1' in role shop_reader");
  const client = createVault({
    address: engine.url,
    namespace: null,
    ca: null,
    auth: { method: "token", token: secret("t") },
  });
  const password = vaultSecret(client, {
    engine: "database",
    mount: "database",
    role: "reader",
    rotation: "dynamic",
  });
  const login: LoginSettings = { groups: ["agents"], user: "shop_reader", password };
  const pool = createUpstreamPool(databaseAt(cluster));
  const first = await pool.acquire(login, new Map(), options);
  expect((await ask(first, "select session_user, current_user, count(*) from t")).rows).toEqual([
    ["v-reader-0", "shop_reader", "0"],
  ]);
  // RESET ROLE goes back to what the start-up packet said.
  await ask(first, "reset role");
  expect((await ask(first, "select current_user")).rows).toEqual([["shop_reader"]]);
  pool.release(first, true);
  made = 1;
  const second = await pool.acquire(login, new Map(), options);
  // The lease still lasts: the same user, on a new connection.
  expect((await ask(second, "select session_user, pg_backend_pid()::text <> ''")).rows).toEqual([
    ["v-reader-0", "t"],
  ]);
  expect(pool.stats).toMatchObject({ opened: 2, reused: 0 });
  pool.release(second, true);
  await pool.close();
  const other = vaultSecret(client, {
    engine: "database",
    mount: "database",
    role: "other",
    rotation: "dynamic",
  });
  const failure = await failureOf(
    connectUpstream(databaseAt(cluster), { ...login, password: other }, new Map(), options),
  );
  expect(failure.cause).toContain("the login cannot be read from vault database/creds/other");
  await engine.close();
});

test("a password file that is replaced: new connections use the new one", async () => {
  const path = await put("password", "old-one\n");
  const login: LoginSettings = { groups: ["agents"], user: "app_file", password: fileSecret(path, "/") };
  await connected(login);
  await cluster.query("postgres", "alter role app_file password 'new-one'");
  expect((await failureOf(connectUpstream(databaseAt(cluster), login, new Map(), options))).cause).toContain(
    "28P01",
  );
  await put("password", "new-one\n");
  expect((await ask(await connected(login), "select current_user")).rows).toEqual([["app_file"]]);
});

test("a client certificate and its key that are renewed in place", async () => {
  const first = clients.issue({ name: "app_cert" });
  const cert = await put("client.crt", first.cert);
  const key = await put("client.key", first.key);
  const ca = await put("ca.pem", authority.cert);
  const database = databaseAt({
    port: cluster.port,
    host: "localhost",
    tls: {
      mode: "verify-full",
      ca: authority.cert,
      cert: first.cert,
      key: fileSecret(key, "/"),
      files: { ca: fileSecret(ca, "/"), cert: fileSecret(cert, "/") },
    },
  });
  const login: LoginSettings = { groups: ["agents"], user: "app_cert", password: null };
  await connected(login, database);
  const next = clients.issue({ name: "app_cert" });
  await put("client.crt", next.cert);
  await put("client.key", next.key);
  expect((await ask(await connected(login, database), "select current_user")).rows).toEqual([["app_cert"]]);
  // A file that is gone for a moment: as it was at the start. This one's key is not that certificate's any more.
  await rm(cert);
  expect((await failureOf(connectUpstream(database, login, new Map(), options))).message).not.toContain(
    folder,
  );
  await put("client.crt", next.cert);
  await put("ca.pem", clients.cert);
  expect((await failureOf(connectUpstream(database, login, new Map(), options))).cause).toContain("TLS");
});
