/** Which keys the schema knows at a path: walked over its JSON Schema, so that unions and defaults need no special care. */
import { z } from "zod";
import type { Path } from "./problem.ts";
import { root } from "./schema/root.ts";

export interface JsonSchema {
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** The JSON Schema (2020-12) of postern.yaml as it is written. */
export function jsonSchema(): JsonSchema {
  return z.toJSONSchema(root, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

let cached: JsonSchema | null = null;

export function knownKeys(path: Path): readonly string[] {
  cached ??= jsonSchema();
  let here = branches(cached);
  for (const part of path) {
    here = here.flatMap((schema) => {
      const next = typeof part === "number" ? schema.items : schema.properties?.[part];
      return next === undefined ? [] : branches(next);
    });
  }
  return [...new Set(here.flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

function branches(schema: JsonSchema): JsonSchema[] {
  return [schema, ...(schema.anyOf ?? []).flatMap(branches), ...(schema.oneOf ?? []).flatMap(branches)];
}
