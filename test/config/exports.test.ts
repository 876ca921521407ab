import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, parseConfig } from "../../src/config/index.ts";
import { createAuthority } from "../support/certificates.ts";

const base = `version: 1
identity: { providers: [ { name: corp, type: oidc, issuer: "https://idp.example.com", audience: a } ] }
databases: [ { name: shop, server: { host: 127.0.0.1, port: 5432 }, logins: [ { groups: [agents], user: reader } ] } ]
audit:
`;
const read = (audit: string, file = "postern.yaml") =>
  parseConfig(base + audit, file, { TOKEN: "Bearer x", BAD: "a\nb" });
const problems = async (audit: string) => {
  const error: unknown = await read(audit).then(
    () => null,
    (e: unknown) => e,
  );
  if (!(error instanceof ConfigError)) expect.fail(`no problem: ${String(error)}`);
  return error.problems.map((p) => `${p.key}: ${p.what}`);
};

describe("audit.exports and audit.index", () => {
  test("nothing said: no exports, known values keyed", async () => {
    const settings = await read("  parameters: keep\n");
    expect(settings).toMatchObject({ exports: [], index: { values: true } });
    expect((await read("  index: { values: none }\n")).index).toEqual({ values: false });
  });

  test("each kind", async () => {
    const dir = mkdtempSync(join(tmpdir(), "postern-config-"));
    try {
      const { cert } = createAuthority();
      writeFileSync(join(dir, "ca.pem"), cert);
      const { exports } = await read(
        `  exports:
    - { name: siem, webhook: "https://siem.example.com/in", format: ocsf, authorization: { env: TOKEN }, start: now }
    - { name: otel, otlp: "http://127.0.0.1:4318/v1/logs" }
    - { name: logs, syslog: "tls://logs.example.com:6514", ca: ca.pem }
`,
        join(dir, "postern.yaml"),
      );
      expect(exports).toMatchObject([
        {
          name: "siem",
          kind: "webhook",
          url: "https://siem.example.com/in",
          format: "ocsf",
          start: "now",
          ca: null,
        },
        {
          name: "otel",
          kind: "otlp",
          url: "http://127.0.0.1:4318/v1/logs",
          format: "otlp",
          start: "beginning",
          authorization: null,
        },
        { name: "logs", kind: "syslog", url: "tls://logs.example.com:6514", format: "cef", ca: cert },
      ]);
      expect(await exports[0]?.authorization?.read()).toBe("Bearer x");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test.each([
    ['{ name: a, webhook: "http://siem.example.com/" }', "audit.exports[0].webhook: is not such a URL"],
    ['{ name: a, webhook: "https://u:p@siem.example.com/" }', "audit.exports[0].webhook: is not such a URL"],
    ['{ name: a, otlp: "ftp://x" }', "audit.exports[0].otlp: is not such a URL"],
    ['{ name: a, syslog: "https://x" }', "audit.exports[0].syslog: is not such an address"],
    ['{ name: a, syslog: "tls://x:1/path" }', "audit.exports[0].syslog: is not such an address"],
    [
      '{ name: a, webhook: "https://x/", authorization: { env: BAD } }',
      "audit.exports[0].authorization: holds what no header can",
    ],
    [
      '{ name: a, webhook: "https://x/" }, { name: a, otlp: "https://y/" }',
      "audit.exports[1].name: is the name of another export",
    ],
  ])("%s", async (exports, problem) => {
    expect(await problems(`  exports: [ ${exports} ]\n`)).toEqual([problem]);
  });

  test("unknown keys and names are refused where they stand", async () => {
    expect((await problems('  exports: [ { name: "a b", webhook: "https://x/" } ]\n')).join()).toContain(
      "audit.exports[0]",
    );
    expect(
      (await problems('  exports: [ { name: a, webhook: "https://x/", formt: ocsf } ]\n')).join(),
    ).toContain("audit.exports[0]");
    expect((await problems("  index: { values: clear }\n")).join()).toContain("audit.index.values");
  });
});
