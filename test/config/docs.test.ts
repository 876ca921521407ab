import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { jsonSchema, knownKeys } from "../../src/config/keys.ts";

const repository = resolve(import.meta.dirname, "../..");

test("docs/config.md and docs/postern.schema.json are as the schema says", () => {
  const run = spawnSync(process.execPath, ["scripts/gen-config-docs.ts", "--check"], {
    cwd: repository,
    encoding: "utf8",
  });
  expect(run.stderr).toBe("");
  expect(run.status).toBe(0);
});

test("every key that can be written stands in docs/config.md", () => {
  const text = readFileSync(resolve(repository, "docs/config.md"), "utf8");
  const missing: string[] = [];
  const visit = (schema: ReturnType<typeof jsonSchema>, path: string) => {
    for (const [name, child] of Object.entries(schema.properties ?? {})) {
      // The forms of a secret are explained in a section of their own.
      if (["env", "file", "command", "vault", "aws_rds_iam"].includes(name)) continue;
      const key = path === "" ? name : `${path}.${name}`;
      if (!text.includes(`\`${key}\``)) missing.push(key);
      visit(child, key);
    }
    if (schema.items !== undefined) visit(schema.items, `${path}[]`);
    // "One or a list": explained once.
    for (const branch of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])])
      if (!(branch.items !== undefined && path === "listen.postgres")) visit(branch, path);
  };
  visit(jsonSchema(), "");
  expect(missing).toEqual([]);
});

test("keys known at a place", () => {
  expect(knownKeys(["tls"])).toEqual(["cert", "key", "client_ca"]);
  expect(knownKeys(["listen", "postgres", 0])).toEqual(["address", "auth", "tls"]);
  expect(knownKeys(["nowhere"])).toEqual([]);
});
