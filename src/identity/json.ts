/**
 * JSON as RFC 8259 writes it, minus what lets two readers of the same bytes disagree: duplicate member names (RFC 7519 section 4
 * and RFC 7515 section 4 let a reader refuse them), lone surrogates, numbers that are not finite, `__proto__`, deep nesting.
 */

const maxDepth = 32;
const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must be escaped in JSON strings.
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

export type JsonObject = { readonly [name: string]: unknown };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8 and parses a JSON value. Throws SyntaxError with a reason that does not repeat the text. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new SyntaxError("not valid UTF-8");
  }
  let at = 0;

  function skip(): void {
    space.lastIndex = at;
    space.test(text);
    at = space.lastIndex;
  }

  function readString(): string {
    string.lastIndex = at;
    const found = string.exec(text)?.[0];
    if (found === undefined) throw new SyntaxError(`a string was expected at ${at}`);
    at += found.length;
    const value = found.includes("\\") ? String(JSON.parse(found)) : found.slice(1, -1);
    if (!value.isWellFormed()) throw new SyntaxError("a string holds a lone surrogate");
    return value;
  }

  function literal<T>(word: string, value: T): T {
    if (!text.startsWith(word, at)) throw new SyntaxError(`unexpected text at ${at}`);
    at += word.length;
    return value;
  }

  function members(depth: number): JsonObject {
    const object: Record<string, unknown> = {};
    at += 1;
    skip();
    if (text[at] === "}") {
      at += 1;
      return object;
    }
    for (;;) {
      skip();
      const name = readString();
      if (name === "__proto__") throw new SyntaxError("a member is named __proto__");
      if (Object.hasOwn(object, name)) throw new SyntaxError("an object names a member twice");
      skip();
      literal(":", null);
      object[name] = value(depth + 1);
      skip();
      if (text[at] === "}") break;
      literal(",", null);
    }
    at += 1;
    return object;
  }

  function elements(depth: number): unknown[] {
    const array: unknown[] = [];
    at += 1;
    skip();
    if (text[at] === "]") {
      at += 1;
      return array;
    }
    for (;;) {
      array.push(value(depth + 1));
      skip();
      if (text[at] === "]") break;
      literal(",", null);
    }
    at += 1;
    return array;
  }

  function value(depth: number): unknown {
    if (depth > maxDepth) throw new SyntaxError("nested too deeply");
    skip();
    switch (text[at]) {
      case "{":
        return members(depth);
      case "[":
        return elements(depth);
      case '"':
        return readString();
      case "t":
        return literal("true", true);
      case "f":
        return literal("false", false);
      case "n":
        return literal("null", null);
      default: {
        number.lastIndex = at;
        const found = number.exec(text)?.[0];
        if (found === undefined) throw new SyntaxError(`unexpected text at ${at}`);
        at += found.length;
        const parsed = Number(found);
        if (!Number.isFinite(parsed)) throw new SyntaxError("a number is out of range");
        return parsed;
      }
    }
  }

  const result = value(0);
  skip();
  if (at !== text.length) throw new SyntaxError(`unexpected text at ${at}`);
  return result;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Like parseStrictJson, for texts that must be an object. */
export function parseStrictObject(bytes: Uint8Array): JsonObject {
  const value = parseStrictJson(bytes);
  if (!isObject(value)) throw new SyntaxError("not a JSON object");
  return value;
}

/** Makes a value and all below it unchangeable: principals are shared between sessions. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
