import { describe, expect, test } from "vitest";
import { firstNormalOid } from "../../src/catalog/queries.ts";
import { SystemFacts, Versions } from "../../src/catalog/shared.ts";

interface Fact {
  readonly oid: number;
  readonly name: string;
  readonly owner: number;
  readonly arguments: readonly number[];
}

const fact = (oid: number, name: string, more: Partial<Fact> = {}): Fact => ({
  oid,
  name,
  owner: 10,
  arguments: [25, 23],
  ...more,
});
const make = () => new SystemFacts<Fact, Fact, Fact>();
const own = firstNormalOid + 7;
type Pool = ReturnType<typeof make>["functions"];
const share = (pool: Pool, system: readonly Fact[], mine: readonly Fact[] = []) =>
  pool.objects(pool.adopt(system), mine);

describe("facts of several catalogs", () => {
  test("equal ones are one object, found by oid and by name", () => {
    const { functions } = make();
    const one = share(functions, [fact(1, "abs"), fact(2, "abs")], [fact(own, "mine")]);
    const two = share(functions, [fact(1, "abs"), fact(2, "abs")], [fact(own, "mine", { owner: 99 })]);
    expect(two.get(1)).toBe(one.get(1));
    expect(two.named("abs")).toEqual([fact(1, "abs"), fact(2, "abs")]);
    expect(two.named("none")).toEqual([]);
    expect(two.get(3)).toBeUndefined();
    // What is no system's is each catalog's own.
    expect(one.get(own)?.owner).toBe(10);
    expect(two.get(own)?.owner).toBe(99);
  });

  test.each<[string, Partial<Fact>]>([
    ["another owner", { owner: 11 }],
    ["another list", { arguments: [25, 24] }],
    ["a longer list", { arguments: [25, 23, 23] }],
    ["another name", { name: "absolute" }],
  ])("a database that differs has its own: %s", (_, change) => {
    const { operators } = make();
    const before = share(operators, [fact(1, "abs"), fact(2, "sin")]);
    const changed = share(operators, [fact(1, "abs", change), fact(2, "sin")]);
    const after = share(operators, [fact(1, "abs"), fact(2, "sin")]);
    expect(changed.get(1)).toEqual(fact(1, "abs", change));
    expect(changed.named(change.name ?? "abs")).toEqual([fact(1, "abs", change)]);
    expect(changed.get(2)).toBe(before.get(2));
    expect(after.get(1)).toBe(before.get(1));
    expect(before.get(1)).toEqual(fact(1, "abs"));
  });

  test("one that lacks an object has none, and the others keep it", () => {
    const { types } = make();
    const whole = share(types, [fact(1, "bool"), fact(2, "text")]);
    const less = share(types, [fact(2, "text")]);
    expect(less.get(1)).toBeUndefined();
    expect(less.named("bool")).toEqual([]);
    expect([...less.values((one) => one.oid)]).toEqual([2]);
    expect([...whole.values((one) => one.oid)]).toEqual([1, 2]);
  });

  test("columns of a system's relations", () => {
    const system = make();
    const columns = (name: string) => [
      {
        attnum: 1,
        name,
        type: 26,
        typmod: -1,
        notNull: true,
        inPrimaryKey: false,
        inDefaultKey: false,
        generatedFrom: [],
      },
    ];
    const first = system.columns(1259, columns("oid"));
    expect(system.columns(1259, columns("oid"))).toBe(first);
    expect(system.columns(1259, columns("relname"))).toEqual(columns("relname"));
    const mine = columns("id");
    expect(system.columns(own, mine)).toBe(mine);
    expect(system.columns(own, columns("id"))).not.toBe(mine);
  });

  test("few server versions are kept: those used last", () => {
    let made = 0;
    const versions = new Versions(() => ++made);
    for (const version of [15, 16, 17, 18]) versions.of(version);
    expect(versions.of(15)).toBe(1);
    versions.of(14);
    expect(versions.of(15)).toBe(1);
    expect(versions.of(16)).toBe(6);
  });
});
