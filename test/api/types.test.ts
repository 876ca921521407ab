import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { apiTypes } from "../../scripts/gen-api-types.ts";
import { openApi } from "../../src/api/openapi.ts";
import { specs } from "../../src/api/schema/index.ts";

describe("what is made from the schemas", () => {
  test("the console's types are current", () => {
    const file = join(import.meta.dirname, "../../console/src/generated/api.ts");
    // Not? Run: node scripts/gen-api-types.ts
    expect(readFileSync(file, "utf8")).toBe(apiTypes());
  });

  test("the OpenAPI document holds every route, and every reference in it leads somewhere", () => {
    const document = openApi("1.2.3") as {
      paths: Record<string, Record<string, { operationId: string }>>;
      components: { schemas: Record<string, unknown> };
    };
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations.length).toBe(specs.length);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(specs.length);
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(references.length).toBeGreaterThan(50);
    for (const name of references) expect(document.components.schemas).toHaveProperty(String(name));
    // No other form of reference has slipped in.
    expect(text.match(/"\$ref"/g)?.length).toBe(references.length);
    expect(text).not.toContain("$defs");
  });
});
