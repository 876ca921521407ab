/** Where a value comes from: a set of columns, and whether it is each of them as it stands. */
import type { Attribute } from "../../facts/effects.ts";

export interface Flow {
  /** Column keys (`keyOf`); true: the value may be that column's own, unchanged. */
  readonly keys: ReadonlyMap<number, boolean>;
  /** Whatever branch it takes, it is some column's own value. A constant is not. */
  readonly pure: boolean;
}

/** A constant, or anything that no column reaches. */
export const nothing: Flow = { keys: new Map(), pure: false };
/** The neutral element of `either`: what a recursion that is not known yet contributes. */
export const unknownYet: Flow = { keys: new Map(), pure: true };

// Attribute numbers run from -7 (system columns) to 1600 (MaxHeapAttributeNumber).
const attributeBits = 4096;
const attributeShift = 16;

export function keyOf(relation: number, attribute: number): number {
  return relation * attributeBits + attribute + attributeShift;
}
export function attributeOf(key: number): Attribute {
  return {
    relation: Math.floor(key / attributeBits),
    attribute: (key % attributeBits) - attributeShift,
  };
}
/** The key stands for a whole row. */
export function isRowKey(key: number): boolean {
  return key % attributeBits === attributeShift;
}
export function columnFlow(relation: number, attribute: number): Flow {
  return { keys: new Map([[keyOf(relation, attribute), true]]), pure: true };
}

/** The value is one of several (branches of a UNION ALL, rows of a VALUES). */
export function either(flows: readonly Flow[]): Flow {
  const [first] = flows;
  if (first === undefined) return nothing;
  if (flows.length === 1) return first;
  const keys = new Map<number, boolean>();
  let pure = true;
  for (const flow of flows) {
    pure &&= flow.pure;
    for (const [key, whole] of flow.keys) keys.set(key, whole && (keys.get(key) ?? true));
  }
  return { keys, pure };
}

/** The value is computed from several. */
export function computed(flows: readonly Flow[]): Flow {
  let only: Flow | null = null;
  let several = false;
  for (const flow of flows) {
    if (flow.keys.size === 0 || flow === only) continue;
    several ||= only !== null;
    only = flow;
  }
  if (only === null) return nothing;
  if (!several && !only.pure && isComputed(only)) return only;
  const keys = new Map<number, boolean>();
  for (const flow of flows) for (const key of flow.keys.keys()) keys.set(key, false);
  return { keys, pure: false };
}

/** Through a view: the view's own column as well. */
export function alsoColumn(flow: Flow, relation: number, attribute: number): Flow {
  const keys = new Map(flow.keys);
  keys.set(keyOf(relation, attribute), true);
  return { keys, pure: flow.pure };
}

function isComputed(flow: Flow): boolean {
  for (const whole of flow.keys.values()) if (whole) return false;
  return true;
}

export function sameFlow(a: Flow, b: Flow): boolean {
  if (a.pure !== b.pure || a.keys.size !== b.keys.size) return false;
  for (const [key, whole] of a.keys) if (b.keys.get(key) !== whole) return false;
  return true;
}

/** The columns of a flow, in order. */
export function sourcesOf({ keys }: Flow): readonly Attribute[] {
  if (keys.size === 0) return [];
  if (keys.size > 1) return [...keys.keys()].sort((a, b) => a - b).map(attributeOf);
  const sources: Attribute[] = [];
  for (const key of keys.keys()) sources.push(attributeOf(key));
  return sources;
}
