/** Server-sent events, WHATWG HTML section 9.2.6 ("Interpreting an event stream"), from text that arrives in pieces. */

export interface SseMessage {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

export interface SseParser {
  /** Takes the next piece of the stream. */
  feed(piece: string): void;
}

/** One message is at most this long; a longer one is dropped whole. */
const maxMessage = 8 * 1024 * 1024;

/** `onRetry`: the server's wish for the time between reconnects, in milliseconds. */
export function createSseParser(
  onMessage: (message: SseMessage) => void,
  onRetry: (ms: number) => void = () => {},
): SseParser {
  let rest = "";
  let id: string | null = null;
  let event = "";
  let data: string[] = [];
  let size = 0;

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0 && size <= maxMessage)
        onMessage({ id, event: event === "" ? "message" : event, data: data.join("\n") });
      event = "";
      data = [];
      size = 0;
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") {
      size += value.length;
      if (size <= maxMessage) data.push(value);
    } else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^\d+$/.test(value)) onRetry(Number(value));
  }

  return {
    feed(piece) {
      rest += piece;
      let from = 0;
      for (;;) {
        const end = endOfLine(rest, from);
        if (end < 0) break;
        line(rest.slice(from, end));
        from = rest[end] === "\r" && rest[end + 1] === "\n" ? end + 2 : end + 1;
      }
      rest = rest.slice(from);
    },
  };
}

/** Where the line that begins at `from` ends; -1: not yet (a CR at the very end may be half of CRLF). */
function endOfLine(text: string, from: number): number {
  const lf = text.indexOf("\n", from);
  const cr = text.indexOf("\r", from);
  if (cr >= 0 && (lf < 0 || cr < lf)) return cr === text.length - 1 ? -1 : cr;
  return lf;
}
