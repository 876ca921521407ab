/** Comparing trees of the parser. */
import { isObject, type JsonObject } from "./tree.ts";

/** Where things stand in the text, which is no part of what they are. */
const places = new Set([
  "location",
  "stmt_location",
  "stmt_len",
  "rexpr_list_start",
  "rexpr_list_end",
  "list_start",
  "list_end",
]);

export interface Sameness {
  /** They differ in places of the text only. */
  readonly same: boolean;
  /** With other literals the answer might be another one. */
  readonly literal: boolean;
}

/** True when two trees differ in places of the text only. Not recursive: trees may be thousands of levels deep. */
export function sameTree(a: unknown, b: unknown): boolean {
  return compare(a, b).same;
}

/** As sameTree(), and tells whether it is for their literals only that they are the same, or not. */
export function compare(a: unknown, b: unknown): Sameness {
  const pairs: unknown[] = [a, b];
  let same = true;
  let literal = false;
  while (pairs.length > 0) {
    const right = pairs.pop();
    const left = pairs.pop();
    if (Array.isArray(left)) {
      if (!Array.isArray(right) || left.length !== right.length) return different;
      for (let i = 0; i < left.length; i++) pairs.push(left[i], right[i]);
      continue;
    }
    if (!isObject(left) || !isObject(right)) {
      if (left !== right) return different;
      continue;
    }
    if (isObject(left.A_Const) && isObject(right.A_Const)) {
      literal = true;
      same &&= sameFields(left.A_Const, right.A_Const);
      continue;
    }
    const keys = Object.keys(left).filter((key) => !places.has(key));
    if (keys.length !== Object.keys(right).filter((key) => !places.has(key)).length) return different;
    for (const key of keys) {
      if (!Object.hasOwn(right, key)) return different;
      pairs.push(left[key], right[key]);
    }
  }
  return { same, literal };
}

const different: Sameness = { same: false, literal: false };

/** Two A_Const nodes: small, and no deeper than a value. */
function sameFields(a: JsonObject, b: JsonObject): boolean {
  return JSON.stringify({ ...a, location: 0 }) === JSON.stringify({ ...b, location: 0 });
}
