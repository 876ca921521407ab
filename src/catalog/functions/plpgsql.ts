/**
 * Reading PL/pgSQL bodies of the simplest form (manual, "PL/pgSQL", chapter "Basic Statements"): one block without
 * declarations whose statements are RETURN and IF. Their expressions are what has to be judged. Everything else, and so all
 * that could run a command, is not read.
 */

/** The expressions of a body as SELECT statements; null: it is of another form. */
export function plpgsqlExpressions(body: string): string[] | null {
  const words = tokens(body);
  if (words === null) return null;
  const reader = new Reader(body, words);
  return reader.block() ? reader.expressions : null;
}

interface Token {
  readonly kind: "word" | "other";
  /** Words in lower case; of everything else its first character. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Cuts a body into tokens; null: something whose end depends on settings or that this reader does not know. */
function tokens(body: string): Token[] | null {
  const pattern =
    /(\s+|--[^\r\n]*)|([A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*)|'(?:[^'\\]|'')*'|"(?:[^"]|"")*"|\$[0-9]+|[0-9][0-9A-Za-z_.]*|[-+*/<>=~!@#%^&|`?:;,.()[\]]/y;
  const found: Token[] = [];
  while (pattern.lastIndex < body.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(body);
    if (match === null) return null;
    const text = match[0];
    if (match[1] !== undefined) continue;
    // Block comments nest, and E'…', U&'…' and the like have escapes: not read.
    if (text === "/" && body[start + 1] === "*") return null;
    const next = body[pattern.lastIndex];
    if (match[2] !== undefined && (next === "'" || next === "&")) return null;
    const kind = match[2] === undefined ? "other" : "word";
    found.push({
      kind,
      text: kind === "word" ? text.toLowerCase() : (text[0] ?? ""),
      start,
      end: pattern.lastIndex,
    });
  }
  return found;
}

class Reader {
  readonly expressions: string[] = [];
  readonly #body: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(body: string, tokens: readonly Token[]) {
    this.#body = body;
    this.#tokens = tokens;
  }

  /** BEGIN … END [;] and nothing behind it. */
  block(): boolean {
    if (!this.#word("begin") || !this.#statements()) return false;
    if (!this.#word("end")) return false;
    this.#other(";");
    return this.#at === this.#tokens.length && this.expressions.length > 0;
  }

  #statements(): boolean {
    for (;;) {
      if (this.#word("return")) {
        if (["query", "next"].includes(this.#peek()?.text ?? "")) return false;
        if (!this.#expression(";")) return false;
      } else if (this.#word("if")) {
        if (!this.#if()) return false;
      } else return true;
    }
  }

  #if(): boolean {
    for (;;) {
      if (!this.#expression("then") || !this.#statements()) return false;
      if (this.#word("elsif") || this.#word("elseif")) continue;
      if (this.#word("else") && !this.#statements()) return false;
      return this.#word("end") && this.#word("if") && this.#other(";");
    }
  }

  /** Up to `end` outside of parentheses; CASE … WHEN … THEN … END has a THEN of its own. */
  #expression(end: string): boolean {
    const first = this.#peek();
    let depth = 0;
    for (let token = first; token !== undefined; token = this.#peek()) {
      if (depth === 0 && token.text === end) {
        if (first === undefined || token === first) return false;
        this.expressions.push(`SELECT ${this.#body.slice(first.start, token.start)}`);
        this.#at++;
        return true;
      }
      if (token.text === ";") return false;
      if ("([".includes(token.text) || (token.kind === "word" && token.text === "case")) depth++;
      if (")]".includes(token.text) || (token.kind === "word" && token.text === "end")) depth--;
      if (depth < 0) return false;
      this.#at++;
    }
    return false;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #word(word: string): boolean {
    const token = this.#peek();
    if (token?.kind !== "word" || token.text !== word) return false;
    this.#at++;
    return true;
  }

  #other(text: string): boolean {
    const token = this.#peek();
    if (token?.kind !== "other" || token.text !== text) return false;
    this.#at++;
    return true;
  }
}
