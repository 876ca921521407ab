/** Reads the values of constants as the server's memory holds them. */
import { intOf, type ServerNode } from "../../sql/servertree/index.ts";

/** The bytes of a constant; null: it is NULL, or no constant. */
export function bytesOf(node: ServerNode): readonly number[] | null {
  const value = node.tag === "CONST" ? node.kept("constvalue") : null;
  if (typeof value !== "object" || value === null || value.kind !== "datum") return null;
  const bytes = value.text.trim().split(/\s+/).map(Number);
  // What is passed by value is printed as a whole Datum.
  return bytes.length >= value.length ? bytes.map((byte) => byte & 0xff) : null;
}

/** The text of a constant of type text: four bytes of header, then the bytes. */
export function textConstant(node: ServerNode): string | null {
  const bytes = intOf(node, "consttype") === 25 ? bytesOf(node) : null;
  return bytes === null || bytes.length < 4 ? null : Buffer.from(bytes.slice(4)).toString("utf8");
}

/** Is the constant the boolean true? The bytes' order is the server's machine's. */
export function isTrue(node: ServerNode): boolean {
  return intOf(node, "consttype") === 16 && (bytesOf(node)?.some((byte) => byte !== 0) ?? false);
}

/** The value of a constant of type integer; null: it is none. */
export function integerConstant(node: ServerNode): number | null {
  const bytes = intOf(node, "consttype") === 23 ? bytesOf(node) : null;
  if (bytes === null || bytes.length < 4) return null;
  // A server of the other byte order prints the value last: that gives a number too large for any use.
  return Buffer.from(bytes).readInt32LE(0);
}
