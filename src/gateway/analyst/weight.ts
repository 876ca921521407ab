/**
 * About how many bytes a plain value takes on V8's heap (64 bit, no pointer compression), what it leads to included: a bound of a cache
 * must hold for statements of any shape. What several values share counts for each of them.
 */

const word = 8;
const objectHead = 3 * word;
const stringHead = 2 * word;
const listHead = 6 * word;
/** A Map's or Set's table, and an entry in it with its part of the hash table. */
const tableHead = 16 * word;
const tableEntry = 6 * word;

/** Bytes of objects, lists, maps, sets and plain values, nested in any way but circles. */
export function weigh(value: unknown): number {
  switch (typeof value) {
    case "string":
      // One byte a character or two: the larger, since finding out costs more than it saves.
      return stringHead + 2 * value.length;
    case "number":
      return 2 * word;
    case "bigint":
      return 4 * word;
    case "object":
      return value === null ? 0 : weighObject(value);
    default:
      return 0;
  }
}

function weighObject(value: object): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + word + weigh(one), listHead);
  if (value instanceof Map) {
    let sum = tableHead;
    for (const [key, one] of value) sum += tableEntry + weigh(key) + weigh(one);
    return sum;
  }
  if (value instanceof Set) {
    let sum = tableHead;
    for (const one of value) sum += tableEntry + weigh(one);
    return sum;
  }
  let sum = objectHead;
  // The members' names belong to the shape that objects of one kind share.
  for (const one of Object.values(value)) sum += word + weigh(one);
  return sum;
}
