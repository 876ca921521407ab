import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { minimal, problemsOf, settingsOf } from "./support.ts";

const expected = "expected a policy file, a folder with *.yaml, or agent-safe";
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-config-"));
  writeFileSync(join(folder, "own.yaml"), "version: 1\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

test("no policy, a file, a folder, and the one that is built in", async () => {
  const file = join(folder, "p.yaml");
  const policyOf = async (added: string) =>
    (await settingsOf(`${minimal()}${added}`, undefined, file)).policy;
  expect(await policyOf("")).toBeNull();
  expect(await policyOf("policy: own.yaml\n")).toEqual({ path: join(folder, "own.yaml") });
  expect(await policyOf("policy: .\n")).toEqual({ path: folder });
  expect(await policyOf("policy: agent-safe\n")).toEqual({ path: "agent-safe" });
});

test("a path that is not there, a device, and a value that is no path", async () => {
  const file = join(folder, "p.yaml");
  const problems = (added: string) => problemsOf(`${minimal()}${added}`, undefined, file);
  expect(await problems("policy: ./agent-safe\n")).toEqual([
    `13:9 policy: the path does not exist; ${expected}`,
  ]);
  expect(await problems("policy: /dev/null\n")).toEqual([
    `13:9 policy: the path is neither a file nor a folder; ${expected}`,
  ]);
  expect(await problems("policy: [a]\n")).toHaveLength(1);
});
