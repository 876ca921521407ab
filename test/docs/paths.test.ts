/** What the pages point at is there: files, other pages with their headings, cases of the corpus, roads, npm scripts, settings. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Headings as GitHub names them. */
function anchors(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

describe.each(pages)("%s", (page) => {
  const text = read(page);

  test("links lead somewhere", () => {
    const broken = [...text.matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
      .filter(([, path = "", anchor]) => {
        const target = path === "" ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !anchors(read(target)).has(anchor);
      })
      .map(([link]) => link);
    expect(broken).toEqual([]);
  });

  test("named files exist", () => {
    const named = [...text.matchAll(/`((?:src|test|bench|scripts|policies)\/[\w./-]+)`/g)].map(
      ([, path = ""]) => path,
    );
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("named npm scripts exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });
});

describe("the roads of docs/masking.md", () => {
  const page = read("docs/masking.md");
  const table = page.slice(page.indexOf("## Roads"), page.indexOf("### Errors and notices"));
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| road |"));

  test("each names a test", () => {
    expect(rows.length).toBeGreaterThan(15);
    for (const row of rows) expect(row).toMatch(/test\/|\b[A-S]\d\d\b|roads? "/);
  });

  test("attacks are in the corpus", () => {
    const ids = new Set(
      read("test/corpus/attacks.jsonl")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { id: string }).id),
    );
    const named = [...table.matchAll(/\b([A-S]\d\d)\b/g)].map(([, id = ""]) => id);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((id) => !ids.has(id))).toEqual([]);
  });

  test("roads are travelled", () => {
    const source = read("test/lineage/roads.ts");
    const named = [...table.matchAll(/roads? ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, list = ""]) =>
      [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name),
    );
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !source.includes(`name: "${name}"`))).toEqual([]);
  });
});
