/** Typed access to the fields of a server node: each says what it expects, and gives a default for anything else. */
import type { Kept, ServerNode, ServerValue } from "./types.ts";

/** The field holds a node. */
export function isNode(value: Kept | undefined): value is ServerNode {
  return typeof value === "object" && value !== null && value.kind === "node";
}
/** The field's integer; `otherwise` when there is none. */
export function intOf(node: ServerNode, field: string, otherwise = 0): number {
  const value = node.kept(field);
  if (typeof value === "number") return value;
  if (typeof value !== "string") return otherwise;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : otherwise;
}
export function boolOf(node: ServerNode, field: string): boolean {
  return node.kept(field) === "true";
}
/** The field's text; "" for NULL. */
export function textOf(node: ServerNode, field: string): string {
  const value = node.fields.get(field);
  return typeof value === "string" ? value : "";
}
export function nodeOf(node: ServerNode, field: string): ServerNode | null {
  const value = node.kept(field);
  return isNode(value) ? value : null;
}
const none: readonly ServerNode[] = [];

/** The items of a list field; none for NULL or anything else. */
export function itemsOf(node: ServerNode, field: string): readonly ServerValue[] {
  const value = node.kept(field);
  return typeof value === "object" && value !== null && value.kind === "list" ? value.items : none;
}
/** The nodes of a list field. */
export function nodesOf(node: ServerNode, field: string): readonly ServerNode[] {
  const items = itemsOf(node, field);
  return items.every(isNode) ? items : items.filter(isNode);
}
/** The numbers of a list of integers, oids or bits. */
export function numbersOf(node: ServerNode, field: string): readonly number[] {
  const value = node.kept(field);
  return typeof value === "object" && value !== null && value.kind === "numbers" ? value.numbers : [];
}
