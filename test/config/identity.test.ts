/** Providers of every kind, waits, Vault and RDS, from postern.yaml to settings. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority } from "../support/certificates.ts";
import { fakeHttp } from "../support/fakehttp.ts";
import { minimal, problemsOf, settingsOf } from "./support.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-identity-"));
  const authority = createAuthority();
  const server = authority.issue();
  await writeFile(join(folder, "server.crt"), server.cert);
  await writeFile(join(folder, "server.key"), server.key);
  await writeFile(join(folder, "clients.pem"), authority.cert);
  await writeFile(join(folder, "idp.xml"), "<a/>");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = () => join(folder, "postern.yaml");
const withProvider = (provider: string, more = "") =>
  `${minimal("identity")}identity:\n  providers:\n    - ${provider}\n${more}`;
const tls = "tls: { cert: server.crt, key: server.key, client_ca: clients.pem }\n";
const load = (text: string, env: NodeJS.ProcessEnv = { PW: "x" }) => settingsOf(text, env, file());
const problems = async (text: string, env: NodeJS.ProcessEnv = { PW: "x" }) =>
  (await problemsOf(text, env, file())).join("\n");

describe("SAML", () => {
  test("the least, and its defaults", async () => {
    const { providers } = await load(
      withProvider("{ name: adfs, type: saml, metadata: ./idp.xml, audience: https://p.example.com }"),
    );
    expect(providers).toEqual([
      {
        name: "adfs",
        type: "saml",
        metadata: join(folder, "idp.xml"),
        entityId: null,
        audience: ["https://p.example.com"],
        attributes: { subject: null, groups: "groups", email: "email" },
        kinds: [],
        signed: "assertion",
        sessionSeconds: 3600,
        acs: null,
      },
    ]);
  });

  test("everything", async () => {
    const { providers } = await load(
      withProvider(
        `{ name: adfs, type: saml, metadata: https://idp.example.com/m, entity_id: urn:idp, audience: [a, b], attributes: { subject: uid, groups: roles, email: mail }, kinds: [{ kind: human, when: "true" }], groups_from: [{ group: x, when: "true" }, { value: '"a/" + claims.b' }], require: ['"x" in groups'], signed: response, session: 8h, acs: https://p.example.com/saml/acs }`,
      ),
    );
    expect(providers[0]).toMatchObject({
      metadata: "https://idp.example.com/m",
      entityId: "urn:idp",
      attributes: { subject: "uid", groups: "roles", email: "mail" },
      groupsFrom: [
        { group: "x", when: "true" },
        { group: { expression: '"a/" + claims.b' }, when: null },
      ],
      require: ['"x" in groups'],
      signed: "response",
      sessionSeconds: 28_800,
      acs: "https://p.example.com/saml/acs",
    });
  });

  test.each([
    ["metadata without TLS", "metadata: http://idp.example.com/m, audience: a", "cannot be fetched safely"],
    [
      "no metadata there",
      "metadata: m.xml, audience: a",
      "metadata: the file does not exist; expected the identity",
    ],
    ["no audience", "metadata: m.xml", "audience: is missing"],
    ["an unsafe acs", "metadata: m.xml, audience: a, acs: http://p.example.com/x", "is no safe address"],
    [
      "an unknown key",
      "metadata: m.xml, audience: a, issuer: x",
      "issuer: does not go together with the other keys",
    ],
  ])("%s", async (_, rest, why) => {
    expect(await problems(withProvider(`{ name: adfs, type: saml, ${rest} }`))).toContain(why);
  });
});

describe("client certificates", () => {
  const mesh = "{ name: mesh, type: mtls, domains: [Prod.example.org] }";
  const listener = "listen: { postgres: { address: 127.0.0.1:0, auth: [cert] } }\n";

  test("a provider and a listener", async () => {
    const { providers, gateway } = await load(withProvider(mesh, tls + listener));
    expect(providers[0]).toEqual({
      name: "mesh",
      type: "mtls",
      subject: "spiffe",
      domains: ["prod.example.org"],
      kinds: [],
    });
    expect(gateway.listeners[0]?.auth).toEqual(["cert"]);
    expect(gateway.tls?.clientCa).toContain("BEGIN CERTIFICATE");
  });

  test("cert and a token together are no surprise", async () => {
    const { warnings } = await load(withProvider(mesh, tls + listener.replace("[cert]", "[cert, password]")));
    expect(warnings).toEqual([]);
  });

  test("without authorities, or without a provider that says who they are", async () => {
    const without = tls.replace(", client_ca: clients.pem", "");
    expect(await problems(withProvider(mesh, without + listener))).toContain(
      "cert needs authorities of client certificates",
    );
    expect(await problems(`${minimal()}${tls}${listener}`)).toContain(
      "no provider says who a certificate is",
    );
    expect(
      await problems(withProvider(mesh, tls + listener.replace("127.0.0.1:0", "unix:/tmp/x"))),
    ).toContain("a Unix socket carries no certificates");
  });
});

describe("presets", () => {
  test("the operator's own words come first", async () => {
    const { providers } = await load(
      withProvider(
        `{ name: gh, type: oidc, preset: github-actions, audience: a, claims: { subject: repository_id }, algorithms: [ES256], kinds: [{ kind: agent, when: 'claims.actor == "bot"' }], require: ['claims.repository_owner_id == "1"'] }`,
      ),
    );
    expect(providers[0]).toMatchObject({
      issuer: "https://token.actions.githubusercontent.com",
      algorithms: ["ES256"],
      tokenTypes: ["JWT"],
      claims: { subject: "repository_id", groups: "groups", email: "email", agent: "client_id" },
      kinds: [
        { kind: "agent", when: 'claims.actor == "bot"' },
        { kind: "service", when: "true" },
      ],
    });
  });

  test("a name that is none", async () => {
    expect(await problems(withProvider("{ name: x, type: oidc, preset: github, audience: a }"))).toContain(
      "github-actions",
    );
  });

  test("an issuer is needed where neither says it", async () => {
    expect(await problems(withProvider("{ name: x, type: oidc, audience: a }"))).toContain(
      "the issuer is missing",
    );
  });
});

describe("waits and chains", () => {
  test("defaults, and one's own", async () => {
    const { identity } = await load(minimal());
    expect(identity).toEqual({
      maxDelegationDepth: 4,
      lockout: { perIp: 150, perPrincipal: 30, windowSeconds: 300, firstSeconds: 10, longestSeconds: 900 },
    });
    const own = minimal().replace(
      "identity:\n",
      "identity:\n  max_delegation_depth: 0\n  lockout: { per_ip: 5, per_principal: 2, window: 1m, first: 1s, longest: 1h }\n",
    );
    expect((await load(own)).identity).toEqual({
      maxDelegationDepth: 0,
      lockout: { perIp: 5, perPrincipal: 2, windowSeconds: 60, firstSeconds: 1, longestSeconds: 3600 },
    });
    const off = minimal().replace("identity:\n", "identity:\n  lockout: { enabled: false }\n");
    expect((await load(off)).identity.lockout).toBeNull();
  });

  test("a first wait longer than the longest", async () => {
    const text = minimal().replace("identity:\n", "identity:\n  lockout: { first: 1h, longest: 1m }\n");
    expect(await problems(text)).toContain("is longer than lockout.longest");
  });
});

describe("passwords elsewhere", () => {
  const database = (password: string, server = "{ host: 127.0.0.1 }") =>
    minimal().replace("{ env: PW }", password).replace("{ host: 127.0.0.1 }", server);

  test("Vault: short and long forms, and a login of its database engine", async () => {
    const vault = await fakeHttp(({ path }) => {
      if (path === "/v1/secret/data/shop/reader")
        return { body: { data: { data: { password: "kv", pw: "other" } } } };
      if (path === "/v1/kv/shop") return { body: { data: { password: "one" } } };
      if (path === "/v1/database/creds/shop")
        return { body: { lease_id: "l", lease_duration: 60, data: { username: "u", password: "p" } } };
      return { status: 404 };
    });
    const more = `vault: { address: "${vault.url}/", auth: { token: { env: VAULT_TOKEN } } }\n`;
    const passwordOf = async (given: string) => {
      const { gateway } = await load(database(given) + more, { VAULT_TOKEN: "t" });
      return gateway.databases[0]?.logins[0]?.password;
    };
    expect(await (await passwordOf("{ vault: secret/shop/reader }"))?.read()).toBe("kv");
    expect(await (await passwordOf('{ vault: "secret/shop/reader#pw" }'))?.read()).toBe("other");
    expect(await (await passwordOf("{ vault: { mount: kv, path: shop, version: 1 } }"))?.read()).toBe("one");
    expect(await (await passwordOf("{ vault: { database: { role: shop } } }"))?.readLogin?.()).toEqual({
      user: "u",
      password: "p",
    });
    expect(await problems(database("{ vault: secret/nothing }") + more, { VAULT_TOKEN: "t" })).toContain(
      "Vault has nothing there",
    );
    expect(await problems(database("{ vault: secret/shop/reader }") + more, {})).toContain(
      "VAULT_TOKEN is not set",
    );
    await vault.close();
    expect(await problems(database("{ vault: secret/shop/reader }") + more, { VAULT_TOKEN: "t" })).toContain(
      "Vault cannot be reached (ECONNREFUSED)",
    );
  });

  test.each([
    ["{ vault: secret/x }", "", "it is not said where Vault is"],
    ["{ vault: nomount }", "", "MOUNT/PATH#FIELD"],
    [
      "{ vault: secret/x }",
      "vault: { address: http://vault.example.com, auth: { token: { env: PW } } }\n",
      "is no safe address",
    ],
    [
      "{ vault: secret/x }",
      "vault: { address: https://v.example.com, auth: { ldap: {} } }\n",
      "ldap: is not a known key; expected one of token, approle, kubernetes",
    ],
  ])("%s with %j", async (password, more, why) => {
    expect(await problems(database(password) + more)).toContain(why);
  });

  const server = "{ host: shop.abc.eu-central-1.rds.amazonaws.com, tls: { mode: verify-full } }";
  const keys = { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "SK" };

  test("RDS: the region from the server's name, from the file, from the environment", async () => {
    const tokenOf = async (given: string, host: string, env: NodeJS.ProcessEnv) => {
      const { gateway } = await load(database(given, host), env);
      return gateway.databases[0]?.logins[0]?.password?.read();
    };
    expect(await tokenOf("{ aws_rds_iam: true }", server, keys)).toMatch(
      /^shop\.abc\.eu-central-1\.rds\.amazonaws\.com:5432\/\?Action=connect&DBUser=shop_admin&.*eu-central-1%2Frds-db/,
    );
    const plain = server.replace("shop.abc.eu-central-1.rds.amazonaws.com", "db.internal");
    expect(await tokenOf("{ aws_rds_iam: { region: us-east-2 } }", plain, keys)).toContain(
      "us-east-2%2Frds-db",
    );
    expect(await tokenOf("{ aws_rds_iam: true }", plain, { ...keys, AWS_REGION: "eu-west-1" })).toContain(
      "eu-west-1%2Frds-db",
    );
    expect(await problems(database("{ aws_rds_iam: true }", plain), keys)).toContain(
      "the AWS region is not known",
    );
  });

  test("RDS: only to a server that is verified, and with credentials", async () => {
    expect(
      await problems(database("{ aws_rds_iam: true }", server.replace("verify-full", "require")), keys),
    ).toContain("not verified");
    const none = {
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
      AWS_CONFIG_FILE: "/nonexistent",
    };
    expect(await problems(database("{ aws_rds_iam: true }", server), none)).toContain("no AWS credentials");
  });
});

describe("keys for what is stored", () => {
  test("read once, and checked", async () => {
    const key = Buffer.alloc(32, 7).toString("base64");
    const text = `${minimal()}store_keys: [{ env: NEW }, { env: OLD }]\n`;
    const { storeKeys } = await load(text, { PW: "x", NEW: key, OLD: key });
    expect(storeKeys).toHaveLength(2);
    expect(await problems(text, { PW: "x", NEW: "short", OLD: key })).toContain(
      "store_keys[0]: holds no key",
    );
    expect((await load(minimal())).storeKeys).toBeNull();
  });
});
