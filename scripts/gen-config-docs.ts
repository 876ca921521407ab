/**
 * Makes docs/config.md and docs/postern.schema.json from the schema of postern.yaml.
 * `node scripts/gen-config-docs.ts` writes them, `--check` fails when they are stale.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type JsonSchema, jsonSchema } from "../src/config/keys.ts";

const intro = `# postern.yaml

<!-- Made by scripts/gen-config-docs.ts from src/config/schema/: change it there. -->

YAML 1.2. Unknown keys, keys given twice and YAML tags are refused. \`postern check -c postern.yaml\` reports every problem as
\`file:line:column key: what; expected …\` and ends with exit code 2.

Paths are relative to the folder of the file. Sizes are written \`4MiB\`, \`512KiB\` or as a number of bytes.

For completion and checks in an editor, start the file with

\`\`\`yaml
# yaml-language-server: $schema=./node_modules/postern/docs/postern.schema.json
\`\`\`

The smallest useful file:

\`\`\`yaml
version: 1
identity:
  providers:
    - name: corp
      type: oidc
      issuer: https://idp.example.com
      audience: postern
databases:
  - name: shop
    server: { host: db.internal }
    logins:
      - groups: [analysts]
        user: shop_reader
        password: { env: SHOP_READER_PASSWORD }
\`\`\`

## Secrets

A secret never stands in the file. It is read when it is needed, and once at the start to see that it is there:

| form | meaning |
|---|---|
| \`{ env: NAME }\` | an environment variable |
| \`{ file: PATH }\` | a file of at most 64 KiB; one line end at its end is cut off |
| \`{ command: [PROGRAM, ARGUMENT, …] }\` | what a program prints; run without a shell, at most 10 seconds and 64 KiB |
| \`{ vault: "MOUNT/PATH#FIELD" }\` | only passwords of logins: in HashiCorp Vault; more in [secrets.md](secrets.md) |
| \`{ aws_rds_iam: true }\` | only passwords of logins: a token of AWS RDS IAM, made for each connection |

## Changing it while Postern runs

On SIGHUP the file is read again: \`tls\` and \`identity\` come into force for new connections (a provider that was not there before comes with a
restart), the policy's files for every statement from then on; the rest waits for a restart (the gateway's log says which). An invalid file changes nothing.
`;

interface Entry {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly description: string;
}

function describe(schema: JsonSchema): string {
  const branches = schema.anyOf ?? schema.oneOf;
  if (isSecretSchema(schema))
    return branches?.some((branch) => branch.type === "string") ? "path or secret" : "secret";
  if (branches !== undefined) return [...new Set(branches.map(describe))].join(" or ");
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  switch (schema.type) {
    case "array":
      return `list of ${schema.items === undefined ? "values" : describe(schema.items)}`;
    case "object":
      return "mapping";
    case "integer": {
      const bounded = schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER;
      return bounded ? `${schema.minimum} to ${schema.maximum}` : "number";
    }
    case "string":
      return "text";
    case "boolean":
      return "`true`, `false`";
    default:
      return "any";
  }
}

/** Keys below a schema, flat; branches of unions that are mappings are followed, secrets are explained once above. */
function entries(schema: JsonSchema, prefix: string): Entry[] {
  const found: Entry[] = [];
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    const isSecret = isSecretSchema(child);
    const type = describe(child);
    found.push({
      key,
      type,
      fallback: fallbackOf(schema, name, child),
      description: child.description ?? "",
    });
    if (!isSecret) found.push(...below(child, key));
  }
  return found;
}

function below(schema: JsonSchema, key: string): Entry[] {
  const branches = schema.anyOf ?? schema.oneOf ?? [];
  const rows = [
    ...(schema.properties === undefined ? [] : entries(schema, key)),
    ...(schema.items === undefined ? [] : below(schema.items, `${key}[]`)),
    ...branches.flatMap((branch) => titled(branch, key)),
  ];
  // "One or a list of them": the list's rows would repeat the one's.
  const single = new Set(rows.map((row) => row.key));
  return rows.filter(
    (row) => !row.key.startsWith(`${key}[]`) || !single.has(key + row.key.slice(key.length + 2)),
  );
}

function titled(branch: JsonSchema, key: string): Entry[] {
  const rows = below(branch, key);
  if (rows.length === 0 || branch.title === undefined) return rows;
  return [{ key, type: "", fallback: "", description: `**${branch.title}:**` }, ...rows];
}

/** Its own forms are explained once, above. */
function isSecretSchema(schema: JsonSchema): boolean {
  const forms = schema.anyOf?.map((branch) => Object.keys(branch.properties ?? {}).join()) ?? [];
  return ["env", "file", "command"].every((form) => forms.includes(form));
}

function fallbackOf(parent: JsonSchema, name: string, schema: JsonSchema): string {
  if (parent.required?.includes(name)) return "required";
  const value = schema.default;
  if (
    value === undefined ||
    (typeof value === "object" && Object.keys(value ?? {}).length === 0 && !Array.isArray(value))
  )
    return "";
  return `\`${showDefault(value)}\``;
}

function showDefault(value: unknown): string {
  if (typeof value === "number" && value >= 1024 && value % (1024 * 1024) === 0)
    return `${value / 1024 / 1024}MiB`;
  return typeof value === "string" ? value : JSON.stringify(value).replaceAll('"', "");
}

function markdown(schema: JsonSchema): string {
  let text = intro;
  for (const [name, section] of Object.entries(schema.properties ?? {})) {
    const rows = below(section, name);
    text += `\n## \`${name}\`\n\n${section.description ?? ""}\n`;
    const fallback = fallbackOf(schema, name, section);
    if (rows.length === 0)
      text += `\n${describe(section)}${fallback === "" ? "" : `; ${fallback === "required" ? fallback : `default ${fallback}`}`}\n`;
    else {
      text += "\n| key | value | default | |\n|---|---|---|---|\n";
      for (const { key, type, fallback: given, description } of rows)
        text += `| \`${key}\` | ${type.replaceAll("|", "\\|")} | ${given} | ${description.replaceAll("|", "\\|")} |\n`;
    }
  }
  return text.replace(/[ \t]+$/gm, "").replace(/\n{3,}/g, "\n\n");
}

const docs = resolve(import.meta.dirname, "../docs");
const schema = jsonSchema();
const wanted = new Map([
  [join(docs, "config.md"), markdown(schema)],
  [join(docs, "postern.schema.json"), `${JSON.stringify({ ...schema, title: "postern.yaml" }, null, 2)}\n`],
]);

function current(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

if (process.argv.includes("--check")) {
  const stale = [...wanted].filter(([file, text]) => current(file) !== text).map(([file]) => file);
  for (const file of stale) console.error(`${file} is stale: run node scripts/gen-config-docs.ts`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  mkdirSync(docs, { recursive: true });
  for (const [file, text] of wanted) writeFileSync(file, text);
}
