/** A short name for all statements that differ in literals, letter case and white space only. For grouping, never a key. */
import { hash } from "node:crypto";

const punctuation = 0;
const word = 1;
const operator = 2;
const kinds = new Uint8Array(128).fill(punctuation);
for (const c of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$?")
  kinds[c.charCodeAt(0)] = word;
for (const c of "~!@#^&|`+-*/%<>=") kinds[c.charCodeAt(0)] = operator;

/**
 * 16 hex digits for `stripped` (StatementShape.stripped). Lists of literals behind IN and equal rows of VALUES count as one.
 * Linear.
 */
export function fingerprintOf(stripped: string): string {
  let text = "";
  // What stands outside of quotation marks is put into lower case in as few pieces as possible.
  let plain = "";
  let from = 0;
  let at = 0;
  for (; at < stripped.length; at++) {
    const code = stripped.charCodeAt(at);
    if (code === 0x20) {
      // A blank that does not part two words or two operators says nothing.
      const before = kindAt(stripped, at - 1);
      if (before !== punctuation && before === kindAt(stripped, at + 1)) continue;
      plain += stripped.slice(from, at);
      from = at + 1;
    } else if (code === 0x22) {
      text += (plain + stripped.slice(from, at)).toLowerCase();
      plain = "";
      from = at;
      at = stripped.indexOf('"', at + 1);
      if (at < 0) break;
      text += stripped.slice(from, at + 1);
      from = at + 1;
    }
  }
  text += (plain + stripped.slice(from)).toLowerCase();
  const short = text.replace(/\bin\(\?(?:,\?)+\)/g, "in(?)").replace(/(\([^()]*\))(?:,\1)+/g, "$1");
  return hash("sha256", short, "hex").slice(0, 16);
}

function kindAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? (kinds[code] ?? punctuation) : word;
}
