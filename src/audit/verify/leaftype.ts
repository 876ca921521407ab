/** Leaves that say something of the log itself, found by where their type stands. */

/** `{"v":1,"id":"<36 characters>","type":"` comes before a leaf's type. */
export const typeAt = 59;

export type LogLeaf =
  /** The key that signs from here on: certified by the checkpoint of the old one that covers this leaf. */
  | { readonly type: "key.rotated"; readonly previous: string; readonly next: string }
  /** The log went on after a restore, although `largest` leaves had been anchored. */
  | {
      readonly type: "log.forked";
      readonly time: string;
      readonly reason: string;
      readonly size: number;
      readonly largest: number;
    }
  /** The oldest `size` leaves, with this root, were removed. */
  | { readonly type: "log.pruned"; readonly size: number; readonly root: string };

const marks = ['key.rotated"', 'log.forked"', 'log.pruned"'] as const;

/** The leaf at [start, end) of `buf` when it is of one of these types, null for every other; "malformed" when it only begins like one. */
export function readLogLeaf(buf: Buffer, start: number, end: number): LogLeaf | null | "malformed" {
  const first = buf[start + typeAt];
  // "k" or "l": most leaves are told apart by one byte.
  if (first !== 0x6b && first !== 0x6c) return null;
  const head = buf.toString("latin1", start + typeAt, Math.min(end, start + typeAt + 12));
  const mark = marks.find((m) => head.startsWith(m));
  if (mark === undefined) return null;
  try {
    const leaf = JSON.parse(buf.toString("utf8", start, end)) as Readonly<Record<string, unknown>>;
    switch (mark) {
      case 'key.rotated"':
        if (typeof leaf.previous !== "string" || typeof leaf.next !== "string") return "malformed";
        return { type: "key.rotated", previous: leaf.previous, next: leaf.next };
      case 'log.forked"': {
        const { at, given_up, reason, time } = leaf;
        const size = member(at, "size");
        if (!Array.isArray(given_up) || typeof size !== "number" || typeof time !== "string")
          return "malformed";
        const sizes = given_up.map((g: unknown) => Number(member(g, "size")));
        return {
          type: "log.forked",
          time,
          reason: String(reason),
          size,
          largest: Math.max(0, ...sizes),
        };
      }
      case 'log.pruned"':
        if (typeof leaf.size !== "number" || typeof leaf.root !== "string") return "malformed";
        return { type: "log.pruned", size: leaf.size, root: leaf.root };
    }
  } catch {
    return "malformed";
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
