/**
 * Enforces the arrows of docs/architecture.md: which room under src/ may import which, and that no files form a circle.
 * A room that is not listed here, or an arrow that is not, fails the check.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const src = resolve(import.meta.dirname, "../src");
const everything = ["*"];
const allowed: Record<string, readonly string[]> = {
  facts: [],
  protocol: [],
  sql: [],
  catalog: [],
  store: [],
  audit: ["store"],
  analysis: ["sql", "catalog", "protocol"],
  masking: ["protocol"],
  identity: ["store"],
  policy: [],
  approvals: ["store", "policy"],
  gateway: [
    "protocol",
    "sql",
    "catalog",
    "store",
    "audit",
    "analysis",
    "masking",
    "identity",
    "policy",
    "approvals",
  ],
  config: ["identity", "audit", "gateway", "policy", "approvals", "mcp"],
  mcp: ["gateway", "approvals", "identity", "policy", "protocol", "store"],
  api: ["gateway", "approvals", "audit", "policy", "identity", "config", "store"],
  cli: everything,
  demo: everything,
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((f) => f.endsWith(".ts"))
  .map((f) => join(src, f));
const importPattern =
  /(?:^|\n)\s*(import|export)\s+(type\s)?[^;"']*?from\s+"(\.[^"]+)"|import\(\s*"(\.[^"]+)"\s*\)/g;
const problems: string[] = [];
const graph = new Map<string, string[]>();

for (const file of files) {
  const from = relative(src, file);
  const room = from.split("/")[0] ?? "";
  const rule = allowed[room];
  if (rule === undefined) problems.push(`${from}: room "${room}" is not in the plan of the house`);
  const targets: string[] = [];
  for (const match of readFileSync(file, "utf8").matchAll(importPattern)) {
    const spec = match[3] ?? match[4] ?? "";
    const target = resolve(dirname(file), spec);
    const targetRoom = relative(src, target).split("/")[0] ?? "";
    if (match[2] === undefined) targets.push(target);
    if (targetRoom === room || targetRoom === "facts" || rule === undefined) continue;
    // config/ may name the types of the rooms it configures, never run their code.
    if (room === "config" && match[2] === undefined) {
      problems.push(`${from}: config may import only types, not code, from ${targetRoom}/`);
      continue;
    }
    if (!rule.includes("*") && !rule.includes(targetRoom))
      problems.push(`${from}: ${room}/ may not import ${targetRoom}/ (${spec})`);
    if (targetRoom === "demo" && room !== "cli") problems.push(`${from}: only cli/ may import demo/`);
  }
  graph.set(file, targets);
}

const done = new Set<string>();
function visit(file: string, path: readonly string[]): void {
  if (done.has(file)) return;
  const at = path.indexOf(file);
  if (at >= 0) {
    problems.push(`circle: ${[...path.slice(at), file].map((f) => relative(src, f)).join(" -> ")}`);
    return;
  }
  for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
  done.add(file);
}
for (const file of files) visit(file, []);

for (const p of problems) console.error(p);
if (problems.length > 0) process.exit(1);
console.log(`imports: ${files.length} files keep the plan of the house`);
