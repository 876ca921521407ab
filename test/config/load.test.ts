import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeName } from "../../src/config/build/audit.ts";
import { ConfigError, loadConfig, parseConfig } from "../../src/config/index.ts";
import { SecretFault } from "../../src/config/secrets.ts";
import { createAuthority, selfSigned } from "../support/certificates.ts";
import { minimal, settingsOf } from "./support.ts";

let dir: string;
const env = { PW: "from env", PATH: process.env.PATH };

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "postern-config-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, content: string | Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

async function refusal(path: string): Promise<string> {
  const error = await loadConfig(path, env).then(
    () => null,
    (caught) => caught,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return error.message;
}

test("the smallest file, and every default", async () => {
  const text = minimal();
  const settings = await settingsOf(text);
  expect(settings).toMatchObject({
    gateway: {
      listeners: [{ address: { host: "127.0.0.1", port: 6432 }, auth: ["password"], tls: "optional" }],
      tls: null,
      databases: [
        {
          name: "shop",
          server: {
            host: "127.0.0.1",
            port: 5432,
            dbname: "shop",
            tls: { mode: "disable", ca: null, cert: null, key: null },
          },
          replication: false,
          functions: { trusted: [], readBodies: true },
          pool: { max: 50, minIdle: 0, reset: "discard_all" },
        },
      ],
      protocol: { functionCall: false },
      limits: {
        statementBytes: 4_194_304,
        messageBytes: 67_108_864,
        connections: 1000,
        connectionsPerPrincipal: 50,
        startupSeconds: 10,
        idleSeconds: 3600,
        holdSeconds: 300,
      },
    },
    http: null,
    providers: [
      {
        name: "corp",
        type: "oidc",
        issuer: "https://idp.example.com",
        audience: ["postern"],
        jwks: null,
        algorithms: ["RS256", "ES256", "EdDSA"],
        tokenTypes: ["at+jwt", "JWT"],
        claims: { subject: "sub", groups: "groups", email: "email", agent: "client_id" },
        kinds: [],
        client: null,
        maxTokenAge: null,
      },
    ],
    audit: {
      dir: "/nowhere/data/audit",
      keys: "/nowhere/data/keys",
      cluster: "postern",
      durability: "disk",
      parameters: "keep",
      results: { digest: true, captureRows: 0 },
    },
    anchors: [{ kind: "log" }],
    admin: { admins: [], auditors: [], approvers: [] },
    file: "/nowhere/p.yaml",
    digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
    warnings: [],
  });
  expect(settings.audit.node).toBe(nodeName((await import("node:os")).hostname()));
  expect(settings.gateway.databases[0]?.logins[0]?.password?.label).toBe("env PW");
});

test("everything that this version knows, given", async () => {
  const { cert, key } = selfSigned({ name: "gw.example.com" });
  write("server.crt", cert);
  write("server.key", key);
  write("ca.pem", cert);
  write("client.key", key);
  write("pw", "from file\n");
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  write("jwks.json", JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1" }] }));
  const path = write(
    "full.yaml",
    `version: 1
listen:
  postgres:
    - 0.0.0.0:6432
    - { address: "[::1]:6433", auth: [oauthbearer], tls: required }
    - { address: unix:/run/postern/.s.PGSQL.6432 }
  http: 0.0.0.0:8432
tls: { cert: server.crt, key: ./server.key }
identity:
  providers:
    - name: corp
      type: oidc
      issuer: https://idp.example.com
      audience: [postern, other]
      jwks: file:./jwks.json
      algorithms: [ES256]
      token_types: [at+jwt]
      claims: { subject: oid, groups: realm_access.roles }
      kinds: [{ kind: human, when: 'true' }]
      max_token_age: 8h
    - { name: dev, type: oidc, issuer: "http://127.0.0.1:9432", audience: postern, jwks: "https://idp.example.com/k" }
databases:
  - name: shop
    server: { host: db.internal, port: 5433, dbname: shop_live, tls: { mode: verify-ca, ca: ca.pem, cert: server.crt, key: client.key } }
    replication: true
    logins:
      - { groups: ["corp:dba"], user: a, password: { file: pw } }
      - { groups: ["corp:x", "dev:y"], user: b, password: { command: [printf, "from %s", command] } }
      - { groups: ["dev:trusted"], user: c }
  - { name: local, server: { host: /run/postgresql }, logins: [{ groups: ["dev:y"], user: d, password: { env: PW } }] }
  - { name: far, server: { host: db.internal }, logins: [{ groups: ["dev:y"], user: d, password: { env: PW } }] }
audit: { dir: /var/lib/postern/audit, keys: k, cluster: eu, node: gw-1, durability: strict, anchors: [], parameters: drop, results: { digest: false } }
protocol: { function_call: true }
limits: { statement_bytes: 1MiB, message_bytes: 2097152, connections: 5, connections_per_principal: 2, startup_seconds: 3, idle_seconds: 60 }
`,
  );
  const settings = await loadConfig(path, env);
  expect(settings.warnings).toEqual([]);
  expect(settings.gateway.listeners).toEqual([
    { address: { host: "0.0.0.0", port: 6432 }, auth: ["password"], tls: "required" },
    { address: { host: "::1", port: 6433 }, auth: ["oauthbearer"], tls: "required" },
    { address: { path: "/run/postern/.s.PGSQL.6432" }, auth: ["password"], tls: "optional" },
  ]);
  expect(settings.http).toEqual({ host: "0.0.0.0", port: 8432 });
  expect(settings.gateway.tls).toEqual({ cert, key, clientCa: null });
  expect(settings.providers[0]).toMatchObject({
    audience: ["postern", "other"],
    jwks: pathToFileURL(join(dir, "jwks.json")).href,
    claims: { subject: "oid", groups: "realm_access.roles", email: "email", agent: "client_id" },
    maxTokenAge: 28_800,
  });
  const [shop, local, far] = settings.gateway.databases;
  expect(shop?.server).toMatchObject({
    host: "db.internal",
    port: 5433,
    dbname: "shop_live",
    tls: { mode: "verify-ca", ca: cert, cert },
  });
  expect(await shop?.server.tls.key?.read()).toBe(key.trimEnd());
  expect(await Promise.all((shop?.logins ?? []).map((login) => login.password?.read() ?? null))).toEqual([
    "from file",
    "from command",
    null,
  ]);
  expect(local?.server.tls.mode).toBe("disable");
  expect(far?.server.tls.mode).toBe("verify-full");
  expect(settings.audit).toEqual({
    dir: "/var/lib/postern/audit",
    keys: join(dir, "k"),
    cluster: "eu",
    node: "gw-1",
    durability: "strict",
    parameters: "drop",
    results: { digest: false, captureRows: 0 },
    analysis: "always",
    retentionSeconds: null,
  });
  expect(settings.anchors).toEqual([]);
  expect(settings.gateway.protocol.functionCall).toBe(true);
  expect(settings.gateway.limits).toMatchObject({
    statementBytes: 1_048_576,
    messageBytes: 2_097_152,
    connections: 5,
  });
});

describe("secrets", () => {
  const withPassword = (form: string) => minimal().replace("{ env: PW }", form);
  const source = async (form: string, given: NodeJS.ProcessEnv = env) => {
    const settings = await parseConfig(withPassword(form), join(dir, "p.yaml"), given);
    const password = settings.gateway.databases[0]?.logins[0]?.password;
    if (password === null || password === undefined) throw new Error("no password");
    return password;
  };

  test("are read anew each time", async () => {
    const path = write("rotating", "one\r\n");
    const password = await source("{ file: rotating }");
    expect(await password.read()).toBe("one");
    writeFileSync(path, "two");
    expect(await password.read()).toBe("two");
    rmSync(path);
    await expect(password.read()).rejects.toThrow(new SecretFault("the file does not exist"));
    const live: NodeJS.ProcessEnv = { PW: "a" };
    const fromEnv = await source("{ env: PW }", live);
    live.PW = "b";
    expect(await fromEnv.read()).toBe("b");
  });

  test("only one line end is cut off, and nothing else", async () => {
    write("spaces", " a b \n\n");
    expect(await (await source("{ file: spaces }")).read()).toBe(" a b \n");
  });

  test("a program runs without a shell, in the file's folder, and its output stays out of errors", async () => {
    write("hello", "x");
    expect(await (await source("{ command: [printf, '%s', '$(id)'] }")).read()).toBe("$(id)");
    expect(await (await source("{ command: [ls, hello] }")).read()).toBe("hello");
    const path = write(
      "leak.yaml",
      withPassword("{ command: [sh, -c, 'echo s3cret; echo s3cret >&2; exit 3'] }"),
    );
    const message = await refusal(path);
    expect(message).toContain("the program ended with exit code 3");
    expect(message).not.toContain("s3cret");
  });

  test("too much, binary, NUL", async () => {
    const problem = async (form: string) => refusal(write("s.yaml", withPassword(form)));
    expect(await problem("{ command: [head, -c, '70000', /dev/zero] }")).toContain(
      "printed more than 65536 bytes",
    );
    expect(await problem("{ command: [head, -c, '10', /dev/zero] }")).toContain("holds a NUL byte");
    write("big", "x".repeat(65_537));
    expect(await problem("{ file: big }")).toContain("is larger than 65536 bytes");
    write("binary", Buffer.from([0xff, 0xfe, 0x41]));
    expect(await problem("{ file: binary }")).toContain("is not UTF-8 text");
    expect(await problem("{ file: /dev/zero }")).toContain("is not a regular file");
  });

  test("never stand in the settings", async () => {
    const settings = await parseConfig(minimal(), join(dir, "p.yaml"), { PW: "s3cret" });
    expect(JSON.stringify(settings)).not.toContain("s3cret");
  });
});

describe("files", () => {
  const load = (added: string) => refusal(write("f.yaml", minimal() + added));

  test("certificates and keys must be what they are said to be", async () => {
    const own = selfSigned({ name: "a.example.com" });
    const foreign = selfSigned({ name: "b.example.com" });
    write("a.crt", own.cert);
    write("a.key", own.key);
    write("b.key", foreign.key);
    write("junk", "not a certificate");
    write("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect(await load("tls: { cert: a.crt, key: b.key }\n")).toContain(
      "tls.key: this private key does not belong to the certificate",
    );
    expect(await load("tls: { cert: junk, key: a.key }\n")).toContain(
      "tls.cert: the file holds no readable certificate",
    );
    expect(await load("tls: { cert: broken, key: a.key }\n")).toContain(
      "tls.cert: the file holds no readable certificate",
    );
    expect(await load("tls: { cert: a.crt, key: junk }\n")).toContain(
      "tls.key: holds no readable private key",
    );
    expect(await load("tls: { cert: a.crt, key: . }\n")).toContain("tls.key: the file is not a regular file");
  });

  test("a certificate that TLS would not use is told with its place, before anything starts", async () => {
    const weak = selfSigned({ key: "rsa", bits: 1024 });
    const authority = createAuthority({ key: "rsa", bits: 1024 });
    const behind = authority.issue();
    write("weak.crt", weak.cert);
    write("weak.key", weak.key);
    write("chain.crt", behind.cert + authority.cert);
    write("chain.key", behind.key);
    const expected = "expected a certificate with an RSA key of 2048 bits or more, or an EC key of 256";
    expect(await load("tls: { cert: weak.crt, key: weak.key }\n")).toMatch(
      new RegExp(
        `f\\.yaml:\\d+:\\d+ tls\\.cert: TLS cannot use the certificate: its key is too short; ${expected}`,
      ),
    );
    expect(await load("tls: { cert: chain.crt, key: chain.key }\n")).toContain(
      `tls.cert: TLS cannot use the certificate: the key of an authority in the file is too short; ${expected}`,
    );
    const client = "tls: { mode: verify-full, cert: weak.crt, key: weak.key }";
    expect(
      await refusal(write("g.yaml", minimal().replace(/(server: \{[^}]*)\}/, `$1, ${client} }`))),
    ).toContain("databases[0].server.tls.cert: TLS cannot use the certificate: its key is too short");
  });

  test("a key set must hold public keys only", async () => {
    const jwks = (content: string) => {
      write("k.json", content);
      return refusal(
        write("f.yaml", minimal().replace("audience: postern", "audience: postern\n      jwks: file:k.json")),
      );
    };
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(await jwks(JSON.stringify({ keys: [privateKey.export({ format: "jwk" })] }))).toContain(
      "holds private or symmetric keys",
    );
    expect(await jwks(JSON.stringify({ keys: [{ kty: "oct", k: "AAAA" }] }))).toContain(
      "holds private or symmetric keys",
    );
    expect(await jwks("{}")).toContain("the file holds no keys");
    expect(await jwks("{")).toContain("the file is not JSON");
  });

  test("the configuration itself: missing, a folder, too large, not UTF-8", async () => {
    expect(await refusal(join(dir, "none.yaml"))).toBe(
      `${join(dir, "none.yaml")}:1:1: the file does not exist; expected a readable postern.yaml`,
    );
    expect(await refusal(dir)).toContain("is not a regular file");
    expect(await refusal(write("huge.yaml", "#".repeat(1024 * 1024 + 1)))).toContain(
      "is larger than 1048576 bytes",
    );
    expect(await refusal(write("latin1.yaml", Buffer.from([0x61, 0xe4])))).toContain("is not UTF-8 text");
  });

  test("the digest is of the file's bytes, byte order mark included", async () => {
    const bytes = Buffer.concat([
      Buffer.from([0xef, 0xbb, 0xbf]),
      Buffer.from(minimal().replaceAll("\n", "\r\n")),
    ]);
    const settings = await loadConfig(write("bom.yaml", bytes), env);
    expect(settings.digest).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  });
});

test("what will surprise is said, and does not stand in the way", async () => {
  const text = `${minimal()}store: sqlite:./x.db
admin: { admins: [dba] }
listen: { postgres: { address: 127.0.0.1:1, auth: [password, oauthbearer] } }
limits: { hold_seconds: 5 }
`.replace("user: shop_admin", "user: shop_admin }\n      - { groups: [dba], user: other");
  const { warnings } = await settingsOf(text);
  expect(warnings.map(({ line, column, key, what }) => `${line}:${column} ${key}: ${what}`)).toEqual([
    "13:11 databases[0].logins[1].groups: earlier logins have all of these groups",
    "16:45 listen.postgres.auth: only the first way, password, is offered",
  ]);
});

describe("hostile files", () => {
  const outcome = (text: string) =>
    parseConfig(text, join(dir, "p.yaml"), {}).then(
      () => "accepted",
      (error) => {
        if (!(error instanceof ConfigError)) throw error;
        for (const { line, column } of error.problems)
          if (line < 1 || column < 1) throw new Error("no place");
        if (error.problems.length === 0) throw new Error("no problem");
        return "refused";
      },
    );

  test("any text ends in ConfigError and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary", maxLength: 200 }),
        async (text) => void (await outcome(text)),
      ),
      { numRuns: 300 },
    );
  });

  const words = [
    "version",
    "listen",
    "postgres",
    "http",
    "tls",
    "cert",
    "identity",
    "providers",
    "name",
    "type",
    "databases",
    "server",
    "logins",
    "password",
    "env",
    "file",
    "audit",
    "anchors",
    "limits",
    "store",
    "approvals",
    "webhooks",
    "access",
    "__proto__",
    "constructor",
  ];
  const yaml = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small", maxDepth: 6 },
      fc.constantFrom(
        "1",
        "oidc",
        "saml",
        "~",
        "127.0.0.1:1",
        "0.0.0.0:1",
        "true",
        '"x"',
        "[]",
        "{}",
        "&a x",
        "*a",
        "!!int 3",
        "1.5",
        "-1",
        "4MiB",
        ".nan",
        "9e99",
      ),
      fc.array(tie("node"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
      fc
        .array(fc.tuple(fc.constantFrom(...words), tie("node")), { maxLength: 5 })
        .map((pairs) => `{${pairs.map(([k, v]) => `${k}: ${v}`).join(", ")}}`),
    ),
  }));

  test("any YAML made of the schema's own words ends in ConfigError and nothing else", async () => {
    const sections = [
      "version",
      "listen",
      "tls",
      "identity",
      "databases",
      "policy",
      "audit",
      "store",
      "approvals",
      "protocol",
      "admin",
      "limits",
    ];
    const file = fc
      .tuple(...sections.map((name) => yaml.node.map((value) => `${name}: ${value}\n`)))
      .map((lines) => lines.join(""));
    await fc.assert(
      fc.asyncProperty(file, async (text) => {
        expect(await outcome(text)).toBe("refused");
      }),
      { numRuns: 300 },
    );
  });

  test("one byte of a good file changed: accepted or refused, never anything else", async () => {
    const good = minimal();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.constantFrom(..."\n\t :{}[]&*!%@`'\"#-?,|>0aÿ\u0000"),
        async (at, char) => {
          await outcome(good.slice(0, at) + char + good.slice(at + 1));
        },
      ),
      { numRuns: 300 },
    );
  });
});
