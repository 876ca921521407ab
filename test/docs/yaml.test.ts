/** Every YAML example of the documentation is one that Postern takes: as a whole file, or in the place of a whole one. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { ConfigError, parseConfig } from "../../src/config/index.ts";
import { loadPolicy } from "../../src/policy/index.ts";

const root = join(import.meta.dirname, "../..");
const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const folder = mkdtempSync(join(tmpdir(), "postern-docs-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Example {
  readonly place: string;
  readonly text: string;
}

function examples(): Example[] {
  return pages.flatMap((page) => {
    const text = readFileSync(join(root, page), "utf8");
    return [...text.matchAll(/^( *)```yaml([^\n]*)\n(.*?)^ *```/gms)].flatMap(
      ([whole, indent = "", kind, body = ""]) => {
        const line = text.slice(0, text.indexOf(whole)).split("\n").length;
        const lines = body
          .split("\n")
          .map((one) => (one.startsWith(indent) ? one.slice(indent.length) : one));
        // Tests of policies are run by test/policy/docs.test.ts and test/cli/policy-real.test.ts.
        if (kind?.includes("test") === true || /\bexpect:/.test(body)) return [];
        return [{ place: `${page}:${line}`, text: lines.join("\n") }];
      },
    );
  });
}

/** What every whole file needs. */
const base = {
  version: 1,
  listen: { http: "127.0.0.1:8432" },
  identity: {
    providers: [
      {
        name: "corp",
        type: "oidc",
        issuer: "https://idp.example.com",
        audience: "postern",
        client: { id: "c", secret: { env: "X" } },
      },
    ],
  },
  databases: [
    {
      name: "shop",
      server: { host: "db.internal" },
      logins: [{ groups: ["agents"], user: "shop_reader", password: { env: "X" } }],
    },
  ],
  audit: { dir: "./data/audit" },
};
/** Any secret is there. */
const env = new Proxy<NodeJS.ProcessEnv>(
  {},
  {
    get: (_, name) =>
      /^(?:STORE|ANCHOR)_URL$/.test(String(name)) ? "postgres://u:p@db/postern" : "https://x.example.com/",
    has: () => true,
  },
);

type Json = Record<string, unknown>;
const policyKeys = new Set(["labels", "rules", "extends", "mode", "default", "detect"]);

/** Problems but those of files that are not here. */
async function problems(config: Json): Promise<readonly string[]> {
  try {
    await parseConfig(stringify(config), join(folder, "postern.yaml"), env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .map(({ key, what }) => `${key}: ${what}`)
      .filter((text) => !/exist|cannot be read/.test(text));
  }
}

describe("YAML in the documentation", () => {
  const all = examples();
  it("is found", () => expect(all.length).toBeGreaterThan(30));
  it.each(all.map((one) => [one.place, one.text] as const))("%s", async (_place, text) => {
    const value: unknown = parse(text);
    // A comment for an editor.
    if (value === null) return;
    if (Array.isArray(value)) {
      expect(await problems({ ...base, identity: { providers: value } })).toEqual([]);
      return;
    }
    const fields = value as Json;
    if (Object.keys(fields).some((key) => policyKeys.has(key))) {
      const policy = [{ file: "policy.yaml", text: stringify({ version: 1, ...fields }) }];
      expect(loadPolicy(policy).digest).toMatch(/^sha256:/);
      return;
    }
    const identity = fields.identity as { providers?: Json[] } | undefined;
    const providers = identity?.providers?.map((one) =>
      // Of a provider that other pages explain, only what is new is shown.
      one.type === "oidc" && one.preset === undefined ? { ...base.identity.providers[0], ...one } : one,
    );
    const merged = { ...base.identity, ...identity, ...(providers === undefined ? {} : { providers }) };
    expect(await problems({ ...base, ...fields, identity: merged })).toEqual([]);
  });
});
