/** Vault as a server of its API sees it: logins, KV, leases, renewals, outages. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createVault, type VaultAuth } from "../../src/config/sources/vault.ts";
import { type VaultPlace, vaultSecret } from "../../src/config/sources/vaultsecrets.ts";
import type { SecretSource } from "../../src/facts/secret.ts";
import { clock } from "../identity/helpers.ts";
import { type Asked, type FakeHttp, fakeHttp } from "../support/fakehttp.ts";

const fixed = (value: string): SecretSource => ({ label: "test", read: async () => value });
const token: VaultAuth = { method: "token", token: fixed("root") };
const kv = (changes: Partial<Extract<VaultPlace, { engine: "kv" }>> = {}): VaultPlace => ({
  engine: "kv",
  version: 2,
  mount: "secret",
  path: "shop/reader",
  field: "password",
  ...changes,
});

let server: FakeHttp;
let answer: (asked: Asked) => { status?: number; body?: unknown } | null;
let time: ReturnType<typeof clock>;
beforeEach(async () => {
  time = clock(1_000_000);
  answer = () => ({ status: 404 });
  server = await fakeHttp((asked) => answer(asked));
});
afterEach(() => server.close());

function open(auth: VaultAuth, namespace: string | null = null) {
  return createVault({ address: server.url, namespace, ca: null, auth }, time.now);
}

describe("KV", () => {
  test("version 2, with its headers", async () => {
    answer = () => ({ body: { data: { data: { password: "s3cret" }, metadata: { version: 4 } } } });
    expect(await vaultSecret(open(token, "team"), kv(), time.now).read()).toBe("s3cret");
    const [asked] = server.asked;
    expect(asked).toMatchObject({ method: "GET", path: "/v1/secret/data/shop/reader" });
    expect(asked?.headers).toMatchObject({
      "x-vault-token": "root",
      "x-vault-request": "true",
      "x-vault-namespace": "team",
    });
  });

  test("version 1, another field, a path that needs escaping", async () => {
    answer = () => ({ body: { data: { pw: "one" }, lease_duration: 2_764_800 } });
    const secret = vaultSecret(open(token), kv({ version: 1, field: "pw", path: "a b/c" }), time.now);
    expect(await secret.read()).toBe("one");
    expect(server.asked[0]?.path).toBe("/v1/secret/a%20b/c");
  });

  test("a changed value is seen within seconds, and asked for once by many", async () => {
    let value = "a";
    answer = () => ({ body: { data: { data: { password: value } } } });
    const secret = vaultSecret(open(token), kv(), time.now);
    expect(await Promise.all([secret.read(), secret.read(), secret.read()])).toEqual(["a", "a", "a"]);
    expect(server.asked).toHaveLength(1);
    value = "b";
    expect(await secret.read()).toBe("a");
    time.advance(15_001);
    expect(await secret.read()).toBe("b");
  });

  test("through an outage the last value serves for a quarter of an hour", async () => {
    answer = () => ({ body: { data: { data: { password: "a" } } } });
    const secret = vaultSecret(open(token), kv(), time.now);
    await secret.read();
    answer = () => ({ status: 503, body: { errors: ["Vault is sealed"] } });
    time.advance(600_000);
    expect(await secret.read()).toBe("a");
    time.advance(400_000);
    await expect(secret.read()).rejects.toThrow("Vault refused reading the secret: it is sealed");
  });

  test.each<[string, { status?: number; body?: unknown } | null, string]>([
    ["nothing there", { status: 404 }, "nothing there"],
    ["no such field", { body: { data: { data: { user: "x" } } } }, "no text as field password"],
    ["a field that is no text", { body: { data: { data: { password: 7 } } } }, "no text as field password"],
    ["an empty field", { body: { data: { data: { password: "" } } } }, "no text as field password"],
    ["permission denied", { status: 403, body: { errors: ["1 error occurred"] } }, "permission denied"],
    ["no JSON", { body: "<html>" }, "not a JSON object"],
    ["a cut connection", null, "cannot be reached"],
    ["too much", { body: "x".repeat(300_000) }, "cannot be reached"],
  ])("%s", async (_, said, why) => {
    answer = () => said;
    const error: unknown = await vaultSecret(open(token), kv(), time.now)
      .read()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "SecretFault" });
    expect(String(error)).toContain(why);
    expect(String(error)).not.toContain("127.0.0.1");
  });
});

describe("logging in", () => {
  const secretOf = (auth: VaultAuth) => vaultSecret(open(auth), kv(), time.now);
  const approle: VaultAuth = {
    method: "approle",
    mount: "approle",
    roleId: fixed("role-1"),
    secretId: fixed("sid"),
  };

  test("AppRole: one login for many reads, a new one before the token ends", async () => {
    let logins = 0;
    answer = ({ path }) => {
      if (path !== "/v1/auth/approle/login") return { body: { data: { data: { password: "p" } } } };
      logins += 1;
      return { body: { auth: { client_token: `t${logins}`, lease_duration: 600, renewable: true } } };
    };
    const secret = secretOf(approle);
    await secret.read();
    expect(server.asked[0]).toMatchObject({ method: "POST", path: "/v1/auth/approle/login" });
    expect(JSON.parse(server.asked[0]?.body ?? "")).toEqual({ role_id: "role-1", secret_id: "sid" });
    expect(server.asked[0]?.headers["x-vault-token"]).toBeUndefined();
    expect(server.asked[1]?.headers["x-vault-token"]).toBe("t1");
    time.advance(300_000);
    await secret.read();
    expect(logins).toBe(1);
    time.advance(150_000);
    await secret.read();
    expect(logins).toBe(2);
    expect(server.asked.at(-1)?.headers["x-vault-token"]).toBe("t2");
  });

  test("a token that was revoked is replaced once", async () => {
    let logins = 0;
    answer = ({ path, headers }) => {
      if (path.startsWith("/v1/auth/")) {
        logins += 1;
        return { body: { auth: { client_token: `t${logins}`, lease_duration: 600 } } };
      }
      return headers["x-vault-token"] === "t1"
        ? { status: 403 }
        : { body: { data: { data: { password: "p" } } } };
    };
    expect(await secretOf(approle).read()).toBe("p");
    expect(logins).toBe(2);
  });

  test("Kubernetes, at a mount of one's own", async () => {
    answer = ({ path }) =>
      path === "/v1/auth/k8s/prod/login"
        ? { body: { auth: { client_token: "kt", lease_duration: 600 } } }
        : { body: { data: { data: { password: "p" } } } };
    expect(
      await secretOf({ method: "kubernetes", mount: "k8s/prod", role: "postern", jwt: fixed("jwt") }).read(),
    ).toBe("p");
    expect(JSON.parse(server.asked[0]?.body ?? "")).toEqual({ role: "postern", jwt: "jwt" });
  });

  test("a refused login says so, without the answer's text", async () => {
    answer = () => ({ status: 400, body: { errors: ["invalid secret id sid"] } });
    await expect(secretOf(approle).read()).rejects.toThrow(/^Vault refused the login by approle: HTTP 400$/);
  });

  test("an operator's token is read for each request", async () => {
    answer = () => ({ body: { data: { data: { password: "p" } } } });
    let value = "a";
    const secret = secretOf({ method: "token", token: { label: "", read: async () => value } });
    await secret.read();
    value = "b";
    time.advance(20_000);
    await secret.read();
    expect(server.asked.map(({ headers }) => headers["x-vault-token"])).toEqual(["a", "b"]);
  });
});

describe("the database engine", () => {
  const dynamic: VaultPlace = { engine: "database", mount: "database", role: "reader", rotation: "dynamic" };
  let made = 0;
  let maxRenewed = 3600;
  const engine = ({ path, method, body }: Asked) => {
    if (path === "/v1/database/creds/reader") {
      made += 1;
      return {
        body: {
          lease_id: `database/creds/reader/${made}`,
          lease_duration: 3600,
          renewable: true,
          data: { username: `v-reader-${made}`, password: `pw-${made}` },
        },
      };
    }
    if (path === "/v1/sys/leases/renew" && method === "PUT") {
      const { lease_id, increment } = JSON.parse(body) as { lease_id: string; increment: number };
      expect(lease_id).toBe(`database/creds/reader/${made}`);
      expect(increment).toBe(3600);
      return { body: { lease_id, lease_duration: maxRenewed, renewable: true } };
    }
    return { status: 404 };
  };
  beforeEach(() => {
    made = 0;
    maxRenewed = 3600;
    answer = engine;
  });

  test("user and password together, one login for many connections", async () => {
    const secret = vaultSecret(open(token), dynamic, time.now);
    expect(await Promise.all([secret.readLogin?.(), secret.readLogin?.()])).toEqual([
      { user: "v-reader-1", password: "pw-1" },
      { user: "v-reader-1", password: "pw-1" },
    ]);
    expect(await secret.read()).toBe("pw-1");
    expect(server.asked).toHaveLength(1);
  });

  test("a lease is renewed when a third of it is left", async () => {
    const secret = vaultSecret(open(token), dynamic, time.now);
    await secret.readLogin?.();
    time.advance(2_300_000);
    await secret.readLogin?.();
    expect(server.asked).toHaveLength(1);
    time.advance(200_000);
    expect(await secret.readLogin?.()).toEqual({ user: "v-reader-1", password: "pw-1" });
    expect(server.asked.at(-1)?.path).toBe("/v1/sys/leases/renew");
    time.advance(2_300_000);
    await secret.readLogin?.();
    expect(server.asked).toHaveLength(2);
  });

  test("one that cannot be made longer is replaced", async () => {
    const secret = vaultSecret(open(token), dynamic, time.now);
    await secret.readLogin?.();
    time.advance(2_500_000);
    maxRenewed = 1100;
    expect(await secret.readLogin?.()).toEqual({ user: "v-reader-2", password: "pw-2" });
  });

  test("one that is over is replaced without asking", async () => {
    const secret = vaultSecret(open(token), dynamic, time.now);
    await secret.readLogin?.();
    time.advance(3_700_000);
    expect(await secret.readLogin?.()).toEqual({ user: "v-reader-2", password: "pw-2" });
    expect(server.asked.map(({ path }) => path)).not.toContain("/v1/sys/leases/renew");
  });

  test("while Vault is away the login serves until its end", async () => {
    const secret = vaultSecret(open(token), dynamic, time.now);
    await secret.readLogin?.();
    answer = () => ({ status: 503 });
    time.advance(3_000_000);
    expect(await secret.readLogin?.()).toEqual({ user: "v-reader-1", password: "pw-1" });
    time.advance(700_000);
    await expect(secret.readLogin?.()).rejects.toThrow("sealed");
  });

  test("a static role: the password alone", async () => {
    answer = ({ path }) =>
      path === "/v1/db/static-creds/app"
        ? { body: { data: { username: "shop_reader", password: "st" } } }
        : { status: 404 };
    const secret = vaultSecret(
      open(token),
      { engine: "database", mount: "db", role: "app", rotation: "static" },
      time.now,
    );
    expect(await secret.read()).toBe("st");
    expect(secret.readLogin).toBeUndefined();
  });
});
