/** The verbs that keep the audit trail: keys, fork, verify with anchors, erase, prune; on a configuration, without a gateway. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAuditLog } from "../../src/audit/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import { minimal } from "../config/support.ts";
import { folder, postern } from "./support.ts";

let dir: ReturnType<typeof folder>;
beforeEach(() => {
  dir = folder();
  dir.write(
    "postern.yaml",
    `${minimal()}audit: { dir: data/audit, node: gw, anchors: [{log: true}, {file: anchors}], retention: 1d }\n`,
  );
});
afterEach(() => dir.remove());

const run = (...args: string[]) => postern(args, { cwd: dir.path, env: { PW: "x" } });
const log = join("data", "audit", "gw", "0");

test("keys are made, shown and rotated; the first one stays the one to verify with", async () => {
  const made = await run("keys", "new");
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(made.stdout).toMatch(/^postern\/gw\/0\+[0-9a-f]{8}\+/);
  expect((await run("keys", "new")).code).toBe(1);
  const rotated = await run("keys", "rotate", "--json");
  expect(rotated).toMatchObject({ code: 0, stderr: "" });
  const { key, keys, signing } = JSON.parse(rotated.stdout);
  expect([key, keys.length, keys[1]]).toEqual([made.stdout.trim(), 2, signing]);
  expect((await run("keys", "show")).stdout).toBe(made.stdout);
  const verified = await run("audit", "verify", "--key", key, "--anchors", "anchors");
  expect(verified.stdout).toMatch(/signed with 2 keys/);
  expect(verified.code).toBe(0);
});

test("a copy from before a change of the key is found by verification, and is not gone on with", async () => {
  await run("keys", "new");
  const write = async (fork?: string) => {
    const { audit } = await loadConfig(join(dir.path, "postern.yaml"), { PW: "x" });
    const open = await openAuditLog(audit, { version: "test", ...(fork === undefined ? {} : { fork }) });
    for (let i = 0; i < 5; i++) open.event("admin.action", { action: "note", number: i });
    await open.close();
  };
  await write();
  cpSync(join(dir.path, log), join(dir.path, "backup"), { recursive: true });
  // Rotating opens the log with its anchors, and brings them its end.
  expect((await run("keys", "rotate")).code).toBe(0);
  const keysFolder = join(dir.path, "data/keys");
  expect(existsSync(join(keysFolder, "log.vkeys"))).toBe(true);
  rmSync(join(dir.path, log), { recursive: true });
  cpSync(join(dir.path, "backup"), join(dir.path, log), { recursive: true });

  const before = await run("audit", "verify", "--anchors", "anchors");
  expect(before.code).toBe(1);
  expect(before.stdout).toMatch(
    /first bad place: .*(cut off or rolled back|signed by another key|not signed by the log's key)/,
  );
  const refused = await run("audit", "prune", "--reason", "x");
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/older copy than the folder of the keys/),
  });
});

test("a fork goes on, is printed by verify, and only when there is something to fork", async () => {
  const first = await run("audit", "fork", "--reason", "nothing happened");
  expect(first).toMatchObject({ code: 1, stderr: expect.stringMatching(/nothing to fork/) });
  expect((await run("audit", "prune", "--reason", "only to have the log opened")).stdout).toBe(
    "there is nothing to prune\n",
  );
  cpSync(join(dir.path, log), join(dir.path, "backup"), { recursive: true });
  expect((await run("audit", "prune", "--reason", "once more")).code).toBe(0);
  rmSync(join(dir.path, log), { recursive: true });
  cpSync(join(dir.path, "backup"), join(dir.path, log), { recursive: true });
  const before = await run("audit", "verify", "--anchors", "anchors");
  expect(before).toMatchObject({ code: 1, stdout: expect.stringMatching(/cut off or rolled back/) });
  const forked = await run("audit", "fork", "--reason", "restored the backup");
  expect(forked).toMatchObject({ code: 0, stderr: "" });
  expect(forked.stdout).toMatch(/Anchor file:.*: has the fork/);
  const after = await run("audit", "verify", "--anchors", "anchors");
  expect(after.stdout).toMatch(/FORK at record \d+, .*Reason: restored the backup/);
  expect(after.stdout).toMatch(/were given up by a fork/);
  expect(after.code).toBe(0);
  const [name = ""] = readdirSync(join(dir.path, "anchors")).filter((n) => n.endsWith(".checkpoint"));
  expect((await run("audit", "verify", "--checkpoint", join("anchors", name))).code).toBe(0);
  // A log that is gone is missed.
  rmSync(join(dir.path, log), { recursive: true });
  cpSync(join(dir.path, "backup"), join(dir.path, "data/audit/other/0"), { recursive: true });
  expect((await run("audit", "verify", "data/audit", "--anchors", "anchors")).code).toBe(1);
});

test("erasing asks for a day that is over and has a key", async () => {
  expect((await run("audit", "prune", "--reason", "to have a log")).code).toBe(0);
  const today = new Date().toISOString().slice(0, 10);
  for (const [day, why] of [
    [today, /is not over/],
    ["2020-01-01", /there is no key/],
    ["yesterday", /YYYY-MM-DD/],
  ] as const)
    expect(await run("audit", "erase", "--day", day, "--reason", "x")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(why),
    });
  expect((await run("audit", "erase", "--day", today)).code).toBe(2);
  expect(readFileSync(join(dir.path, log, "log.vkey"), "utf8")).toMatch(/^postern\/gw\/0\+/);
});
