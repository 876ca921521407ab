import { describe, expect, test } from "vitest";
import { minimal, placed, problemsOf } from "./support.ts";

/** Where each problem is expected stands a mark ‸ in the text. */
async function expectProblems(
  marked: string,
  problems: readonly string[],
  env?: NodeJS.ProcessEnv,
  file?: string,
): Promise<void> {
  const { text, expected } = placed(marked, problems);
  expect(await problemsOf(text, env, file)).toEqual(expected);
}

const secretForms = "{ env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, …] }";

describe("the file as a whole", () => {
  test.each([
    ["", "1:1: the file is empty; expected a postern.yaml that starts with version: 1"],
    ["# only a comment\n", "1:1: the file is empty; expected a postern.yaml that starts with version: 1"],
    [
      "- a\n",
      "1:1: the file is not a mapping of keys to values; expected a postern.yaml that starts with version: 1",
    ],
    [
      "just text",
      "1:1: the file is not a mapping of keys to values; expected a postern.yaml that starts with version: 1",
    ],
    ["a: 1\n---\nb: 2\n", "2:1 a: the file holds more than one YAML document; expected one document"],
  ])("%j", async (text, problem) => expect(await problemsOf(text)).toEqual([problem]));

  test("an empty mapping lacks what is required", async () => {
    expect(await problemsOf("{}")).toEqual([
      "1:1 version: is missing; expected 1",
      "1:1 identity: is missing; expected keys and values",
      "1:1 databases: is missing; expected a list",
    ]);
  });

  test("a broken structure is not looked into", async () => {
    const [first, ...rest] = await problemsOf("version: 1\nlisten: [::1]:6432\nnope: 1\n");
    expect(first).toMatch(
      /^2:\d+ listen\[0\]: not valid YAML: .*; expected valid YAML 1\.2 \(quote values that begin with \[/,
    );
    expect(rest.filter((problem) => !problem.includes("not valid YAML"))).toEqual([]);
  });

  test("a key twice, a tag, an alias without anchor, an alias in itself, a merge key", async () => {
    await expectProblems(`${minimal()}limits: {}\n‸limits: {}\n`, [
      "limits: this key is given twice; expected each key once",
    ]);
    await expectProblems(`${minimal()}store: ‸!!str sqlite:x\n`.replace("!!str", "!own"), [
      "store: YAML tags are not accepted; expected a plain value",
    ]);
    await expectProblems(`${minimal()}store: ‸*nope\n`, [
      "store: this alias has no anchor; expected an anchor (&name) before it",
    ]);
    await expectProblems(`${minimal()}audit: &a { dir: ‸*a }\n`, [
      "audit.dir: this alias contains itself; expected no circular aliases",
    ]);
    await expectProblems(`${minimal()}protocol: { ‸<<: { function_call: true } }\n`, [
      'protocol["<<"]: is not a known key; expected one of function_call',
    ]);
  });

  test("aliases are followed, and explode no further than a bound", async () => {
    expect(await problemsOf(`${minimal()}admin: { admins: &g [a], auditors: *g }\n`)).toEqual([]);
    const layers = Array.from(
      { length: 12 },
      (_, i) =>
        `l${i}: &l${i} [${Array(10)
          .fill(i === 0 ? "x" : `*l${i - 1}`)
          .join(", ")}]`,
    );
    const [problem] = await problemsOf(layers.join("\n"));
    expect(problem).toMatch(/the file expands to too many values; expected at most 50000/);
  });

  test("deep nesting", async () => {
    expect(await problemsOf(`a: ${"[".repeat(40)}${"]".repeat(40)}`)).toEqual([
      "1:36: the file is nested too deeply; expected at most 32 levels",
    ]);
    // So deep that the parser's own stack runs out.
    const deeper = await problemsOf(`a: ${"[".repeat(20_000)}${"]".repeat(20_000)}`);
    expect(deeper.join()).toContain("nested too deeply; expected at most 32 levels");
    expect(deeper.join()).not.toMatch(/stack|regular expression/i);
    const flood = await problemsOf("[".repeat(200_000));
    expect(flood.length).toBeGreaterThan(0);
    expect(flood.length).toBeLessThanOrEqual(20);
  });
});

describe("one wrong setting", () => {
  const cases: readonly [added: string, ...problems: string[]][] = [
    [
      "‸limit: {}",
      "limit: is not a known key (did you mean limits?); expected one of version, listen, tls, identity, databases, policy, audit, store, approvals, store_keys, vault, protocol, admin, mcp, tracing, limits",
    ],
    [
      "limits: { ‸statement_byte: 1 }",
      "limits.statement_byte: is not a known key (did you mean statement_bytes?); expected one of statement_bytes, message_bytes, connections, connections_per_principal, startup_seconds, idle_seconds, session_seconds, warn_seconds, finish_seconds, hold_seconds, refusals",
    ],
    [
      "limits: { statement_bytes: ‸4MB }",
      'limits.statement_bytes: "4MB" is not accepted; expected a size from 1KiB to 1023MiB, such as 4MiB, 512KiB or a number of bytes',
    ],
    [
      "limits: { statement_bytes: ‸10 }",
      "limits.statement_bytes: is 10; expected a size from 1KiB to 1023MiB, such as 4MiB, 512KiB or a number of bytes",
    ],
    [
      "limits: { statement_bytes: ‸4MiB, message_bytes: 1MiB }",
      "limits.statement_bytes: is more than limits.message_bytes; expected at most limits.message_bytes",
    ],
    [
      "limits: { connections: ‸many }",
      "limits.connections: is a text; expected a whole number from 1 to 100000",
    ],
    ["limits: { connections: ‸0 }", "limits.connections: is 0; expected a whole number from 1 to 100000"],
    [
      "limits: { idle_seconds: ‸1.5 }",
      "limits.idle_seconds: is 1.5; expected a whole number from 1 to 2147483",
    ],
    ["‸limits:", "limits: is empty; expected keys and values"],
    ["limits: ‸[]", "limits: is an empty list; expected keys and values"],
    ["protocol: { function_call: ‸yes }", "protocol.function_call: is a text; expected true or false"],
    [
      "audit: { durability: ‸fast }",
      'audit.durability: "fast" is not accepted; expected one of process, disk, strict',
    ],
    [
      "audit: { node: ‸GW_1 }",
      'audit.node: "GW_1" is not accepted; expected a name of 1 to 63 of a-z, 0-9 and -',
    ],
    [
      "audit: { dir: a, keys: ‸a/keys }",
      "audit.keys: lies inside audit.dir; expected a folder outside of it, readable by Postern only",
    ],
    ["audit: { anchors: [{log: ‸false}] }", "audit.anchors[0].log: is false; expected true"],
    [
      "audit: { dir: a, anchors: [{file: ‸a/b}] }",
      "audit.anchors[0].file: lies inside audit.dir; expected a folder outside of it",
    ],
    ...["http://keeper.example.com/", "https://u:p@keeper.example.com/", "ftp://h/", "not a URL"].map(
      (url): [string, string] => [
        `audit: { anchors: [{log: true}, {webhook: ‸"${url}"}] }`,
        "audit.anchors[1].webhook: is not such a URL; expected an https URL without user and password (http only to loopback)",
      ],
    ),
    [
      "audit: { anchors: [{postgres: ‸{env: PW}}] }",
      "audit.anchors[0].postgres: is not a connection URL; expected a secret that is a postgres:// URL",
    ],
    [
      "audit: { anchors: [{webhook: https://h/, secret: ‸{env: NOT_SET}}] }",
      "audit.anchors[0].secret: the environment variable NOT_SET is not set; expected a secret that can be read: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, …] }",
    ],
    [
      "store: ‸mysql://u:p@h/d",
      "store: this text is not accepted; expected sqlite:PATH, a postgres:// URL, or where such a URL is read: { env: NAME } …",
    ],
    ["store: ‸{ env: PW }", "store: is not a connection URL; expected a secret that is a postgres:// URL"],
    [
      "approvals: { webhooks: [{ url: ‸http://example.com/x, secret: { env: PW } }] }",
      "approvals.webhooks[0].url: is not such a URL; expected an https URL without user and password (http only to loopback)",
    ],
    [
      "approvals: { webhooks: [{ url: ‸{ env: PW }, secret: { env: PW } }] }",
      "approvals.webhooks[0].url: does not give such a URL; expected an https URL without user and password (http only to loopback)",
    ],
    [
      "approvals: { access: [{ groups: [oncall], databases: [‸nope], approvers: { groups: [dba] } }] }",
      'approvals.access[0].databases[0]: is no database of this file; expected a name of databases, or "*"',
    ],
    [
      "approvals: { access: [{ groups: [‸other:oncall], approvers: { groups: [dba] } }] }",
      "approvals.access[0].groups[0]: no provider has the name before the colon; expected provider:group with provider corp",
    ],
    [
      "approvals: { step_up: ‸5s }",
      'approvals.step_up: "5s" is not accepted; expected a time from 60s to 86400s, such as 30s, 15m, 8h or a number of seconds',
    ],
    [
      "listen: { postgres: ‸6432 }",
      "listen.postgres: is 6432; expected an address such as 127.0.0.1:6432, { address, auth, tls }, or a list of such",
    ],
    ["listen: { postgres: ‸[] }", "listen.postgres: is an empty list; expected at least one"],
    [
      "listen: { postgres: [‸localhost] }",
      'listen.postgres[0]: "localhost" is not accepted; expected host:port, [IPv6]:port or unix:/absolute/path, such as 127.0.0.1:6432',
    ],
    [
      "listen: { ‸postgres: { ‸adress: 127.0.0.1:1 } }",
      "listen.postgres.address: is missing; expected host:port, [IPv6]:port or unix:/absolute/path, such as 127.0.0.1:6432",
      "listen.postgres.adress: is not a known key (did you mean address?); expected one of address, auth, tls",
    ],
    [
      "listen: { postgres: ‸0.0.0.0:6432 }",
      "listen.postgres: other machines can reach this address, and there is no TLS; expected a loopback address such as 127.0.0.1, or tls: { cert, key } in this file",
    ],
    [
      "listen: { postgres: [127.0.0.1:1, {address: ‸'[::]:2'}], http: ‸db.internal:80 }",
      "listen.postgres[1].address: other machines can reach this address, and there is no TLS; expected a loopback address such as 127.0.0.1, or tls: { cert, key } in this file",
      "listen.http: other machines can reach this address, and there is no TLS; expected a loopback address such as 127.0.0.1, or tls: { cert, key } in this file",
    ],
    [
      "listen: { postgres: 127.0.0.1:5, http: ‸127.0.0.1:5 }",
      "listen.http: this address is given twice; expected each address once",
    ],
    [
      "listen: { postgres: { address: 127.0.0.1:5, tls: ‸required } }",
      "listen.postgres.tls: TLS is required here, but there is no certificate; expected tls: { cert, key } in this file",
    ],
    [
      "listen: { postgres: { address: unix:/tmp/x, tls: ‸required } }",
      "listen.postgres.tls: a Unix socket carries no TLS; expected optional",
    ],
    [
      "listen: { postgres: { address: 127.0.0.1:5, auth: [‸kerberos] } }",
      'listen.postgres.auth[0]: "kerberos" is not accepted; expected one of password, oauthbearer, scram, cert',
    ],
    [
      "listen: { http: ‸unix:/tmp/x }",
      'listen.http: "unix:/tmp/x" is not accepted; expected host:port or [IPv6]:port, such as 127.0.0.1:8432',
    ],
    [
      "tls: { cert: ‸nope.crt, key: ‸nope.key }",
      "tls.cert: the file does not exist; expected a readable PEM file",
      "tls.key: the file does not exist; expected a readable PEM file",
    ],
    [
      "admin: { admins: [‸'other:x', ‸'corp:', 'corp:ok', plain] }",
      "admin.admins[0]: no provider has the name before the colon; expected provider:group with provider corp",
      "admin.admins[1]: there is no group after the colon; expected provider:group",
    ],
  ];
  test.each(cases)("%s", async (added, ...problems) => {
    await expectProblems(`${minimal()}${added}\n`, problems);
  });

  test("a hostile key cannot forge a line of output", async () => {
    const [problem, ...rest] = await problemsOf(`${minimal()}"a\\nb\\e[2J": 1\n`);
    expect(rest).toEqual([]);
    expect(problem).toMatch(/^13:1 \["a\\nb\\u001b\[2J"\]: is not a known key/);
  });

  test("__proto__ is an unknown key like any other", async () => {
    expect((await problemsOf(`${minimal()}__proto__: { version: 1 }\n`))[0]).toMatch(
      /^13:1 __proto__: is not a known key/,
    );
    expect((await problemsOf(`${minimal()}limits: { __proto__: { connections: 1 } }\n`))[0]).toMatch(
      /^13:11 limits\.__proto__: is not a known key/,
    );
    expect((await problemsOf(`${minimal()}limits: { constructor: 1, toString: 2 }\n`)).length).toBe(2);
  });
});

describe("files of TLS", () => {
  test("client certificates", async () => {
    await expectProblems(`${minimal()}tls: { cert: ‸a, key: ‸b, client_ca: ‸c }\n`, [
      "tls.cert: the file does not exist; expected a readable PEM file",
      "tls.key: the file does not exist; expected a readable PEM file",
      "tls.client_ca: the file does not exist; expected a readable PEM file",
    ]);
  });
});

describe("identity", () => {
  const provider = (lines: string) => `${minimal("identity")}identity:\n  providers:\n${lines}\n`;
  const cases: readonly [lines: string, ...problems: string[]][] = [
    ["    ‸[]", "identity.providers: is an empty list; expected at least one"],
    [
      "    - { name: ‸a b, type: oidc, issuer: 'https://i', audience: x }",
      'identity.providers[0].name: "a b" is not accepted; expected a name of 1 to 63 letters, digits, - and _',
    ],
    [
      "    - { name: a, type: ‸ldap }",
      'identity.providers[0].type: "ldap" is not accepted; expected oidc, saml or mtls',
    ],
    ["    - ‸{ name: a }", "identity.providers[0].type: is missing; expected oidc, saml or mtls"],
    [
      "    - { name: a, type: oidc, issuer: ‸'http://i', audience: x }",
      "identity.providers[0].issuer: its keys cannot be discovered safely; expected an https URL (or http on loopback), or jwks: URL or file:PATH",
    ],
    [
      "    - { name: a, type: oidc, issuer: i, audience: x, jwks: ‸'http://i/k' }",
      "identity.providers[0].jwks: keys cannot be fetched safely from there; expected an https URL (or http on loopback), or file:PATH",
    ],
    [
      "    - { name: a, type: oidc, issuer: i, audience: x, jwks: ‸'file:nope.json' }",
      "identity.providers[0].jwks: the file does not exist; expected a readable JSON Web Key Set",
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: ‸[] }",
      "identity.providers[0].audience: is an empty list; expected at least one",
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: ‸7 }",
      "identity.providers[0].audience: is 7; expected an audience, or a list of such",
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: x, algorithms: [ES256, ‸none] }",
      'identity.providers[0].algorithms[1]: "none" is not accepted; expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519',
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: x, algorithms: [‸HS256] }",
      'identity.providers[0].algorithms[0]: "HS256" is not accepted; expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519',
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: x, kinds: [{ kind: ‸robot, when: 'true' }] }",
      'identity.providers[0].kinds[0].kind: "robot" is not accepted; expected one of human, agent, service',
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: x, max_token_age: ‸1 week }",
      'identity.providers[0].max_token_age: "1 week" is not accepted; expected a time from 1s to 31536000s, such as 30s, 15m, 8h or a number of seconds',
    ],
    [
      "    - { name: a, type: oidc, issuer: 'https://i', audience: x, client: { id: c, secret: ‸hunter2 } }",
      `identity.providers[0].client.secret: is a text; expected where to read it, not the secret itself: ${secretForms}`,
    ],
  ];
  test.each(cases)("%s", async (lines, ...problems) => {
    await expectProblems(provider(lines), problems);
  });

  test("two providers: names, audiences and bare groups", async () => {
    const two = `    - { name: a, type: oidc, issuer: 'https://i', audience: [x, y] }
    - { name: ‸a, type: oidc, issuer: 'https://i', audience: ‸[z, y] }
    - { name: b, type: oidc, issuer: 'https://j', audience: y }`;
    await expectProblems(provider(two).replace("[dba]", "[‸dba]"), [
      "databases[0].logins[0].groups[0]: it is not said which provider's group is meant; expected provider:group with provider a or b",
      "identity.providers[1].name: another provider has this name; expected a name of its own",
      "identity.providers[1].audience: provider a has the same issuer and audience; expected an audience of its own",
    ]);
    const good = two.replace("‸a", "c").replace("‸[z, y]", "z");
    expect(await problemsOf(provider(good).replace("[dba]", '["a:dba", "b:dba"]'))).toEqual([]);
  });

  test("oauthbearer needs a provider that can be discovered", async () => {
    const listen = "listen: { postgres: { address: 127.0.0.1:5, auth: ‸[oauthbearer] } }\n";
    expect(await problemsOf(minimal() + listen.replace("‸", ""))).toEqual([]);
    const hidden = provider("    - { name: a, type: oidc, issuer: i, audience: x, jwks: 'https://i/k' }");
    await expectProblems(hidden + listen, [
      "listen.postgres.auth: oauthbearer needs a provider that clients can discover; expected an oidc provider whose issuer is an https URL",
    ]);
  });
});

describe("databases", () => {
  const databases = (lines: string) => `${minimal("databases")}databases:\n${lines}\n`;
  const login = "logins: [{ groups: [g], user: u }]";
  const cases: readonly [lines: string, ...problems: string[]][] = [
    ["  ‸[]", "databases: is an empty list; expected at least one"],
    [
      `  - { name: ‸'', server: { host: h }, ${login} }`,
      "databases[0].name: is an empty text; expected the name that clients ask for",
    ],
    [
      `  - { name: ‸${"x".repeat(64)}, server: { host: h }, ${login} }`,
      "databases[0].name: this text is not accepted; expected the name that clients ask for, 1 to 63 bytes",
    ],
    [
      `  - { name: a, server: { host: h }, ${login} }\n  - { name: ‸a, server: { host: h }, ${login} }`,
      "databases[1].name: another database has this name; expected a name of its own",
    ],
    [
      `  - { name: a, server: { host: ‸'h:5432' }, ${login} }`,
      "databases[0].server.host: is not a host; expected a host name, an address without brackets, or an absolute folder",
    ],
    [
      `  - { name: a, server: { host: h, port: ‸99999 }, ${login} }`,
      "databases[0].server.port: is 99999; expected a whole number from 1 to 65535",
    ],
    [
      `  - { name: a, server: { host: h, tls: { mode: ‸prefer } }, ${login} }`,
      'databases[0].server.tls.mode: "prefer" is not accepted; expected one of disable, require, verify-ca, verify-full',
    ],
    [
      `  - { name: a, server: { host: /run/pg, tls: { mode: ‸verify-full } }, ${login} }`,
      "databases[0].server.tls.mode: there is no TLS on a Unix socket; expected disable",
    ],
    [
      `  - { name: a, server: { host: h, tls: { mode: require, ca: ‸‸nope.pem } }, ${login} }`,
      "databases[0].server.tls.ca: mode require does not check the server's certificate; expected mode: verify-ca or verify-full",
      "databases[0].server.tls.ca: the file does not exist; expected a readable PEM file",
    ],
    [
      `  - { name: a, server: { host: h, ‸tls: { cert: ‸nope.pem } }, ${login} }`,
      "databases[0].server.tls: cert and key belong together; expected both, or neither",
      "databases[0].server.tls.cert: the file does not exist; expected a readable PEM file",
    ],
    [
      "  - { name: a, server: { host: h }, logins: ‸[] }",
      "databases[0].logins: is an empty list; expected at least one",
    ],
    [
      "  - { name: a, server: { host: h }, logins: [{ groups: ‸[], user: u }] }",
      "databases[0].logins[0].groups: is an empty list; expected at least one",
    ],
    [
      "  - { name: a, server: { host: h }, logins: [‸{ groups: [g] }] }",
      "databases[0].logins[0].user: is missing; expected a PostgreSQL role",
    ],
    [
      "  - { name: a, server: { host: h }, logins: [{ groups: [‸'x:g'], user: u }] }",
      "databases[0].logins[0].groups[0]: no provider has the name before the colon; expected provider:group with provider corp",
    ],
    [
      `  - { name: a, server: { host: h }, ${login}, pool: { max: 1, min_idle: ‸2 } }`,
      "databases[0].pool.min_idle: is more than pool.max; expected at most 1",
    ],
    [
      `  - { name: a, server: { host: h }, ${login}, replication: ‸maybe }`,
      "databases[0].replication: is a text; expected true or false",
    ],
  ];
  test.each(cases)("%s", async (lines, ...problems) => {
    await expectProblems(databases(lines), problems);
  });

  const password = (form: string) =>
    databases(`  - { name: a, server: { host: h }, logins: [{ groups: [g], user: u, password: ${form} }] }`);
  const key = "databases[0].logins[0].password";
  const readable = `a secret that can be read: ${secretForms}`;
  const elsewhere =
    "where to read it, not the secret itself: { env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT, …] }, { vault: … } or { aws_rds_iam: true }";
  const secrets: readonly [form: string, ...problems: string[]][] = [
    ["‸hunter2", `${key}: is a text; expected ${elsewhere}`],
    ["‸1234", `${key}: is 1234; expected ${elsewhere}`],
    ["‸{ env: NOT_SET }", `${key}: the environment variable NOT_SET is not set; expected ${readable}`],
    ["‸{ env: EMPTY }", `${key}: env EMPTY: it is empty; expected ${readable}`],
    [
      "{ env: ‸'A=B' }",
      `${key}.env: this text is not accepted; expected the name of an environment variable`,
    ],
    ["‸{ file: nope }", `${key}: the file does not exist; expected ${readable}`],
    ["‸{ file: / }", `${key}: the file is not a regular file; expected ${readable}`],
    [
      "{ command: ‸'cat x' }",
      `${key}.command: is a text; expected a list: the program, then its arguments (no shell)`,
    ],
    [
      "{ command: ‸[] }",
      `${key}.command: is an empty list; expected a list: the program, then its arguments (no shell)`,
    ],
    ["‸{ command: [/nonexistent/x] }", `${key}: the program does not exist; expected ${readable}`],
    ["‸{ command: ['false'] }", `${key}: the program ended with exit code 1; expected ${readable}`],
    ["‸{ command: ['true'] }", `${key}: command true: it is empty; expected ${readable}`],
    [
      "{ env: PW, ‸file: x }",
      `${key}.file: does not go together with the other keys; expected one form only`,
    ],
  ];
  test.each(secrets)("password: %s", async (form, ...problems) => {
    await expectProblems(
      password(form),
      problems,
      { PATH: process.env.PATH, PW: "x", EMPTY: "" },
      "/tmp/p.yaml",
    );
  });

  test("a secret of an unknown form: the missing key is said where the secret's own key stands", async () => {
    const marked =
      "  - { name: a, server: { host: h }, logins: [{ groups: [g], user: u, ‸password: { ‸envv: PW } }] }";
    await expectProblems(databases(marked), [
      `${key}.env: is missing; expected the name of an environment variable`,
      `${key}.envv: is not a known key (did you mean env?); expected one of env, file, command, vault, aws_rds_iam`,
    ]);
  });
});

test("all problems come at once, in the order of the file", async () => {
  const marked = `version: ‸2
listen: { postgres: ‸0.0.0.0:1, ‸htp: x }
identity:
  providers:
    - { name: corp, type: oidc, issuer: 'https://i', audience: postern, algorithms: [‸none] }
databases:
  - name: shop
    server: { host: db, port: ‸0 }
    logins:
      - { groups: [‸"nobody:x"], user: a, password: ‸{ env: UNSET_ONE } }
      - ‸{ groups: [a], password: ‸plain }
limits: { connections: x }
‸limits: { connections: ‸y }
`;
  const starts = [
    "version: is 2",
    "listen.postgres: other machines can reach",
    "listen.htp: is not a known key (did you mean http?)",
    'identity.providers[0].algorithms[0]: "none" is not accepted',
    "databases[0].server.port: is 0",
    "databases[0].logins[0].groups[0]: no provider has the name",
    "databases[0].logins[0].password: the environment variable UNSET_ONE is not set",
    "databases[0].logins[1].user: is missing",
    "databases[0].logins[1].password: is a text",
    "limits: this key is given twice",
    "limits.connections: is a text",
  ];
  const { text, expected } = placed(marked, starts);
  const found = await problemsOf(text);
  expect(found.map((problem, index) => problem.slice(0, expected[index]?.length))).toEqual(expected);
});
