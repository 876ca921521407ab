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
    return { value: `${text.slice(0, longest)}… (${text.length} characters)`, cut: true };
  return { value: typed(text, type), cut: false };
}

function typed(text: string, type: number): Json {
  if (type === bool) return text === "t" ? true : text === "f" ? false : text;
  if (integers.has(type) || floats.has(type)) {
    const number = Number(text);
    const exact = integers.has(type) ? Number.isSafeInteger(number) : Number.isFinite(number);
    return exact && text !== "" ? number : text;
  }
  // A long number in it would lose digits.
  if (jsons.has(type) && text.length <= maxJson && !/\d{16}/.test(text)) {
    try {
      return JSON.parse(text) as Json;
    } catch {
      return text;
    }
  }
  return text;
}

/** About how many characters a cell takes as JSON. */
export function cellCost(value: Json): number {
  return typeof value === "string" ? value.length + 2 : JSON.stringify(value).length;
}
