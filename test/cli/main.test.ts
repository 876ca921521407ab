import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { minimal } from "../config/support.ts";
import { folder, postern } from "./support.ts";

let dir: ReturnType<typeof folder>;
beforeAll(() => {
  dir = folder();
});
afterAll(() => dir.remove());

const manifest = JSON.parse(readFileSync(resolve(import.meta.dirname, "../../package.json"), "utf8"));
const verbs = ["serve", "check", "demo", "scan", "audit", "policy", "keys", "version"];

describe("usage", () => {
  test.each([["--help"], ["-h"], ["help"]])("%s lists every verb and ends with 0", async (flag) => {
    const { code, stdout, stderr } = await postern([flag]);
    expect([code, stderr]).toEqual([0, ""]);
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${verb} +\\S`, "m"));
  });

  test("nothing at all says the same on stderr and ends with 2", async () => {
    const { code, stdout, stderr } = await postern([]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: postern VERB");
  });

  test.each(["nope", "constructor", "__proto__", "Serve"])(
    "the unknown verb %s ends with 2 and the list",
    async (verb) => {
      const { code, stdout, stderr } = await postern([verb]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(new RegExp(`^postern: there is no verb "${verb}"\n`));
      for (const known of verbs) expect(stderr).toContain(`  ${known} `);
    },
  );

  test("control characters in a wrong verb do not reach the terminal", async () => {
    const { stderr } = await postern(["\u001b[2Jx"]);
    expect(stderr).not.toContain("\u001b");
  });

  test.each(["serve", "check", "scan", "keys", "version"])(
    "%s --help ends with 0 and says how it is used",
    async (verb) => {
      for (const flag of ["--help", "-h"]) {
        const { code, stdout, stderr } = await postern([verb, flag]);
        expect([code, stderr]).toEqual([0, ""]);
        expect(stdout).toMatch(new RegExp(`^Usage: postern ${verb}`));
      }
    },
  );

  test.each([
    [["serve", "--port", "1"], "Unknown option '--port'"],
    [["serve", "extra"], 'unexpected argument "extra"'],
    [["serve", "-c"], "'-c, --config <value>' argument missing"],
    [["keys"], "an argument is missing"],
    [["keys", "burn"], 'there is no action "burn"'],
    [["version", "--json=1"], "does not take an argument"],
  ])("%j ends with 2", async (args, why) => {
    const { code, stdout, stderr } = await postern(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(why);
    expect(stderr).toContain(`Usage: postern ${args[0]}`);
  });
});

test("version", async () => {
  for (const args of [["version"], ["--version"], ["-v"]])
    expect(await postern(args)).toEqual({ code: 0, stdout: `postern ${manifest.version}\n`, stderr: "" });
  const { stdout } = await postern(["version", "--json"]);
  expect(JSON.parse(stdout)).toEqual({ postern: manifest.version, node: process.versions.node });
});

describe("a wrong configuration ends with 2 and one line for each problem", () => {
  test.each(["serve", "check"])("%s", async (verb) => {
    dir.write("wrong.yaml", `${minimal()}polcy: x\nlimits: { connections: many }\n`);
    const { code, stdout, stderr } = await postern([verb, "-c", "wrong.yaml"], {
      cwd: dir.path,
      env: { PW: "x" },
    });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toBe(
      "wrong.yaml:13:1 polcy: is not a known key (did you mean policy?); expected one of version, listen, tls, identity, databases, policy, audit, store, approvals, store_keys, vault, protocol, admin, mcp, tracing, limits\n" +
        "wrong.yaml:14:24 limits.connections: is a text; expected a whole number from 1 to 100000\n",
    );
  });

  test.each(["serve", "check"])("%s: a missing file, by default postern.yaml", async (verb) => {
    const { code, stderr } = await postern([verb], { cwd: dir.path });
    expect([code, stderr]).toEqual([
      2,
      "postern.yaml:1:1: the file does not exist; expected a readable postern.yaml\n",
    ]);
  });

  test.each(["serve", "check"])("%s: a condition that does not compile has its place too", async (verb) => {
    const text = minimal().replace(
      "audience: postern",
      "audience: postern\n      kinds:\n        - { kind: human, when: 'claims.x ==' }",
    );
    dir.write("cel.yaml", text);
    const { code, stderr } = await postern([verb, "-c", "cel.yaml"], { cwd: dir.path, env: { PW: "x" } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^cel\.yaml:9:32 identity\.providers\[0\]\.kinds\[0\]\.when: /);
  });
});

describe("keys show", () => {
  test("prints the verifier key, or says that there is none yet", async () => {
    dir.write("keys.yaml", `${minimal()}audit: { dir: a/audit }\n`);
    const run = (...more: string[]) =>
      postern(["keys", "show", "-c", "keys.yaml", ...more], { cwd: dir.path, env: { PW: "x" } });
    const none = await run();
    expect([none.code, none.stdout]).toEqual([1, ""]);
    expect(none.stderr).toContain("log.vkey does not exist");
    mkdirSync(join(dir.path, "a/keys"), { recursive: true });
    writeFileSync(join(dir.path, "a/keys/log.vkey"), "postern/gw/0+abcd+key\n");
    expect(await run()).toEqual({ code: 0, stdout: "postern/gw/0+abcd+key\n", stderr: "" });
    expect(JSON.parse((await run("--json")).stdout)).toMatchObject({
      file: join(dir.path, "a/keys/log.vkey"),
      key: "postern/gw/0+abcd+key",
    });
  });
});

describe("a provider's setting that only the identity room can judge", () => {
  test.each(["serve", "check"])("%s: one line with its place and what is expected, exit 2", async (verb) => {
    const text = minimal().replace(
      "audience: postern",
      "audience: postern\n      kinds: [{ kind: agent, when: claim.x }]",
    );
    dir.write(
      "cel.yaml",
      `${text}listen: { postgres: 127.0.0.1:0 }\naudit: { dir: cel-audit }\nstore: sqlite:cel.db\n`,
    );
    const { code, stderr } = await postern([verb, "-c", "cel.yaml"], { cwd: dir.path, env: { PW: "x" } });
    expect([code, stderr]).toEqual([
      2,
      `cel.yaml:8:36 identity.providers[0].kinds[0].when: Unknown variable: claim in "claim.x"; expected a CEL condition over claims and groups, such as '"employees" in claims.groups'\n`,
    ]);
  });
});

describe("files of one's own that cannot be used", () => {
  /** A login that is kept, whose authority's file lies no longer where it lay. */
  function kept(name: string): string {
    const home = join(dir.path, name);
    mkdirSync(join(home, "profiles"), { recursive: true, mode: 0o700 });
    const profile = {
      v: 1,
      url: "https://127.0.0.1:1",
      ca: join(dir.path, "gone.pem"),
      provider: "corp",
      subject: "amy",
      kind: "gateway",
      accessToken: "pgt_x",
      accessExpires: 9_999_999_999,
    };
    writeFileSync(join(home, "profiles", "a.json"), JSON.stringify(profile), { mode: 0o600 });
    writeFileSync(join(home, "current"), "a\n", { mode: 0o600 });
    return home;
  }

  test.each([["whoami"], ["token"], ["connect", "shop"], ["psql", "shop"], ["sessions", "list"]])(
    "%s says which file of an authority is missing, in two lines",
    async (...args) => {
      const { code, stdout, stderr } = await postern(args, { env: { POSTERN_HOME: kept(`ca-${args[0]}`) } });
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(
        /^postern \w+: the authority's certificate \S+gone\.pem cannot be read \(ENOENT\)\n {2}.*--ca.*\n$/,
      );
    },
  );

  test("login with an authority that is not there", async () => {
    const home = join(dir.path, "none");
    const { code, stderr } = await postern(["login", "https://127.0.0.1:1", "--ca", "/nowhere.pem"], {
      env: { POSTERN_HOME: home },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^postern login: the authority's certificate \/nowhere\.pem cannot be read/);
    expect(existsSync(home)).toBe(false);
  });

  test("logout removes the login all the same", async () => {
    const home = kept("logout");
    const { code, stderr } = await postern(["logout"], { env: { POSTERN_HOME: home } });
    expect(code).toBe(2);
    expect(stderr).toContain("removed here all the same");
    expect(existsSync(join(home, "profiles", "a.json"))).toBe(false);
  });

  test("a home that is no folder", async () => {
    const file = join(dir.path, "file");
    writeFileSync(file, "");
    const { code, stdout, stderr } = await postern(["whoami"], { env: { POSTERN_HOME: file } });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^postern whoami: ENOTDIR: [^\n]+\n$/);
  });
});
