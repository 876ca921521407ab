/**
 * Lines that end in LF or CRLF, and in nothing else: node:readline ends them at U+2028 and U+2029, too, which may stand in JSON as they are
 * (RFC 8259 section 7).
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/**
 * The lines of a stream of UTF-8, without their ends; a last one without an end is one, too, unless it is empty.
 *
 * @param most what is longer comes shortened, but still longer than this: the rest of it is not kept.
 * @throws what the stream fails with.
 */
export async function* linesOf(
  input: Readable,
  most: number = Number.POSITIVE_INFINITY,
): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  let length = 0;
  const keep = (text: string): void => {
    if (length <= most) parts.push(text.slice(0, most + 1));
    length += text.length;
  };
  const line = (): string => {
    const whole = parts.join("");
    parts = [];
    length = 0;
    return whole.endsWith("\r") ? whole.slice(0, -1) : whole;
  };
  for await (const chunk of input) {
    const text = typeof chunk === "string" ? chunk : decoder.write(chunk);
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      keep(text.slice(from, end));
      from = end + 1;
      yield line();
    }
    keep(text.slice(from));
  }
  keep(decoder.end());
  if (length > 0) yield line();
}
