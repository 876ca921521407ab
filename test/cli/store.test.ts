/** The key of a store: made once, the same on every node, or the node does not start. */
import { mkdtempSync, rmSync } from "node:fs";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSettingsStore } from "../../src/cli/lib/store.ts";
import { minimal, settingsOf } from "../config/support.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "postern-store-key-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const settings = (node: string, more = "", env: NodeJS.ProcessEnv = {}) =>
  settingsOf(
    `${minimal()}store: sqlite:${join(dir, "shared.db")}\naudit: { dir: ${node}/audit }\n${more}`,
    { PW: "x", ...env },
    join(dir, "postern.yaml"),
  );

test("made once; another node needs a copy of it; keys can be turned over", async () => {
  const one = await openSettingsStore(await settings("one"));
  const sealed = one.sealer.seal("c", "k", "secret");
  await one.store.insert("c", "k", sealed);
  const key = join(dir, "one", "keys", "store.key");
  expect((await stat(key)).mode & 0o777).toBe(0o600);

  await expect(openSettingsStore(await settings("two"))).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("sealed with another key"),
  });
  await mkdir(join(dir, "two", "keys"), { recursive: true });
  await copyFile(key, join(dir, "two", "keys", "store.key"));
  const two = await openSettingsStore(await settings("two"));
  expect(two.sealer.open("c", "k", sealed)).toBe("secret");

  const fresh = "5".repeat(64);
  const both = await openSettingsStore(
    await settings("one", `store_keys: [{ env: FRESH }, { file: ${key} }]\n`, { FRESH: fresh }),
  );
  expect(both.sealer.open("c", "k", sealed)).toBe("secret");
  const later = await openSettingsStore(
    await settings("one", "store_keys: [{ env: FRESH }]\n", { FRESH: fresh }),
  );
  expect(later.sealer.open("c", "k", sealed)).toBeNull();
  // Nodes, restarts and new keys alike: the salts that a name is answered with stay as they are.
  expect(one.saltKey).toHaveLength(32);
  for (const { saltKey } of [two, both, later]) expect(saltKey).toEqual(one.saltKey);
  expect(JSON.stringify((await one.store.list("store", { limit: 10 })).items)).not.toContain(
    one.saltKey.toString("base64"),
  );
  for (const { store } of [one, two, both, later]) await store.close();
});
