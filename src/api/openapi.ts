/** The OpenAPI 3.1 document of the API, made from the routes and their schemas. Pure. */
import { z } from "zod";
import type { RouteSpec } from "./routing.ts";
// Loaded so that every schema with an id is known, also those that no route answers: the events of the stream.
import { specs } from "./schema/index.ts";

type Json = Readonly<Record<string, unknown>>;

const refPrefix = "#/components/schemas/";
const errorStatuses = { 400: "bad request", 401: "nobody known", 403: "not allowed", 404: "nothing there" };

/** The schemas with an id, as JSON Schema (2020-12) that refers to each other below `prefix`. */
export function components(io: "input" | "output" = "output"): Readonly<Record<string, Json>> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, {
    io,
    unrepresentable: "any",
    uri: (id) => `${refPrefix}${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, schema]) => [id, bare(schema as Json)]),
  );
}

/** One schema; those with an id are referred to. */
export function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { id } = z.globalRegistry.get(schema) ?? {};
  if (id !== undefined) return { $ref: `${refPrefix}${id}` };
  return inlined(z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json);
}

/** `$defs` of a schema on its own are the components under the same names. */
function inlined(schema: Json): Json {
  const text = JSON.stringify(bare(schema)).replaceAll('"#/$defs/', `"${refPrefix}`);
  return JSON.parse(text) as Json;
}

function bare(schema: Json): Json {
  const { $schema: _schema, $id: _id, id: _own, $defs: _defs, ...rest } = schema;
  return rest;
}

export function openApi(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const spec of specs) {
    const path = spec.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][spec.method.toLowerCase()] = operation(spec);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Postern",
      version,
      description: "The gateway's HTTP API. docs/api.md says who may call what.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: components(),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        cookie: { type: "apiKey", in: "cookie", name: "__Host-postern_session" },
      },
    },
    security: [{ bearer: [] }, { cookie: [] }],
  };
}

function operation(spec: RouteSpec): Json {
  const { allow, answer, body, media, path, query, summary } = spec;
  const errors = Object.fromEntries(
    Object.entries(errorStatuses).map(([status, description]) => [
      status,
      { description, content: { "application/json": { schema: { $ref: `${refPrefix}ErrorBody` } } } },
    ]),
  );
  return {
    summary,
    operationId: operationId(spec),
    tags: [path.split("/")[2] ?? ""],
    ...(allow === "anyone" ? { security: [] } : { "x-roles": allow }),
    parameters: [...pathParameters(path), ...(query === undefined ? [] : queryParameters(query))],
    ...(body === undefined
      ? {}
      : { requestBody: { content: { "application/json": { schema: schemaOf(body, "input") } } } }),
    responses: {
      ...(answer !== null
        ? {
            200: {
              description: "ok",
              content: { "application/json": { schema: schemaOf(answer, "output") } },
            },
          }
        : media !== undefined
          ? { 200: { description: "a stream", content: { [media]: { schema: { type: "string" } } } } }
          : { 204: { description: "done" } }),
      ...errors,
    },
  };
}

/** `GET /api/audit/:id/proof` → `getAuditIdProof`. */
function operationId({ method, path }: RouteSpec): string {
  const words = path.split(/[/:]+/).filter((word) => word !== "" && word !== "api");
  return method.toLowerCase() + words.map((word) => (word[0] ?? "").toUpperCase() + word.slice(1)).join("");
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters(query: z.ZodType): Json[] {
  const schema = inlined(z.toJSONSchema(query, { io: "input", unrepresentable: "any" }) as Json);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries((schema.properties ?? {}) as Record<string, Json>).map(([name, one]) => {
    const { description, ...rest } = one;
    return {
      name,
      in: "query",
      required: required.has(name),
      schema: rest,
      ...(description === undefined ? {} : { description }),
    };
  });
}
