/** How the SQL that an agent generates changes over a run: shapes (fingerprints) that appear, turn into others, and are gone. */

/** One statement as its shape. */
export interface Shape {
  /** Equal for statements of one shape. */
  readonly key: string;
  readonly step: number;
  readonly pass: number;
  /** Literals stripped; null: sealed. */
  readonly sql: string | null;
  readonly command: string | null;
  readonly relations: readonly string[];
}

export interface ShapeLife {
  readonly fingerprint: string;
  readonly sql: string | null;
  readonly firstStep: number;
  readonly lastStep: number;
  readonly count: number;
  /** Passes in which it stands, ascending. */
  readonly passes: readonly number[];
}

export interface ShapeChange {
  readonly from: string;
  readonly to: string;
  /** The step at which the new form stands first. */
  readonly step: number;
  /** Words that the new form has and the old one had not, and the other way round, in order. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface PassChange {
  readonly pass: number;
  /** Shapes that the pass before had not. */
  readonly appears: readonly string[];
  /** Shapes of the pass before that this one has not. */
  readonly disappears: readonly string[];
}

export interface Evolution {
  /** In order of appearance. */
  readonly shapes: readonly ShapeLife[];
  readonly changes: readonly ShapeChange[];
  /** From the second pass on, each against the one before. */
  readonly passes: readonly PassChange[];
}

/** Less than half of the words in common is another statement, not another form of it. */
const alike = 0.5;
/** A new shape is compared with this many that were used last. */
const compared = 200;

/** `shapes` in order of their steps; `passes`: how many there are. */
export function compareShapes(shapes: readonly Shape[], passes: number): Evolution {
  const lives = new Map<string, { shape: Shape; last: number; count: number; passes: Set<number> }>();
  const changes: ShapeChange[] = [];
  for (const shape of shapes) {
    const known = lives.get(shape.key);
    if (known === undefined) {
      const from = nearest(
        shape,
        [...lives.values()].slice(-compared).map((l) => l.shape),
      );
      if (from !== null) changes.push(change(from, shape));
      lives.set(shape.key, { shape, last: shape.step, count: 1, passes: new Set([shape.pass]) });
      continue;
    }
    known.last = shape.step;
    known.count++;
    known.passes.add(shape.pass);
    // The most recently used one stands last.
    lives.delete(shape.key);
    lives.set(shape.key, known);
  }
  const all = [...lives.values()]
    .map(({ shape, last, count, passes: inside }) => ({
      fingerprint: shape.key,
      sql: shape.sql,
      firstStep: shape.step,
      lastStep: last,
      count,
      passes: [...inside].sort((a, b) => a - b),
    }))
    .sort((a, b) => a.firstStep - b.firstStep);
  return { shapes: all, changes, passes: passChanges(all, passes) };
}

function passChanges(shapes: readonly ShapeLife[], passes: number): PassChange[] {
  const inPass = (pass: number) =>
    new Set(shapes.filter((s) => s.passes.includes(pass)).map((s) => s.fingerprint));
  const changes: PassChange[] = [];
  let before = inPass(1);
  for (let pass = 2; pass <= passes; pass++) {
    const now = inPass(pass);
    changes.push({
      pass,
      appears: [...now].filter((k) => !before.has(k)),
      disappears: [...before].filter((k) => !now.has(k)),
    });
    before = now;
  }
  return changes;
}

/** The earlier shape that the new one was most likely made from; null: none is like it. */
function nearest(shape: Shape, earlier: readonly Shape[]): Shape | null {
  if (shape.sql === null) return null;
  const words = new Set(split(shape.sql));
  let best: Shape | null = null;
  let most = alike;
  // Of equals the latest: what was sent just before is what an agent repairs.
  for (const other of earlier) {
    if (other.sql === null || other.command !== shape.command) continue;
    const score = common(words, new Set(split(other.sql)));
    if (score >= most) {
      best = other;
      most = score;
    }
  }
  return best;
}

/** Jaccard: words in common of all words. */
function common(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let both = 0;
  for (const word of a) if (b.has(word)) both++;
  return both / (a.size + b.size - both || 1);
}

function change(from: Shape, to: Shape): ShapeChange {
  const before = split(from.sql ?? "");
  const after = split(to.sql ?? "");
  return {
    from: from.key,
    to: to.key,
    step: to.step,
    added: without(after, before),
    removed: without(before, after),
  };
}

function without(words: readonly string[], taken: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const word of taken) left.set(word, (left.get(word) ?? 0) + 1);
  return words.filter((word) => {
    const n = left.get(word) ?? 0;
    left.set(word, n - 1);
    return n <= 0;
  });
}

function split(sql: string): string[] {
  return sql.match(/\$\d+|[\p{L}\p{N}_$.]+|"(?:[^"]|"")*"|[^\s\p{L}\p{N}]/gu) ?? [];
}
