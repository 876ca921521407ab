/** Colours for YAML as policy files use it, line by line: keys, texts, numbers, comments. It decides nothing. */
import type { StreamParser, StringStream } from "@codemirror/language";

interface State {
  /** The quotation mark of a text that goes on over lines; null: none. */
  quote: string | null;
}

export const yaml: StreamParser<State> = {
  name: "policy-yaml",
  startState: () => ({ quote: null }),
  copyState: (state) => ({ ...state }),
  token(stream, state) {
    if (state.quote !== null) return rest(stream, state, state.quote);
    if (stream.eatSpace()) return null;
    if (stream.peek() === "#" && (stream.sol() || /\s/.test(stream.string[stream.pos - 1] ?? " "))) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/^[\w.$/-]+(?=\s*:(?:\s|$))/)) return "propertyName";
    const quote = stream.peek();
    if (quote === '"' || quote === "'") {
      stream.next();
      state.quote = quote;
      return rest(stream, state, quote);
    }
    if (stream.match(/^(?:true|false|null|~)(?=[\s,\]}]|$)/)) return "bool";
    if (stream.match(/^-?\d[\d_.]*(?:[smhd]|[KMG]i?B)?(?=[\s,\]}]|$)/)) return "number";
    if (stream.match(/^[^\s#,[\]{}:"']+/)) return null;
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "#" } },
};

function rest(stream: StringStream, state: State, quote: string): string {
  while (!stream.eol()) {
    const char = stream.next();
    if (quote === '"' && char === "\\") stream.next();
    else if (char === quote) {
      // '' within '…' is one quotation mark.
      if (quote === "'" && stream.peek() === "'") stream.next();
      else {
        state.quote = null;
        break;
      }
    }
  }
  return "string";
}
