/** Texts that differ in their literals share what was found out about one of them, but where the literal decides. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { field, query } from "../e2e/messages.ts";
import { rawLogin } from "../support/raw.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

let lab: LineageLab;
beforeAll(async () => {
  lab = await startLineageLab("derived");
});
afterAll(async () => {
  await lab?.stop();
});

const pairs: readonly (readonly [fine: string, refused: string])[] = [
  ["select lpad(email, 5) from users", "select lpad(email, 900000000) from users"],
  ["select rpad(email, 5, '*') from users", "select rpad(email, 250000000, '*') from users"],
  ["select to_char(salary, '999') from hr.emp", "select to_char(salary, '9V9999999') from hr.emp"],
  [
    "select '[1]'::jsonb::text || nullif(email, 'x') from users",
    `select '[${new Array(9000).fill("1e131071").join()}]'::jsonb::text || nullif(email, 'x') from users`,
  ],
];

test.each(pairs)("%s", async (fine, refused) => {
  const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
  const code = async (text: string): Promise<string> => {
    client.send(query(text));
    const error = (await client.ready()).find(({ type }) => type === "E");
    return error === undefined ? "" : String(JSON.parse(field(error, "D") ?? "{}").code);
  };
  expect([await code(fine), await code(refused), await code(fine), await code(refused)]).toEqual([
    "",
    "PROTECTED_PREDICATE",
    "",
    "PROTECTED_PREDICATE",
  ]);
  expect(await code(`${fine}; ${refused}`)).toBe("PROTECTED_PREDICATE");
  expect(await code(`${fine}; ${fine}`)).toBe("");
  await client.end();
  const other = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
  other.send(query(refused));
  expect((await other.ready()).some(({ type }) => type === "E")).toBe(true);
  await other.end();
});
