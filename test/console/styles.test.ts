/** Each page is loaded with its own styles alone: what it draws with must not have its look from the styles of another page. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../console/src/", import.meta.url));
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** A file and all that it imports at once; what is imported lazily is loaded by itself. */
function loaded(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  if (file.endsWith(".css")) return seen;
  for (const [, path = ""] of read(file).matchAll(/^import (?:[^;]*? from )?"(\.[^"]+)";/gms)) {
    const target = normalize(join(dirname(file), path));
    if (existsSync(join(root, target))) loaded(target, seen);
  }
  return seen;
}

/** Names of classes that a component writes down, in whole. */
function classesOf(file: string): string[] {
  const literals = read(file).matchAll(/className=(?:"([^"]*)"|\{`((?:[^`$]|\$\{[^}]*\})*)`\})/g);
  return [...literals].flatMap(([, plain, template]) =>
    (plain ?? template?.replaceAll(/\S*\$\{[^}]*\}\S*/g, " ") ?? "").split(/\s+/).filter(Boolean),
  );
}

const styles = new Map<string, string[]>();
for (const file of globSync("**/*.css", { cwd: root }))
  for (const [, name = ""] of read(file).matchAll(/\.([a-z][\w-]*)/gi))
    styles.set(name, [...(styles.get(name) ?? []), file]);
const always = loaded("main.tsx");
const pages = [...read("app/pages.tsx").matchAll(/import\("\.\.\/([^"]+)"\)/g)].map(([, file = ""]) => file);

test("there are pages, and styles of their own", () => {
  expect(pages.length).toBeGreaterThan(8);
  expect(styles.size).toBeGreaterThan(100);
});

test.each([...new Set(pages)])("%s has the styles of all that it shows", (page) => {
  const files = new Set([...always, ...loaded(page)]);
  const borrowed = [...files]
    .filter((file) => file.endsWith(".tsx"))
    .flatMap((file) =>
      classesOf(file)
        .filter((name) => styles.get(name)?.some((style) => files.has(style)) === false)
        .map((name) => `${file}: ${name}, of ${styles.get(name)?.join(", ")}`),
    );
  expect(borrowed).toEqual([]);
});
