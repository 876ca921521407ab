/**
 * Random sessions of an owner of tables, and random queries over values of many types, under every use of a label: no token in any
 * byte the gateway sends, logs or records. The same seed gives the same ones.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kindStatement, kindsFunctions, kindsSchema } from "../analysis/lineage-kinds.ts";
import { seeded } from "../analysis/lineage-random.ts";
import { copyDone, query } from "../e2e/messages.ts";
import { binaries } from "../support/binaries.ts";
import { rawLogin } from "../support/raw.ts";
import { roads, type Travel, travel } from "./roads.ts";
import { randomSession } from "./sessions.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

const rounds = Number(process.env.POSTERN_LINEAGE_ROUNDS ?? 40);
const firstSeed = Number(process.env.POSTERN_LINEAGE_SEED ?? 1);
const { major } = await binaries();

describe.each([
  ["output", "partial"],
  ["derived", "redact"],
  ["any", "redact"],
  ["equality", "hash"],
] as const)("use: %s, mask: %s", (use, mask) => {
  let lab: LineageLab;
  let on: Travel;
  beforeAll(async () => {
    lab = await startLineageLab(use, mask);
    const { text, number } = lab.tokens;
    const rows = [1, 2, 3, 4].map(
      (id) =>
        `(${id}, 'n${id}', '\\x0${id}', array['a', 'b'], array[${id}], row('s${id}', 'z'), '<r><a>${id}</a></r>', 'w:1', '{"k": "v"}', '{"k": "v", "n": [${id}]}', int8range(${id}, 9),
          '${text()}', ${number()}, '${text()}', array['${text()}', '${text()}'], array[${number()}], row('${text()}', '${text()}'), '<r><a>${text()}</a></r>',
          to_tsvector('simple', '${text()}'), '{"k": "${text()}", "n": ["${text()}"]}', '{"k": "${text()}", "n": [${number()}]}', int8range(${number()}, 1000000000))`,
    );
    await lab.cluster.query(
      lab.dbname,
      `${kindsSchema} ${kindsFunctions} insert into kinds values ${rows.join(", ")}; refresh materialized view mv_kinds;
       create table copies (x text); alter table users add column words tsvector;
       grant create on schema public, app, hr to ${lab.role};
       ${["users", "orders", "parent", "child", "part", "part1", "part2", "hr.emp", "prof", "kinds", "copies"].map((name) => `alter table ${name} owner to ${lab.role};`).join(" ")}
       alter type addr owner to ${lab.role}; alter domain email_d owner to ${lab.role};
       grant select on all tables in schema public to ${lab.role}; analyze`,
    );
    on = await travel(lab);
  });
  afterAll(async () => {
    await on?.end();
    await lab?.stop();
  });

  test(`${rounds} queries`, async () => {
    let ran = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      const random = seeded(seed * 3 + use.length);
      const sql = kindStatement(random, major);
      const road = random.pick(roads);
      const { error } = await road.travel(on, sql);
      const where = `seed ${seed}, ${road.name}: ${sql}`;
      expect(lab.tokens.found(lab.recorder.take()), where).toEqual([]);
      expect(error?.code ?? "", `${where}: ${error?.message}`).not.toMatch(/^XX/);
      expect(on.raw.closed, where).toBe(false);
      if (error === null) ran++;
    }
    expect(ran).toBeGreaterThan(rounds / 10);
  }, 180_000);

  test(`${rounds / 4} sessions`, async () => {
    let ran = 0;
    for (let seed = firstSeed; seed < firstSeed + rounds / 4; seed++) {
      const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
      const sent: string[] = [];
      for (const text of randomSession(seeded(seed * 5 + use.length), seed)) {
        sent.push(text);
        client.send(query(text));
        const got = await client.until(({ type }) => type === "Z" || type === "G");
        if (got.at(-1)?.type === "G") {
          client.send(copyDone);
          await client.ready();
        }
        expect(lab.tokens.found(lab.recorder.take()), `seed ${seed}: ${sent.join("; ")}`).toEqual([]);
        expect(client.closed, `seed ${seed}: ${sent.join("; ")}`).toBe(false);
        if (!got.some(({ type }) => type === "E")) ran++;
      }
      await client.end();
    }
    expect(ran).toBeGreaterThan(rounds / 8);
  }, 180_000);

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
