import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { buildConsole } from "../../scripts/console.mjs";
import { pageSuite } from "./support/suite.ts";

const dist = join(import.meta.dirname, "../../dist/console");
/** Compressed, as issue 8 asks for: what a page needs before anything can be done on it. */
const firstLoad = 300_000;

describe("the build", () => {
  beforeAll(() => buildConsole());

  it("has a page that keeps `default-src 'self'`: nothing inline, nothing from elsewhere", () => {
    const html = readFileSync(join(dist, "index.html"), "utf8");
    const scripts = html.match(/<script[^>]*>/g) ?? [];
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect(script).toMatch(/ src="\//);
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|https?:|<script[^>]*>[^<]/);
  });

  it("names its files by their content, with packed twins", () => {
    const names = readdirSync(join(dist, "assets"));
    const plain = names.filter((name) => !/\.(br|gz)$/.test(name));
    for (const name of plain) expect(name).toMatch(/-[\w-]{8,}\.(js|css)$/);
    for (const name of plain.filter((each) => statSync(join(dist, "assets", each)).size >= 1024))
      expect(names).toEqual(expect.arrayContaining([`${name}.br`, `${name}.gz`]));
  });

  it("has no source maps and no address of a content delivery network", () => {
    for (const name of readdirSync(join(dist, "assets")).filter((each) => /\.(js|css)$/.test(each))) {
      const text = readFileSync(join(dist, "assets", name), "utf8");
      expect(text).not.toMatch(/sourceMappingURL|\/\/(cdn|unpkg|fonts|esm)\b|jsdelivr|googleapis/);
    }
  });
});

pageSuite("the first load", (bench) => {
  for (const path of ["/", "/live", "/approvals", "/trail", "/policy", "/connect"])
    it(`of ${path} is at most 300 kB compressed`, async () => {
      const { open, double } = bench();
      const { page } = await open(path);
      await page.waitForLoadState("load");
      await page.waitForSelector("h1");
      const loaded = (await page.evaluate(
        "performance.getEntriesByType('resource').map((entry) => entry.name)",
      )) as string[];
      const files = loaded
        .map((name) => new URL(name))
        .filter((url) => url.origin === double.url && !url.pathname.startsWith("/api/"));
      expect(files.length).toBeGreaterThan(2);
      let total = statSync(join(dist, "index.html")).size;
      for (const { pathname } of files) {
        const file = join(dist, pathname);
        const packed = statSync(`${file}.gz`, { throwIfNoEntry: false });
        total += packed?.size ?? statSync(file).size;
      }
      expect(total).toBeLessThanOrEqual(firstLoad);
    });
});
