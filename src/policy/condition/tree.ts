/** Reading the CEL library's tree. */

/** A node of the CEL library's tree, as far as we read it. */
export interface Tree {
  readonly op: string;
  readonly args: unknown;
  readonly start: number;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && "op" in value && "args" in value && "start" in value;
}

/** `a.b.c` as its parts; null for anything but names joined by dots. */
export function pathOf(node: unknown): string[] | null {
  if (!isTree(node)) return null;
  if (node.op === "id") return typeof node.args === "string" ? [node.args] : null;
  if (node.op !== "." || !Array.isArray(node.args)) return null;
  const [left, field] = node.args;
  const path = pathOf(left);
  return path === null || typeof field !== "string" ? null : [...path, field];
}

/** The literal texts of a node: itself, or those of a list. */
export function texts(node: unknown): { readonly text: string; readonly node: Tree }[] {
  if (!isTree(node)) return [];
  if (node.op === "value") return typeof node.args === "string" ? [{ text: node.args, node }] : [];
  return node.op === "list" && Array.isArray(node.args) ? node.args.flatMap(texts) : [];
}
