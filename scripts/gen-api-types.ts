/** Writes the console's types of the REST API from its schemas. Run without arguments; test/api/types.test.ts checks that they are current. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { components, openApi, schemaOf } from "../src/api/openapi.ts";
import { specs } from "../src/api/schema/index.ts";

type Json = Readonly<Record<string, unknown>>;

const file = join(import.meta.dirname, "../console/src/generated/api.ts");

/** The text of the file. */
export function apiTypes(): string {
  const types = Object.entries(components()).map(([name, schema]) => {
    const { description } = schema;
    const comment = typeof description === "string" ? `/** ${description.replaceAll("*/", "* /")} */\n` : "";
    return `${comment}export type ${name} = ${typeOf(schema)};\n`;
  });
  const routes = specs.map((spec) => {
    const answer =
      spec.answer === null
        ? spec.media === undefined
          ? "null"
          : "never"
        : typeOf(schemaOf(spec.answer, "output"));
    const body = spec.body === undefined ? "undefined" : typeOf(schemaOf(spec.body, "input"));
    return `  readonly "${spec.method} ${spec.path}": { readonly body: ${body}; readonly answer: ${answer} };\n`;
  });
  return `/** Made by scripts/gen-api-types.ts from src/api/schema: change that, not this. Every text in here may be hostile. */
// biome-ignore-all format: generated

${types.join("\n")}
/** What each route takes and answers. */
export interface Routes {
${routes.join("")}}
`;
}

function typeOf(schema: Json): string {
  if (typeof schema.$ref === "string") return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const branches = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(branches)) return [...new Set(branches.map((one) => typeOf(one as Json)))].join(" | ");
  if (Array.isArray(schema.allOf)) return schema.allOf.map((one) => typeOf(one as Json)).join(" & ");
  if (Array.isArray(schema.type))
    return schema.type.map((type: unknown) => typeOf({ ...schema, type })).join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return `readonly ${wrapped(typeOf((schema.items ?? {}) as Json))}[]`;
    case "object":
      return objectType(schema);
    default:
      return "unknown";
  }
}

function wrapped(type: string): string {
  return /[|&]| readonly |^readonly /.test(type) && !type.startsWith("{") ? `(${type})` : type;
}

function objectType(schema: Json): string {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>);
  const required = new Set(Array.isArray(schema.required) ? (schema.required as string[]) : []);
  const extra = schema.additionalProperties;
  if (properties.length === 0)
    return typeof extra === "object" && extra !== null
      ? `Readonly<Record<string, ${typeOf(extra as Json)}>>`
      : "Readonly<Record<string, unknown>>";
  const members = properties.map(
    ([name, one]) =>
      `readonly ${/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(one)}`,
  );
  return `{ ${members.join("; ")} }`;
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(dirname(file), { recursive: true });
  const text = apiTypes();
  let old = "";
  try {
    old = readFileSync(file, "utf8");
  } catch {
    // The first time.
  }
  if (old !== text) writeFileSync(file, text);
  process.stdout.write(
    `${file}: ${specs.length} routes, ${JSON.stringify(openApi("")).length} bytes of OpenAPI\n`,
  );
}
