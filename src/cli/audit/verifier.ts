/** `postern audit verifier`: the verifier as one file without dependencies, for another machine. */
import { existsSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { readArgs } from "../lib/args.ts";
import { packageVersion } from "../lib/version.ts";

const usage = `Usage: postern audit verifier > verify.mjs

Prints the verifier of audit logs and proofs as one JavaScript file. It needs Node 24 and nothing else: copy it to
the machine of whoever verifies, and run "node verify.mjs --help" there.
`;

export async function verifier(args: string[]): Promise<number> {
  if (readArgs(args, usage, {}) === null) return 0;
  process.stdout.write(bundleVerifier());
  return 0;
}

const importPattern = /^import\s+(type\s)?(?:\{([^}]*)\}|(\S+))\s+from\s+"([^"]+)";?$/gm;
const exportPattern = /^export\s+(?=(?:async\s+)?(?:function|const|class)\s+(\w+))/gm;

interface Module {
  readonly name: string;
  readonly text: string;
}

/** All modules that src/audit/verify/main.ts needs, each in a function of its own so that no name meets another. */
export function bundleVerifier(): string {
  const here = resolve(import.meta.dirname, "../../audit/verify");
  const extension = existsSync(join(here, "main.ts")) ? ".ts" : ".js";
  const modules: Module[] = [];
  const outside = new Map<string, Set<string>>();
  const done = new Map<string, string>();
  const take = (path: string): string => {
    const known = done.get(path);
    if (known !== undefined) return known;
    const name = relative(here, path)
      .replace(/\.[jt]s$/, "")
      .replace(/\W/g, "_");
    done.set(path, name);
    const source = readFileSync(path, "utf8");
    const script = extension === ".ts" ? stripTypeScriptTypes(source) : source;
    let text = script.replace(importPattern, (_all, type, names, _whole, from: string) => {
      if (type !== undefined || names === undefined) return "";
      const wanted = String(names)
        .split(",")
        .map((n) => n.trim())
        .filter((n) => n !== "" && !n.startsWith("type "));
      if (wanted.length === 0) return "";
      if (from.startsWith("node:")) {
        const set = outside.get(from) ?? new Set<string>();
        for (const n of wanted) set.add(n);
        outside.set(from, set);
        return "";
      }
      return `const { ${wanted.join(", ")} } = m_${take(resolve(dirname(path), from))};`;
    });
    const exported: string[] = [];
    text = text.replace(exportPattern, (_all, n: string) => {
      exported.push(n);
      return "";
    });
    text = text.replace(/^\/\/# sourceMappingURL.*$/gm, "");
    modules.push({ name, text: `${text.trim()}\nreturn { ${exported.join(", ")} };` });
    return name;
  };
  const main = take(join(here, `main${extension}`));
  const imports = [...outside].map(
    ([from, names]) => `import { ${[...names].sort().join(", ")} } from "${from}";`,
  );
  const bodies = modules.map(({ name, text }) => `const m_${name} = (() => {\n${text}\n})();`);
  return [
    "#!/usr/bin/env node",
    `// The verifier of Postern ${packageVersion()} audit logs, in one file. Apache License 2.0.`,
    ...imports,
    ...bodies,
    `process.exitCode = m_${main}.main(process.argv.slice(2));`,
    "",
  ].join("\n");
}
