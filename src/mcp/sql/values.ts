/** Values between JSON, as MCP has them, and PostgreSQL's text format. */
import { elementType } from "../../protocol/index.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const bool = 16;
const integers: ReadonlySet<number> = new Set([20, 21, 23, 26]);
const floats: ReadonlySet<number> = new Set([700, 701]);
const jsons: ReadonlySet<number> = new Set([114, 3802]);
/** Longer JSON stays text: parsing it would only make it cost more. */
const maxJson = 16_384;

/**
 * A parameter as text, as PostgreSQL's input functions take it; null: SQL NULL. A list becomes an array where the parameter
 * is one (manual, "Array Input and Output Syntax"), else JSON, as an object does.
 */
export function parameterText(value: Json, type: number): string | null {
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
      return value ? "true" : "false";
    case "number":
      return numberText(value);
    case "object":
      if (value === null) return null;
      return isList(value) && elementType(type) !== undefined ? arrayText(value) : JSON.stringify(value);
  }
}

/** 1e21 and the like are no integers to PostgreSQL's parser, but numeric takes them. */
function numberText(value: number): string {
  return Number.isSafeInteger(value) ? value.toFixed(0) : String(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function arrayText(items: readonly Json[]): string {
  const parts = items.map((item) => {
    if (item === null) return "NULL";
    if (isList(item)) return arrayText(item);
    const text = typeof item === "object" ? JSON.stringify(item) : (parameterText(item, 25) ?? "");
    return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
  });
  return `{${parts.join(",")}}`;
}

/** A cell as JSON; numbers that JSON would change stay text. `cut`: it is longer than `longest` characters. */
export function jsonCell(
  value: Buffer | null,
  type: number,
  longest: number,
): { readonly value: Json; readonly cut: boolean } {
  if (value === null) return { value: null, cut: false };
  const text = value.toString("utf8");
  if (text.length > longest)
    return { value: `${shortened(text, longest)}… (${text.length} characters)`, cut: true };
  return { value: typed(text, type), cut: false };
}

/** At most so many UTF-16 units of a text, and no half of a surrogate pair at the end: as JSON many parsers refuse it (RFC 8259 section 8.2). */
export function shortened(text: string, most: number): string {
  return text.slice(0, most).replace(/[\ud800-\udbff]$/, "");
}

function typed(text: string, type: number): Json {
  if (type === bool) return text === "t" ? true : text === "f" ? false : text;
  if (integers.has(type) || floats.has(type)) {
    const number = Number(text);
    const exact = integers.has(type) ? Number.isSafeInteger(number) : Number.isFinite(number);
    return exact && text !== "" && !Object.is(number, -0) ? number : text;
  }
  const read = jsons.has(type) && text.length <= maxJson ? document(text) : undefined;
  return read === undefined ? text : read;
}

/**
 * What `text` says as JSON; undefined where that would not say all of it again (digits, a sign of zero, a name that is there twice), or where
 * many parsers would refuse it: json, unlike jsonb, may name halves of surrogate pairs.
 */
function document(text: string): Json | undefined {
  // Last of all the reviver is told of the whole, as a member of an object of its own.
  let members = -1;
  let exact = true;
  // ECMAScript, "JSON.parse": a reviver is told the source text of what is no object or list.
  const look: Reviver = function (name, value, { source }) {
    if (!Array.isArray(this)) members++;
    if (!name.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) exact = false;
    if (typeof value === "number" && (source === undefined || !sameNumber(source, value))) exact = false;
    return value;
  };
  try {
    const value = JSON.parse(text, look as (this: unknown, name: string, value: unknown) => unknown) as Json;
    return exact && members === membersIn(text) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Reviver = (
  this: unknown,
  name: string,
  value: unknown,
  context: { readonly source?: string },
) => unknown;

/** Names of members in a JSON text, each time that they stand there. */
function membersIn(text: string): number {
  return text.match(/"(?:[^"\\]|\\.)*"(?=\s*:)/g)?.length ?? 0;
}

/** Whether a number as JSON writes it is exactly what `value` is written as. */
function sameNumber(source: string, value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0) && digitsOf(source) === digitsOf(String(value));
}

/** A decimal number as its digits without zeros at the ends, and the power of ten that the last of them stands for. */
function digitsOf(text: string): string {
  const [, sign = "", whole = "", part = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${part}`.replace(/^0+/, "");
  const kept = digits.replace(/0+$/, "");
  return kept === "" ? "0" : `${sign}${kept}e${Number(power) - part.length + digits.length - kept.length}`;
}

/**
 * Why a parameter cannot be meant as it came, in words of what is expected; null: it can. JSON as JavaScript reads it has rounded integers beyond
 * 2^53 already: another row's key would be looked for.
 */
export function parameterProblem(value: Json): string | null {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) return "values without halves of surrogate pairs";
      return value.includes("\0") ? "values without NUL bytes" : null;
    case "number":
      return Number.isInteger(value) && !Number.isSafeInteger(value)
        ? "integers beyond 2^53 as strings: as numbers they lose digits"
        : null;
    case "object": {
      if (value === null) return null;
      const parts: readonly Json[] = isList(value) ? value : Object.entries(value).flat();
      for (const part of parts) {
        const problem = parameterProblem(part);
        if (problem !== null) return problem;
      }
      return null;
    }
    case "boolean":
      return null;
  }
}

/** About how many characters a cell takes as JSON. */
export function cellCost(value: Json): number {
  return typeof value === "string" ? value.length + 2 : JSON.stringify(value).length;
}
