/** Arguments that several tools take. Tool definitions cost tokens in every conversation: they are kept short. */
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import { z } from "zod";
import { type Json, parameterProblem } from "../sql/values.ts";

const maxParameters = 1000;
const noNul = (text: string) => !text.includes("\0");

export const database = z.string().min(1).max(63).describe("Name, as describe_access lists it");

export const sql = z
  .string()
  .min(1)
  .refine(noNul, { error: "a text without NUL bytes" })
  .refine((text) => text.isWellFormed(), { error: "a text without halves of surrogate pairs" })
  .describe("One statement");

const json: z.ZodType<Json> = z.json().superRefine((value, context) => {
  const message = parameterProblem(value);
  if (message !== null) context.addIssue({ code: "custom", message });
});

export const parameters = z
  .array(json)
  .max(maxParameters)
  .default([])
  .describe("Values for $1, $2 …; a list becomes an array or JSON as the parameter's type asks");

export const intent = z
  .string()
  .max(500)
  .optional()
  .describe("Why, in one sentence: recorded, and shown to whoever must approve");

/** All four annotations: of tools that only look. Nothing here reaches beyond the configured databases. */
export const readOnly = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
} as const;

/**
 * A schema that is made once: a server lives for one request only, and to write the JSON Schema of its tools anew each time costs more
 * than the statement.
 */
export function fixed<S extends z.ZodType>(schema: S): StandardSchemaWithJSON<z.input<S>, z.output<S>> {
  const standard = schema["~standard"];
  const memo = (write: (options: JsonOptions) => Record<string, unknown>) => {
    let written: Record<string, unknown> | null = null;
    return (options: JsonOptions) => {
      written ??= write(options);
      return written;
    };
  };
  return {
    "~standard": {
      version: 1,
      vendor: "postern",
      validate: (value: unknown) => standard.validate(value),
      jsonSchema: { input: memo(standard.jsonSchema.input), output: memo(standard.jsonSchema.output) },
    },
  };
}

type JsonOptions = Parameters<StandardSchemaWithJSON["~standard"]["jsonSchema"]["input"]>[0];
