/** docs/errors.md is the closed list of codes: every code that a refusal may bear stands in it. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const repository = resolve(import.meta.dirname, "../..");
const folders = ["src/gateway/statement", "src/analysis", "src/policy/decide"];
const form =
  /code: "([A-Z][A-Z_]+)"|\bproblem\(\s*"([A-Z][A-Z_]+)"|"((?:PROTECTED|ANALYSIS|CATALOG|UNSAFE|UNKNOWN)_[A-Z_]+)"/g;

test("every code of a refused statement is explained in docs/errors.md", () => {
  const codes = new Set<string>();
  for (const folder of folders)
    for (const file of readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" }))
      if (file.endsWith(".ts"))
        for (const [, ...found] of readFileSync(join(repository, folder, file), "utf8").matchAll(form))
          for (const code of found) if (code !== undefined) codes.add(code);
  expect(codes.size).toBeGreaterThan(25);
  const text = readFileSync(join(repository, "docs/errors.md"), "utf8");
  expect([...codes].filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
});
